"""Summaries of the relative changes that no single run, task or dataset can carry away, and their profile.

The pool they are taken over is :attr:`mtlbench.analysis.changes.Changes.judged`: one number for every (task, seed), and
over several datasets for every (dataset, task, seed), plus infinity where the run broke. So broken runs are cut off
with the worst of the others, and a summary is infinite where there are more of them than it can cut.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from mtlbench.analysis.intervals import Array

TRIMMED = 0.1
INTERQUARTILE = 0.25
FEWEST = 5
"""Under so many datasets an interquartile mean has no interval: at two the jackknife's covers too little."""


def trimmed_mean(values: ArrayLike, share: float) -> Array:
    """The mean over the last axis without the ``share`` lowest and ``share`` highest values, NaN not counted.

    As :func:`scipy.stats.trim_mean`, ⌊share · n⌋ values are cut at each end.
    """
    ordered = np.sort(np.asarray(values, dtype=float), axis=-1)  # NaN last
    n = (~np.isnan(ordered)).sum(axis=-1, keepdims=True)
    cut = (share * n).astype(int)
    position = np.arange(ordered.shape[-1])
    kept = (position >= cut) & (position < n - cut)
    with np.errstate(invalid="ignore"):
        return np.where(kept, ordered, 0).sum(axis=-1) / kept.sum(axis=-1)


def interquartile_mean(values: ArrayLike) -> Array:
    """The mean of the middle half. Source: Agarwal et al. (2021), there over (task, run)."""
    return trimmed_mean(values, INTERQUARTILE)


def median(values: ArrayLike) -> Array:
    """The median of each row, NaN not counted, infinite where half of the values are."""
    return pd.DataFrame(np.asarray(values, dtype=float)).median(axis=1).to_numpy()


def performance_profile(pool: dict[str, Array], thresholds: ArrayLike) -> pd.DataFrame:
    r"""The share of a label's (dataset, task, seed) whose relative change is at most τ: rows τ, one column per label.

    .. math:: \rho(\tau) = |\{i : c_i \le \tau\}| / n

    Higher and further left is better. A run that broke never comes below any τ: its curve ends under 1.

    Source: Dolan and Moré (2002); as a score distribution Agarwal et al. (2021).
    """
    tau = np.asarray(thresholds, dtype=float)
    shares = {}
    for label, values in pool.items():
        known = np.sort(values[~np.isnan(values)], axis=None)
        below = np.searchsorted(known, tau, side="right")
        shares[label] = below / len(known) if len(known) else np.full(len(tau), np.nan)
    return pd.DataFrame(shares, index=pd.Index(tau, name="threshold"))
