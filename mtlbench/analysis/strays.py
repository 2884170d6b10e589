"""Runs that ended far from the other seeds of their row, such as a network whose units all died at the start.

One of three seeds draws their mean away, and where it is the single-task network, the Δm of every row.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

CHANCE = {"auc": 0.5}
"""What a metric comes to by chance, where that is neither 0 nor hangs on the data."""


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
    is better; an AUC counts from 0.5, which is chance. Rows of three seeds or more, medians above that. Sorted by
    label, task and seed. A binary accuracy is never found: what chance gives depends on the classes.

    ``runs``: the part of :func:`mtlbench.analysis.load.table` that belongs to the arena.
    """
    own = runs[(runs["split"] == "test") & runs["main"]].dropna(subset="value")
    rows = own.groupby(["label", "task"])["value"]
    median, seeds = rows.transform("median"), rows.transform("size")
    chance = own["metric"].map(CHANCE).fillna(0.0)
    above, middle = own["value"] - chance, median - chance
    off = np.where(own["higher_is_better"], above < 0.5 * middle, above > 2 * middle)
    far = own.assign(median=median)[(seeds >= 3) & (middle > 0) & off]
    columns = list(Stray._fields)
    return [Stray(*row) for row in far.sort_values(["label", "task", "seed"])[columns].itertuples(index=False)]
