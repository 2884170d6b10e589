"""The relative changes of all runs of one arena against single-task networks, as arrays, and what is made of them.

Every summary of Delta-m in the leaderboard is a summary of these numbers, so all of them follow one rule for runs that
broke: a run that diverged or failed is no number in a mean (the mean is over the survivors, and the row is marked), and
plus infinity, the worst there is, wherever order alone counts: medians, trimmed means, profiles, shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.analysis.intervals import Array

SINGLE_TASK = "single_task"
EQUAL = "equal"


def relative_change(own: Array, reference: Array, higher_is_better: NDArray[np.bool_]) -> Array:
    r"""100 s (M − M_ST) / |mean of M_ST| in percent, lower is better; arrays (..., seeds, metrics).

    s = −1 where higher is better. A seed counts where both sides are whole, and the mean is over those seeds; the
    others are NaN, and so is everything where some mean is 0: then the ratio is not defined.
    """
    own, reference = np.broadcast_arrays(own, reference)
    whole = ~(np.isnan(own) | np.isnan(reference)).any(axis=-1, keepdims=True)
    seeds = whole.sum(axis=-2, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.abs(np.where(whole, reference, 0).sum(axis=-2, keepdims=True) / seeds)
        scale = np.where((scale == 0).any(axis=-1, keepdims=True), np.nan, scale)
        return np.where(whole, 100 * np.where(higher_is_better, reference - own, own - reference) / scale, np.nan)


@dataclass(frozen=True)
class Changes:
    """The scores of an arena's runs: ``scores`` (labels, seeds, metrics), NaN where a run broke or is not there.

    ``metrics`` is the index (task, metric), ``ran`` (labels, seeds) says which runs there are.
    """

    labels: list[str]
    seeds: list[int]
    metrics: pd.MultiIndex
    higher_is_better: NDArray[np.bool_]
    scores: Array
    ran: NDArray[np.bool_]

    @cached_property
    def broken(self) -> NDArray[np.bool_]:
        """The runs that did not end, (labels, seeds)."""
        return self.ran & np.isnan(self.scores).any(axis=-1)

    @cached_property
    def reference(self) -> Array:
        """The single-task networks' scores (seeds, metrics), all NaN where there are none."""
        return self.of(self.scores, SINGLE_TASK)

    @cached_property
    def comparable(self) -> NDArray[np.bool_]:
        """The seeds on which the single-task networks are whole; none where some mean of theirs is 0."""
        whole = ~np.isnan(self.reference).any(axis=-1)
        return whole & (self.reference[whole].sum(axis=0) != 0).all()

    @cached_property
    def by_metric(self) -> Array:
        """The relative change of every metric in percent, (labels, seeds, metrics)."""
        return relative_change(self.scores, self.reference, self.higher_is_better)

    @cached_property
    def by_task(self) -> Array:
        """The mean change of every task's metrics, (labels, seeds, tasks); its mean over tasks is Delta-m."""
        return self.per_task(self.by_metric)

    @cached_property
    def judged(self) -> Array:
        """:attr:`by_task` with plus infinity for runs that broke, NaN where the single-task networks did too."""
        return np.where((self.broken & self.comparable)[..., None], np.inf, self.by_task)

    def against(self, baseline: str) -> Array:
        """Delta-m minus that of ``baseline`` on the same seed, (labels, seeds), over the seeds whole in all three."""
        base = self.of(self.scores, baseline)
        both = np.where(np.isnan(self.scores).any(axis=-1, keepdims=True), np.nan, base)
        own = np.where(np.isnan(base).any(axis=-1, keepdims=True), np.nan, self.scores)
        changed = (relative_change(scores, self.reference, self.higher_is_better) for scores in (own, both))
        ours, theirs = (self.per_task(values).mean(axis=-1) for values in changed)
        return ours - theirs

    def improvement(self, baseline: str) -> Array:
        """1 where Delta-m is below that of ``baseline`` on the same seed, ½ where equal, else 0; (labels, seeds).

        A run that broke loses against one that ended and ties with one that broke. NaN where either was not run, or
        where the single-task networks broke.
        """
        gap = self.against(baseline)
        won = np.where(np.isnan(gap), np.nan, (gap < 0) + 0.5 * (gap == 0))
        theirs = self.of(self.broken, baseline, empty=False)
        known = self.ran & self.of(self.ran, baseline, empty=False) & self.comparable
        won = np.where(known & (self.broken | theirs), 0.5 * (1.0 + theirs - self.broken), won)
        return np.where(np.array(self.labels)[:, None] == baseline, np.nan, won)

    def of(self, values: NDArray, label: str, empty: float = np.nan) -> NDArray:
        """The row of ``label`` in an array over the labels, ``empty`` where the label is not there."""
        return values[self.labels.index(label)] if label in self.labels else np.full_like(values[0], empty)

    def per_task(self, values: Array) -> Array:
        """The mean over each task's metrics: (…, metrics) to (…, tasks)."""
        tasks = self.metrics.get_level_values("task")
        members = tasks.to_numpy() == tasks.unique().to_numpy()[:, None]
        return values @ (members / members.sum(axis=1, keepdims=True)).T


def changes(part: pd.DataFrame) -> Changes:
    """The runs of one arena and one split, rows of :func:`mtlbench.analysis.load.table`; everything sorted."""
    wide = part.pivot(index=["label", "seed"], columns=["task", "metric"], values="value").sort_index(axis=1)
    labels, seeds = (sorted(wide.index.unique(name)) for name in ("label", "seed"))
    every = pd.MultiIndex.from_product([labels, seeds])
    shape = (len(labels), len(seeds))
    return Changes(
        labels=labels,
        seeds=seeds,
        metrics=wide.columns,
        higher_is_better=directions(part).reindex(wide.columns).to_numpy(dtype=bool),
        scores=wide.reindex(every).to_numpy(dtype=float).reshape(*shape, -1),
        ran=every.isin(wide.index).reshape(shape),
    )


def directions(scores: pd.DataFrame) -> pd.Series:
    """higher_is_better by (task, metric)."""
    return scores.drop_duplicates(["task", "metric"]).set_index(["task", "metric"])["higher_is_better"]
