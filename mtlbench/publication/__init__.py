"""What leaves the house, and how anybody checks it: archives that are read without being trusted.

manifest.py     sha256 and size of every file of the results
constraints.py  the versions that were installed, for pip
bundle.py       the archive: the same bytes for the same files
archive.py      an archive of strangers, read into a temporary folder or refused
verify.py       every digest, and the leaderboard computed again from the raw runs
compare.py      what two results say differently, beyond their intervals
reproduce.py    one cell trained again and held against its record
foreign.py      the numbers of other groups beside ours
plan.py         what a benchmark will cost, from measured steps
command.py      the commands ``verify``, ``compare``, ``reproduce`` and ``plan``
"""
