"""Getting the files of a dataset: the command ``mtlbench data``.

- ``transfer.py``: one file from one address, resumed where an earlier attempt broke off.
- ``fetch.py``: all files of a dataset, address by address, each checked before it takes its place.
- ``unpack.py``: what is declared, out of an archive, and nothing outside the folder.
- ``command.py``: ``mtlbench data list | path | fetch | check``.
"""
