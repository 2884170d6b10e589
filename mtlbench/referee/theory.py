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

MONOTONE = frozenset({"active_set", "exponentiated_gradient", "frank_wolfe", "softmax_beta"})
"""The algorithms whose f never rises."""


def bounds(name: str, gramian: Array, iterations: NDArray[np.int64]) -> Array:
    """The bounds on f − f* after each of the (T,) ``iterations`` k of the algorithm ``name``, in the Gramian's
    unit; infinite where nothing is known.

    ``frank_wolfe`` 2 D² / (k + 2); for k >= 1 ``smooth_min`` D² H_k / (2k), H_k = 1 + 1/2 + ... + 1/k, and
    ``exponentiated_gradient`` R² log K / k.
    """
    g = gramian.astype(np.longdouble)  # extended: for nearly equal gradients the sum of D² cancels
    squares = np.diagonal(g)
    diameter_squared = max((squares[:, None] - 2 * g + squares).max(), 0)
    k = np.maximum(iterations, 1)
    harmonic = np.cumsum(1 / np.arange(1, k.max(initial=1) + 1, dtype=np.longdouble))[k - 1]
    unknown = np.full(len(k), np.inf)
    known = {
        "frank_wolfe": 2 * diameter_squared / (iterations + 2),
        "smooth_min": np.where(iterations < 1, np.inf, diameter_squared * harmonic / (2 * k)),
        "exponentiated_gradient": np.where(iterations < 1, np.inf, squares.max() * np.log(len(g)) / k),
    }
    return np.asarray(known.get(name, unknown), dtype=np.float64)
