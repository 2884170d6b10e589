"""Runs that ended far from the other seeds of their row, such as a network whose units all died at the start.

One of three seeds draws their mean away, and where it is the single-task network, the Δm of every row.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd


class Stray(NamedTuple):
    """A test metric of one run, and the median of its row."""

    label: str
    task: str
    metric: str
    seed: int
    value: float
    median: float


def strays(runs: pd.DataFrame) -> list[Stray]:
    """The main test metrics of one arena that are below half the median of their row, or above twice of it where lower
    is better; rows of three seeds or more, medians above zero. Sorted by label, task and seed.

    ``runs``: the part of :func:`mtlbench.analysis.load.table` that belongs to the arena.
    """
    own = runs[(runs["split"] == "test") & runs["main"]].dropna(subset="value")
    rows = own.groupby(["label", "task"])["value"]
    median, seeds = rows.transform("median"), rows.transform("size")
    ratio = np.where(own["higher_is_better"], own["value"] / median, median / own["value"])
    far = own.assign(median=median)[(seeds >= 3) & (median > 0) & (ratio < 0.5)]
    columns = list(Stray._fields)
    return [Stray(*row) for row in far.sort_values(["label", "task", "seed"])[columns].itertuples(index=False)]
