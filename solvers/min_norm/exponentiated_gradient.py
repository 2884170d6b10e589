"""Exponentiated gradient: mirror descent with the entropy, multiplicative updates on the simplex.

    w_i ← w_i exp(−η (Gw)_i) / Z,   η = 1 / max_i G_ii,   from the uniform w.

max_i G_ii = max_ij |G_ij| is the smoothness constant of f in the l1-norm, in which the entropy is 1-strongly convex
(Pinsker); so f never rises and f − f* <= max_i ‖g_i‖² log K / k after k steps. Run on log w: a weight too small
for float64 is 0 for now, and can come back. The longest gradient sets the step: norms that differ make it slow.

Source: J. Kivinen & M. Warmuth, Information and Computation 132 (1997); A. Beck & M. Teboulle, Operations Research
Letters 31 (2003); for step sizes E. Amid et al., arXiv 2202.00145.
"""

from __future__ import annotations

from math import log
from typing import Any, NamedTuple

import numpy as np

from ..algorithm import Algorithm, Reach
from ..gramian import Array
from .problem import uniform


class State(NamedTuple):
    """Weights, their logarithms (up to a common constant) and the step length η."""

    weights: Array
    logs: Array
    step_size: float


def start(gramian: Array, exponent: int) -> State:
    """Uniform weights, η = 1 / max_i G_ii."""
    size = len(gramian)
    return State(uniform(size), np.zeros(size), 1.0 / float(gramian.diagonal().max()))


def step(gramian: Array, state: State, products: Array, iteration: int) -> State:
    """One multiplicative update."""
    logs = state.logs - state.step_size * products
    logs -= logs.max()
    weights = np.exp(logs)
    return State(weights / weights.sum(), logs, state.step_size)


def bound(gramian: Array, iteration: Any) -> Any:
    """max_i ‖g_i‖² log K / k; nothing is said of the start."""
    largest = float(gramian.diagonal().max())
    return np.where(np.less(iteration, 1), np.inf, largest * log(len(gramian)) / np.maximum(iteration, 1))


# Gaps relative to min_i G_ii; measured shares less a margin for other seeds, 0.0: not to be counted on.
REACH: Reach = {
    "gaussian": {1e-2: (500, 0.95), 1e-4: (1000, 0.5), 1e-8: (1000, 0.25)},
    "norms_1_to_1e3": {1e-2: (1000, 0.0), 1e-4: (1000, 0.0), 1e-8: (1000, 0.0)},
    "near_collinear": {1e-2: (1, 0.95), 1e-4: (1, 0.4), 1e-8: (1000, 0.0)},
    "duplicated_rows": {1e-2: (200, 0.95), 1e-4: (1000, 0.85), 1e-8: (1000, 0.5)},
    "zero_row": {1e-2: (0, 1.0), 1e-4: (0, 1.0), 1e-8: (0, 1.0)},
    "zero_in_hull": {1e-2: (1000, 0.65), 1e-4: (1000, 0.35), 1e-8: (1000, 0.25)},
    "rank_deficient": {1e-2: (1000, 0.8), 1e-4: (1000, 0.3), 1e-8: (1000, 0.2)},
    "collection": {1e-2: (50, 0.3), 1e-4: (500, 0.25), 1e-8: (1000, 0.25)},
    "recorded": {1e-2: (1000, 0.0), 1e-4: (1000, 0.0), 1e-8: (1000, 0.0)},
}

ALGORITHM = Algorithm(
    name="exponentiated_gradient",
    summary="exponentiated gradient with step 1/max ‖g_i‖²",
    iterative=True,
    monotone=True,
    start=start,
    step=step,
    bound=bound,
    reach=REACH,
)
