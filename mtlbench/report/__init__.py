"""Tables, plots and pages made from the files of a benchmark; nothing here trains a benchmark or solves.

``leaderboard`` writes the tables, ``plots`` and ``toy`` the pictures, ``html`` the report, and ``build`` runs them in
order. The manifest and the archive are made in ``mtlbench.publication``.
"""
