"""The numbers of a critical-difference diagram: a secondary picture, with the caveats that its function states."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from mtlbench.analysis.intervals import CONFIDENCE


class CriticalDifference(NamedTuple):
    """Mean ranks over ``datasets`` (best first), the difference two of them must exceed, the Friedman test's p-value,
    and the largest groups of neighbours that do not differ by more.
    """

    ranks: pd.Series
    difference: float
    p_value: float
    groups: list[list[str]]
    datasets: int


def critical_difference(scores: pd.DataFrame, confidence: float = CONFIDENCE) -> CriticalDifference | None:
    r"""Friedman's test and Nemenyi's critical difference from one score per (dataset, label); None under two of either.

    .. math:: \mathrm{CD} = \frac{q_{\alpha,k,\infty}}{\sqrt 2} \sqrt{\frac{k (k + 1)}{6 N}}

    k labels, N datasets, q of the studentised range. ``scores``: datasets as rows, labels as columns, lower is better;
    those of :func:`mtlbench.analysis.overall.rank_scores` count broken runs as worst. Ties share their ranks.

    Read it with care. Here the datasets are the sample, seeds are averaged away: with five of them no two methods that
    are neighbours among ten can be told apart, however sure each single result is. And whether two methods differ
    depends on the others in the diagram (Benavoli et al. 2016). p is NaN with two labels, where there is no such test.

    Source: Friedman (1937), Nemenyi (1963), Demšar (2006).
    """
    blocks, labels = scores.shape
    if blocks < 2 or labels < 2:
        return None
    mean = scores.rank(axis=1).mean().sort_index().sort_values(kind="stable")
    spread = stats.studentized_range.ppf(confidence, labels, np.inf) / np.sqrt(2)
    difference = float(spread * np.sqrt(labels * (labels + 1) / (6 * blocks)))
    p_value = stats.friedmanchisquare(*scores.to_numpy().T).pvalue if labels > 2 else np.nan
    return CriticalDifference(mean, difference, float(p_value), _groups(mean, difference), blocks)


def _groups(mean: pd.Series, difference: float) -> list[list[str]]:
    """The runs of neighbours within ``difference`` of their first, those left out that lie in a longer one."""
    found: list[list[str]] = []
    reached = 0
    for first, rank in enumerate(mean):
        end = int((mean <= rank + difference).sum())
        if end > reached and end > first + 1:
            found.append(list(mean.index[first:end]))
            reached = end
    return found
