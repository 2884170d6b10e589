"""Delta-m, ranks and intervals: pure functions of tidy tables.

What is paired with what: under one seed every method sees the same data, batches and initial network, so
every comparison is made seed by seed and the interval is taken over the differences of the seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from mtlbench.analysis.changes import directions, relative_change
from mtlbench.analysis.intervals import CONFIDENCE, paired_t
from mtlbench.arena import GROUP


class Interval(NamedTuple):
    """A mean over ``n`` seeds and the half width of its interval; NaN half width where there is no
    interval.
    """

    mean: float
    half_width: float
    n: int

    @property
    def low(self) -> float:
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        return self.mean + self.half_width

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero; False where there is no interval."""
        return bool(self.low > 0 or self.high < 0)


def paired_t_interval(
    values: Sequence[float] | pd.Series,
    others: Sequence[float] | pd.Series | None = None,
    confidence: float = CONFIDENCE,
) -> Interval:
    r"""The mean of the paired differences d_s = values_s − others_s and its Student-t interval.

    .. math:: \bar d \pm t_{n-1,\,(1+c)/2}\; s_d / \sqrt n

    ``values`` and ``others`` hold one number per seed, in the same order of seeds (``others=None``: the
    values are differences already, or stand alone). Pairs with a NaN are left out. With one pair there is
    no spread to estimate: the half width is NaN, never zero.

    Source: Student (1908). See ``docs/reading-the-report.md``.
    """
    differences = np.asarray(values, dtype=float)
    if others is not None:
        differences = differences - np.asarray(others, dtype=float)
    differences = differences[~np.isnan(differences)]
    found = paired_t(differences, confidence)
    return Interval(float(found.mean), float(found.half_width), len(differences))


def delta_m(scores: pd.DataFrame, reference: pd.DataFrame) -> pd.Series:
    r"""Delta-m of one method in percent, seed by seed; lower is better, and their mean is Delta-m.

    .. math:: \Delta_m = \frac{100}{T} \sum_t \frac{1}{M_t} \sum_m s_{tm}
              \frac{M_{tm} - M^{ST}_{tm}}{|M^{ST}_{tm}|}

    with s = −1 where higher is better, else 1.

    ``scores`` and ``reference`` (the single-task networks) are tidy: seed, task, metric, value,
    higher_is_better. Only seeds that are whole in both count. The scale |M_ST| is the reference's mean
    over those seeds; the numerator of seed s is M_s − M_ST,s, the difference on the same data. So the
    mean over seeds is exactly the formula above with seed means put in, and the spread of the values
    holds the noise of both sides.

    Returns a Series indexed by seed, empty where no seed is whole in both; all NaN where some M_ST is 0,
    for then the ratio is not defined.

    Source: Maninis et al. (2019); Vandenhende et al. (2021).
    """
    return change(wide(scores), wide(reference), directions(reference))


def change(own: pd.DataFrame, base: pd.DataFrame, higher_is_better: pd.Series) -> pd.Series:
    """:func:`delta_m` of tables as :func:`wide` makes them; ``higher_is_better``: :func:`directions`."""
    own = own.reindex(columns=base.columns)
    seeds = own.index[own.notna().all(axis=1)].intersection(base.index[base.notna().all(axis=1)]).sort_values()
    tasks = base.columns.get_level_values("task")
    # Each task weighs 1/T, shared by its M_t metrics.
    weight = 1 / (tasks.nunique() * tasks.value_counts().reindex(tasks).to_numpy())
    higher = higher_is_better.reindex(base.columns).to_numpy(dtype=bool)
    found = relative_change(own.loc[seeds].to_numpy(), base.loc[seeds].to_numpy(), higher)
    return pd.Series(found @ weight, index=seeds, name="delta_m")


def wide(scores: pd.DataFrame) -> pd.DataFrame:
    """The tidy table of one method with seeds as rows and (task, metric) as columns."""
    return scores.pivot(index="seed", columns=["task", "metric"], values="value").sort_index(axis=1)


def ranks(scores: pd.DataFrame) -> pd.DataFrame:
    """The rank of every method among those of its dataset, for each (dataset, task, seed): 1 is best.

    ``scores``: tidy, one metric per task: the columns of :data:`GROUP`, label, seed, task, value,
    higher_is_better. Ties share the mean of the ranks they cover. A run without a value (diverged or
    failed) is worst, and such runs tie with each other. Only seeds that every method of the dataset has
    run count, so that every rank is among the same methods.
    """
    labels = scores.groupby(GROUP)["label"].transform("nunique")
    present = scores.groupby([*GROUP, "task", "seed"])["label"].transform("nunique")
    shared = scores[present == labels].copy()
    # Infinite, not missing: all that broke down must tie, behind all that did not.
    shared["badness"] = np.where(shared["higher_is_better"], -shared["value"], shared["value"])
    shared["badness"] = shared["badness"].fillna(np.inf)
    shared["rank"] = shared.groupby([*GROUP, "task", "seed"])["badness"].rank(method="average")
    return shared[[*GROUP, "label", "task", "seed", "rank"]]
