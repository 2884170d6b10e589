"""The projection onto a simplex, for methods that step on their weights or publish it as their last step."""

from __future__ import annotations

import numpy as np

from mtlbench.methods.method import Array


def simplex(point: Array, total: float = 1.0) -> Array:
    """The nearest point with v >= 0 and Σ v_i = ``total``: max(point − t, 0) with the t that makes it so."""
    # The projection does not see a common shift; with the largest entry at 0 a small total is never lost beside it.
    shifted = point - point.max()
    ordered = np.sort(shifted)[::-1]
    levels = (np.cumsum(ordered) - total) / np.arange(1, len(point) + 1)
    return np.maximum(shifted - levels[ordered >= levels][-1], 0.0)
