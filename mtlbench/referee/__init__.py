"""The referee: judges every solver of an inner convex problem by promises it cannot check away itself.

families.py  seeded problem families, each named after what makes it hard
problems.py  the set of problems of one validation, with the cvxpy optimum of each
judge.py     what is checked, and how a broken promise is worded
theory.py    the bounds and decreases that are known, whatever a solver states
validate.py  one algorithm over all problems; the whole validation
verdict.py   the parts of all algorithms merged into accuracy.csv, traces.csv and verdict.json
outsider.py  a user's own solver (found by guest.py) and the QP packages (packages.py), judged by their weights
afterwards.py  the weights of training runs beside those of exact, on the Gramians that they recorded
table.py     accuracy_table.csv: ours beside theirs, made of scores.py
exactness.py are the default algorithms of all rooms exact on thousands of random problems?
timing.py    timing.csv from the project's pytest-benchmark suite
speed.py     times compared with those of other packages; profile.py: performance profiles and shifted means
plots.py     convergence plots from the traces
command.py   ``mtlbench validate``
"""
