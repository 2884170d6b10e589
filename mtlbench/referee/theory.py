"""What theory knows of the project's algorithms, stated by the referee itself.

A bound or a monotone decrease that only the judged file stated could be loosened or left out there. These are
the table of ``docs/mathematics.md``, section 3, written without a solver's help, with
D = max_ij ‖g_i − g_j‖ and R = max_i ‖g_i‖ from the Gramian. An algorithm that is not named here is judged by
what it states.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtlbench.referee.families import Array

MONOTONE = frozenset(
    {
        "accelerated",
        "active_set",
        "exponentiated_gradient",
        "frank_wolfe",
        "frank_wolfe_away",
        "frank_wolfe_pairwise",
        "softmax_beta",
    }
)
"""The algorithms whose f never rises."""


def bounds(name: str, gramian: Array, iterations: NDArray[np.int64]) -> Array:
    """The bounds on f − f* after each of the (T,) ``iterations`` k of the algorithm ``name``, in the Gramian's
    unit; infinite where nothing is known.

    ``frank_wolfe`` 2 D² / (k + 2) and ``frank_wolfe_away`` 2 D² / (⌈k/2⌉ + 4); for k >= 1 ``smooth_min``
    D² H_k / (2k), H_k = 1 + 1/2 + ... + 1/k, ``exponentiated_gradient`` R² log K / k and, without a zero row,
    ``accelerated`` 2 L (R² − 1/Σ_i G_ii⁻¹) / (k + 3) with L of :func:`curvature_across`. Nothing is known of
    ``frank_wolfe_pairwise`` that would not also hold of a standstill.
    """
    g = gramian.astype(np.longdouble)  # extended: for nearly equal gradients the sum of D² cancels
    squares = np.diagonal(g)
    diameter_squared = max((squares[:, None] - 2 * g + squares).max(), 0)
    k = np.maximum(iterations, 1)
    harmonic = np.cumsum(1 / np.arange(1, k.max(initial=1) + 1, dtype=np.longdouble))[k - 1]
    unknown = np.full(len(k), np.inf)
    known = {
        "frank_wolfe": 2 * diameter_squared / (iterations + 2),
        "frank_wolfe_away": 2 * diameter_squared / (np.ceil(iterations / 2) + 4),
        "smooth_min": np.where(iterations < 1, np.inf, diameter_squared * harmonic / (2 * k)),
        "exponentiated_gradient": np.where(iterations < 1, np.inf, squares.max() * np.log(len(g)) / k),
    }
    if name == "accelerated" and squares.min() > 0:
        farthest = squares.max() - 1 / (1 / squares).sum()
        return np.where(iterations < 1, np.inf, np.float64(2 * curvature_across(g) * farthest) / (k + 3))
    return np.asarray(known.get(name, unknown), dtype=np.float64)


def curvature_across(gramian: NDArray[np.longdouble]) -> float:
    """L = max hᵀCh over the unit vectors h across v: C the cosines, v_i ∝ 1/√G_ii; no row is zero."""
    lengths = np.sqrt(np.diagonal(gramian))
    v = 1 / lengths
    v /= np.sqrt(v @ v)
    cosines = gramian / np.outer(lengths, lengths)
    products = cosines @ v
    across = cosines - np.outer(v, products) - np.outer(products, v) + (v @ products) * np.outer(v, v)
    return float(np.linalg.eigvalsh(across.astype(np.float64))[-1])
