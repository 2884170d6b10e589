"""From a cell of the benchmark to the files of its runs.

- ``cell.py``: every seed of a cell, skipping what is done; ``run_files.py``: the files of one run.
- ``loop.py``: forward, gradients, weights, step; ``evaluation.py``: metrics and the choice of the epoch.
- ``seeding.py``: one random stream per purpose; ``runtime.py``: threads, precision, determinism;
  ``devices.py``: which GPU is free.
- ``audit.py``: what the task gradients did; ``inner.py``: the certificate of a step's inner problem;
  ``checkpoint.py``: going on after an interruption.
- ``cost.py``: seconds and memory of a step, measured apart.
"""
