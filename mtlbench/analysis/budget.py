"""What a number of trials buys: the best score to be expected of some trials out of those that were run."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import comb

from mtlbench.analysis.changes import SINGLE_TASK


def expected_best(scores: np.ndarray) -> np.ndarray:
    r"""The expected lowest of k scores drawn from ``scores`` (n,) without replacement, for k = 1..n.

    .. math:: E_k = \sum_{i=1}^{n} s_{(i)} \binom{n-i}{k-1} \Big/ \binom{n}{k}

    with s_(1) <= ... <= s_(n): the mean over all orders in which the trials might have been run, exactly. An infinite
    score makes E_k infinite for every k that can draw nothing else.

    Source: Dodge et al., EMNLP 2019, arXiv 1909.03004, with draws without replacement.
    """
    s, n = np.sort(np.asarray(scores, dtype=float)), len(scores)
    k = np.arange(1, n + 1)[:, None]
    weights = comb(n - np.arange(1, n + 1), k - 1) / comb(n, k)
    return np.where(weights > 0, weights * s, 0.0).sum(axis=1)


def curves(trials: pd.DataFrame) -> pd.DataFrame:
    """:func:`expected_best` of every method of one arena: label, trials, score.

    ``trials`` is :func:`mtlbench.analysis.load.trials`. A trial that diverged or failed counts as the worst that any
    method's trial scored in this arena; a label none of whose trials ended has no curve. Nor have the single-task
    networks: their trials are scored against their own median (:mod:`mtlbench.tuning`), which is another scale.
    """
    trials = trials[trials["label"] != SINGLE_TASK]
    ended = trials["score"].notna() & (trials["status"] == "done")
    worst = trials.loc[ended, "score"].max()
    found = []
    for label, own in trials.assign(score=trials["score"].where(ended, worst)).groupby("label", sort=True):
        if ended[own.index].any():
            best = expected_best(own["score"].to_numpy())
            found.append(pd.DataFrame({"label": label, "trials": np.arange(1, len(best) + 1), "score": best}))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["label", "trials", "score"])
