"""Tables, plots and pages made from the files of a benchmark; nothing here trains a benchmark or solves.

``leaderboard`` writes the tables, ``plots`` and ``toy`` the pictures, ``page`` the HTML report,
``manifest`` the digests, ``bundle`` the archive; ``build`` runs them in order.
"""
