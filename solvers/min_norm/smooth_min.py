"""The averaging iteration: the update direction is the mean of the gradients that had the smallest product so far.

    u ← (k u + g_τ) / (k + 1),   τ = argmin_i <g_i, u>,   k = 0, 1, 2, ...

Following only the smallest product, u ← g_τ, oscillates; the running mean does not. On the Gramian: w ← (k w + e_τ) /
(k + 1). The start is the uniform w, which decides τ once and is then forgotten (k = 0); ties go to the lowest index.
This is Frank-Wolfe with the fixed step γ = 1/(k + 1), hence after k >= 1 steps f − f* <= D² H_k / (2k) with
D = max_ij ‖g_i − g_j‖ and H_k = 1 + 1/2 + ... + 1/k: f(w_{k+1}) − f* <= (1 − γ)(f(w_k) − f*) + ½ γ² D², summed up.
It needs some thousand steps for a relative gap of 1e-4 and, its step being fixed, does not get to 1e-8.

Source: J. Su, kexue.fm/archives/8896; rate: R. Freund & P. Grigas, arXiv 1307.0873.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..algorithm import Algorithm, Reach
from ..gramian import Array
from .problem import distance, uniform


class State(NamedTuple):
    """The weights are all there is; k is the number of steps taken."""

    weights: Array


def start(gramian: Array, exponent: int) -> State:
    """Uniform weights."""
    return State(uniform(len(gramian)))


def step(gramian: Array, state: State, products: Array, iteration: int) -> State:
    """Average in the gradient with the smallest product; k = iteration − 1."""
    weights = state.weights * ((iteration - 1) / iteration)
    weights[products.argmin()] += 1.0 / iteration
    return State(weights)


def bound(gramian: Array, iteration: Any) -> Any:
    """D² H_k / (2k); nothing is known of the start."""
    k = np.maximum(iteration, 1)
    harmonic = np.cumsum(1.0 / np.arange(1, np.max(k) + 1))[k - 1]
    return np.where(np.less(iteration, 1), np.inf, distance(gramian) ** 2 * harmonic / (2 * k))


# Gaps relative to min_i G_ii; measured shares less a margin for other seeds, 0.0: not to be counted on.
REACH: Reach = {
    "gaussian": {1e-2: (200, 0.95), 1e-4: (1000, 0.25), 1e-8: (1000, 0.0)},
    "norms_1_to_1e3": {1e-2: (1000, 0.0), 1e-4: (1000, 0.0), 1e-8: (1000, 0.0)},
    "near_collinear": {1e-2: (1, 0.95), 1e-4: (10, 0.95), 1e-8: (10, 0.95)},
    "duplicated_rows": {1e-2: (200, 0.95), 1e-4: (1000, 0.45), 1e-8: (1, 0.15)},
    "zero_row": {1e-2: (0, 1.0), 1e-4: (0, 1.0), 1e-8: (0, 1.0)},
    "zero_in_hull": {1e-2: (500, 0.95), 1e-4: (1000, 0.15), 1e-8: (1000, 0.0)},
    "rank_deficient": {1e-2: (1000, 0.85), 1e-4: (1000, 0.25), 1e-8: (1000, 0.0)},
    "collection": {1e-2: (1000, 0.35), 1e-4: (200, 0.2), 1e-8: (1000, 0.0)},
    "recorded": {1e-2: (1000, 0.0), 1e-4: (1000, 0.0), 1e-8: (1000, 0.0)},
}

ALGORITHM = Algorithm(
    name="smooth_min",
    summary="averaging iteration: the running mean of the gradients with the smallest product",
    iterative=True,
    start=start,
    step=step,
    bound=bound,
    reach=REACH,
)
