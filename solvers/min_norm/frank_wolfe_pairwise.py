"""Pairwise Frank-Wolfe: weight goes from the worst task of the support straight to the best of all.

From the shortest gradient's vertex. With s = argmin_i (Gw)_i and a = argmax_{w_i > 0} (Gw)_i:

    w ← w + γ (e_s − e_a),   γ = clip(((Gw)_a − (Gw)_s) / (G_ss − 2 G_sa + G_aa), 0, w_a),

the denominator being ‖g_s − g_a‖². The other weights stay as they are; at γ = w_a the task a leaves, exactly. f never
rises, and it falls linearly over the steps with γ < w_a. A step makes the two products equal, so ties are the rule, not
the exception, and rounding must not break them: of products that are equal within it the larger weight counts (then the
lowest index), whatever the order of the tasks.

No bound after k steps is stated. A step with γ < w_a makes 1/(f − f*) grow by 1/(2D²), D = max_ij ‖g_i − g_j‖, as in
``frank_wolfe_away``. But between two of these there may be *swap steps*, which hand all of w_a to a task outside the
support and lower f by next to nothing; that no weights return bounds their number, by 3 K!, and this is
all that is known. In practice the method is the fastest of its family.

Source: S. Lacoste-Julien & M. Jaggi, arXiv 1511.05932, algorithm 2 and theorem 1; B. Mitchell, V. Demyanov &
V. Malozemov, SIAM Journal on Control 12 (1974).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..algorithm import Algorithm, Reach
from ..gramian import Array
from .problem import EPS, cheapest_vertex, vertex


class State(NamedTuple):
    """Weights, those above 0 being the support, and the norms d_i, which do not change."""

    weights: Array
    lengths: Array


def start(gramian: Array, exponent: int) -> State:
    """Everything on the shortest gradient."""
    return State(vertex(len(gramian), cheapest_vertex(gramian)), np.sqrt(gramian.diagonal()))


def step(gramian: Array, state: State, products: Array, iteration: int) -> State:
    """One line search along the pair."""
    weights, lengths = state
    rounding = 4.0 * len(weights) * EPS * (lengths @ weights) * lengths
    lowest, highest = products.min(), products[weights > 0.0].max()
    s = int(np.where(products - rounding <= lowest, 1.0 + weights, 0.0).argmax())
    a = int(np.where(products + rounding >= highest, weights, 0.0).argmax())
    slope = products[a] - products[s]
    # The gap is a mean of such slopes: where the largest is 0, so is the gap.
    if slope <= 0.0:
        return state
    weights = weights.copy()
    curvature = gramian[s, s] - 2.0 * gramian[s, a] + gramian[a, a]
    length = slope / curvature if curvature * weights[a] > slope else weights[a]
    weights[a] -= length
    weights[s] += length
    return State(weights / weights.sum(), lengths)


# Gaps relative to min_i G_ii; measured shares less a margin for other seeds.
REACH: Reach = {
    "gaussian": {1e-2: (100, 0.95), 1e-4: (500, 0.95), 1e-8: (1000, 0.9)},
    "norms_1_to_1e3": {1e-2: (1000, 0.7), 1e-4: (1000, 0.65), 1e-8: (1000, 0.6)},
    "near_collinear": {1e-2: (1, 0.95), 1e-4: (1, 0.95), 1e-8: (1, 0.95)},
    "duplicated_rows": {1e-2: (100, 0.95), 1e-4: (200, 0.95), 1e-8: (500, 0.95)},
    "zero_row": {1e-2: (0, 1.0), 1e-4: (0, 1.0), 1e-8: (0, 1.0)},
    "zero_in_hull": {1e-2: (200, 0.95), 1e-4: (1000, 0.95), 1e-8: (1000, 0.7)},
    "rank_deficient": {1e-2: (100, 0.95), 1e-4: (1000, 0.9), 1e-8: (1000, 0.75)},
    "collection": {1e-2: (500, 0.9), 1e-4: (1000, 0.85), 1e-8: (1000, 0.65)},
    "recorded": {1e-2: (500, 0.95), 1e-4: (500, 0.9), 1e-8: (1000, 0.8)},
}

ALGORITHM = Algorithm(
    name="frank_wolfe_pairwise",
    summary="pairwise Frank-Wolfe with exact line search",
    iterative=True,
    monotone=True,
    start=start,
    step=step,
    reach=REACH,
)
