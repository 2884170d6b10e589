"""Frank-Wolfe with exact line search, on the Gramian.

From the shortest gradient's vertex, each step moves towards the vertex s = argmin_i (Gw)_i (ties: lowest index):

    w ← (1 − γ) w + γ e_s,   γ = clip((wᵀGw − (Gw)_s) / (wᵀGw − 2 (Gw)_s + G_ss), 0, 1),

the numerator being the duality gap and the denominator ‖u − g_s‖². Bound: f − f* <= 2 D² / (k + 2) after k steps,
D = max_ij ‖g_i − g_j‖ (M. Jaggi, ICML 2013); it holds at k = 0 too, since ‖u_0‖ <= ‖g_i‖ for all i gives a gap of at
most D²/2 at this start. f never rises. A vertex start keeps weights at exact zero. With the optimum on a face the
method zigzags and no linear rate holds.

Source: M. Frank & P. Wolfe (1956); for MGDA: O. Sener & V. Koltun, arXiv 1810.04650, algorithm 2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..algorithm import Algorithm, Reach
from ..gramian import Array
from .problem import cheapest_vertex, distance, vertex


class State(NamedTuple):
    """The weights are all there is."""

    weights: Array


def start(gramian: Array, exponent: int) -> State:
    """Everything on the shortest gradient."""
    return State(vertex(len(gramian), cheapest_vertex(gramian)))


def step(gramian: Array, state: State, products: Array, iteration: int) -> State:
    """One line search towards the task with the smallest product."""
    s = int(products.argmin())
    square = state.weights @ products
    gap = square - products[s]
    if gap <= 0.0:
        return state
    curvature = gap - products[s] + gramian[s, s]
    length = gap / curvature if curvature > gap else 1.0
    weights = (1.0 - length) * state.weights
    weights[s] += length
    return State(weights)


def bound(gramian: Array, iteration: Any) -> Any:
    """2 D² / (k + 2)."""
    return 2.0 * distance(gramian) ** 2 / (iteration + 2)


# Gaps relative to min_i G_ii; measured shares less a margin for other seeds, 0.0: not to be counted on.
REACH: Reach = {
    "gaussian": {1e-2: (200, 0.95), 1e-4: (1000, 0.4), 1e-8: (1000, 0.3)},
    "norms_1_to_1e3": {1e-2: (1000, 0.8), 1e-4: (500, 0.3), 1e-8: (50, 0.25)},
    "near_collinear": {1e-2: (1, 0.95), 1e-4: (1, 0.95), 1e-8: (1, 0.95)},
    "duplicated_rows": {1e-2: (100, 0.95), 1e-4: (1000, 0.65), 1e-8: (500, 0.5)},
    "zero_row": {1e-2: (0, 1.0), 1e-4: (0, 1.0), 1e-8: (0, 1.0)},
    "zero_in_hull": {1e-2: (500, 0.95), 1e-4: (1000, 0.45), 1e-8: (1000, 0.3)},
    "rank_deficient": {1e-2: (1000, 0.95), 1e-4: (500, 0.35), 1e-8: (1000, 0.35)},
    "collection": {1e-2: (500, 0.95), 1e-4: (1000, 0.55), 1e-8: (1000, 0.4)},
    "recorded": {1e-2: (1000, 0.3), 1e-4: (1000, 0.0), 1e-8: (1000, 0.0)},
}

ALGORITHM = Algorithm(
    name="frank_wolfe",
    summary="Frank-Wolfe with exact line search",
    iterative=True,
    monotone=True,
    start=start,
    step=step,
    bound=bound,
    reach=REACH,
)
