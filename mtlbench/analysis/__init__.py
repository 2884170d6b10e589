"""From the files of the runs to tables: readers in ``load``, pure functions of tables everywhere else.

``load`` reads what training left, ``statistics`` holds Delta-m, ranks and intervals, ``leaderboard`` puts
them together. Nothing here draws, trains or solves.
"""

from mtlbench.analysis.leaderboard import differences, leaderboard, metrics
from mtlbench.analysis.overall import overall
from mtlbench.analysis.statistics import Interval, delta_m, paired_t_interval, ranks

__all__ = [
    "Interval",
    "delta_m",
    "differences",
    "leaderboard",
    "metrics",
    "overall",
    "paired_t_interval",
    "ranks",
]
