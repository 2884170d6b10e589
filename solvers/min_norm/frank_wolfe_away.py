"""Frank-Wolfe with away steps: weight may also be taken from a task, and the zigzag is gone.

From the shortest gradient's vertex. With s = argmin_i (Gw)_i and a = argmax_{w_i > 0} (Gw)_i (ties: lowest index), go
towards e_s where wᵀGw − (Gw)_s >= (Gw)_a − wᵀGw, and else away from e_a:

    w ← w + γ (e_s − w),  0 <= γ <= 1,     or     w ← w + γ (w − e_a),  0 <= γ <= w_a / (1 − w_a),

γ by exact line search. An away step that ends at its limit is a *drop step*: w_a is exactly 0 from then on. f never
rises, and it falls linearly, at a rate set by the hull's geometry (its pyramidal width), with singular G too.

Bound: f − f* <= 2 D² / (⌈k/2⌉ + 4) after k steps, D = max_ij ‖g_i − g_j‖. Let h = f − f*. The slope of either step is
at least the gap, hence at least h, and its curvature ‖u − g‖² at most D². So a step that is no drop step makes
1/h grow by 1/(2D²): in the interior h falls by at least h²/(2D²), and at γ = 1, where the slope exceeds the curvature,
by at least h/2, which is more, since h <= D²/2 from the start on (``frank_wolfe`` says why). A drop step takes
a task out of the support, only a step towards puts one in, and the support is never empty: of k steps at least ⌈k/2⌉
are no drop steps.

Source: J. Guélat & P. Marcotte, Mathematical Programming 35 (1986); S. Lacoste-Julien & M. Jaggi, arXiv 1511.05932.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..algorithm import Algorithm, Reach
from ..gramian import Array
from .problem import cheapest_vertex, distance, vertex


class State(NamedTuple):
    """The weights are all there is; those above 0 are the support."""

    weights: Array


def start(gramian: Array, exponent: int) -> State:
    """Everything on the shortest gradient."""
    return State(vertex(len(gramian), cheapest_vertex(gramian)))


def step(gramian: Array, state: State, products: Array, iteration: int) -> State:
    """One line search, towards the smallest product or away from the support's largest, whichever is steeper."""
    weights = state.weights
    square = weights @ products
    s = int(products.argmin())
    a = int(np.where(weights > 0.0, products, -np.inf).argmax())
    gap, slope = square - products[s], products[a] - square
    if gap <= 0.0:
        return state
    if gap >= slope:
        curvature = gap - products[s] + gramian[s, s]
        length = gap / curvature if curvature > gap else 1.0
        weights = (1.0 - length) * weights
        weights[s] += length
    else:
        curvature = gramian[a, a] - products[a] - slope
        share, weights = weights[a], weights.copy()
        weights[a] = 0.0
        # Summed, not 1 − w_a, which has lost the digits of small others.
        rest = weights.sum()
        interior = curvature * share > slope * rest
        length = slope / curvature if interior else share / rest
        weights *= 1.0 + length
        if interior:
            weights[a] = share - length * rest
    # A long step away would multiply what rounding has added to the sum.
    return State(weights / weights.sum())


def bound(gramian: Array, iteration: Any) -> Any:
    """2 D² / (⌈k/2⌉ + 4)."""
    return 2.0 * distance(gramian) ** 2 / ((iteration + 1) // 2 + 4)


# Gaps relative to min_i G_ii; measured shares less a margin for other seeds.
REACH: Reach = {
    "gaussian": {1e-2: (100, 0.95), 1e-4: (500, 0.9), 1e-8: (1000, 0.75)},
    "norms_1_to_1e3": {1e-2: (1000, 0.75), 1e-4: (1000, 0.65), 1e-8: (1000, 0.6)},
    "near_collinear": {1e-2: (1, 0.95), 1e-4: (1, 0.95), 1e-8: (1, 0.95)},
    "duplicated_rows": {1e-2: (100, 0.95), 1e-4: (500, 0.95), 1e-8: (1000, 0.95)},
    "zero_row": {1e-2: (0, 1.0), 1e-4: (0, 1.0), 1e-8: (0, 1.0)},
    "zero_in_hull": {1e-2: (200, 0.95), 1e-4: (1000, 0.85), 1e-8: (1000, 0.6)},
    "rank_deficient": {1e-2: (200, 0.95), 1e-4: (1000, 0.8), 1e-8: (1000, 0.7)},
    "collection": {1e-2: (500, 0.9), 1e-4: (1000, 0.85), 1e-8: (1000, 0.75)},
    "recorded": {1e-2: (200, 0.95), 1e-4: (500, 0.9), 1e-8: (1000, 0.8)},
}

ALGORITHM = Algorithm(
    name="frank_wolfe_away",
    summary="Frank-Wolfe with away steps and exact line search",
    iterative=True,
    monotone=True,
    start=start,
    step=step,
    bound=bound,
    reach=REACH,
)
