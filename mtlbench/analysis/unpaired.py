"""Differences between runs that share nothing: no seed of one side starts where a seed of the other does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from mtlbench.analysis.statistics import CONFIDENCE, Interval, change


def welch_interval(
    values: Sequence[float] | pd.Series, others: Sequence[float] | pd.Series, confidence: float = CONFIDENCE
) -> Interval:
    r"""The difference of two means and Welch's interval for it; ``n`` is the smaller number of values.

    .. math:: \bar x - \bar y \pm t_{\nu,\,(1+c)/2} \sqrt{s_x^2/n_x + s_y^2/n_y}

    with the degrees of freedom ν of Welch and Satterthwaite. NaN are left out. With fewer than two values on one side
    there is no spread to estimate: the half width is NaN, never zero.

    Source: Welch (1947).
    """
    own, base = (np.asarray(side, dtype=float) for side in (values, others))
    own, base = own[~np.isnan(own)], base[~np.isnan(base)]
    n = min(len(own), len(base))
    if n == 0:
        return Interval(np.nan, np.nan, 0)
    difference = float(own.mean() - base.mean())
    if n == 1:
        return Interval(difference, np.nan, 1)
    if np.ptp(own) == 0 and np.ptp(base) == 0:
        return Interval(difference, 0.0, n)
    low, high = stats.ttest_ind(own, base, equal_var=False).confidence_interval(confidence)
    return Interval(difference, float(high - low) / 2, n)


def against(scores: pd.DataFrame, reference: pd.DataFrame, higher_is_better: pd.Series) -> pd.Series:
    """Delta-m by seed with the mean of ``reference`` in the place of the same seed's; all seeds of ``scores`` count.

    The tables are those of :func:`~mtlbench.analysis.statistics.wide`. The mean of two such series differs by exactly
    the difference of their Delta-m, so :func:`welch_interval` of them is that of the difference.
    """
    means = reference.dropna().mean()
    return change(scores, pd.DataFrame([means] * len(scores), index=scores.index), higher_is_better)
