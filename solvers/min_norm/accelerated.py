"""FISTA with restarts: projected gradient steps with momentum, in coordinates in which every gradient is a unit vector.

Scale as ``exact`` does: C = D⁻¹ G D⁻¹ with D = diag(d_i), d_i = √G_ii, v_i = min_j d_j / d_i, w_i = v_i y_i. Then f is
½ yᵀCy in the unit min_i G_ii, over S = {y >= 0, vᵀy = 1}, and unequal norms do not make it ill-conditioned. From the
point of S nearest to 0, y ∝ v (the solution for orthogonal gradients, w_i ∝ 1/d_i²),

    z = y + (t − 1)/t' (y − y_before),   t' = (1 + √(1 + 4t²))/2,   t = 1 at first,
    y' = the point of S nearest to z − Cz / L,   L = λ_max(PCP),   P = I − v vᵀ / vᵀv.

Only directions along S count for the smoothness, hence P; what all gradients have in common drops out of L. The
projection is exact: y_i = v_i (z_i / v_i − θ)₊ with θ from sorting z_i / v_i. Cz is combined from the products of y and
y_before, so a step costs no product of its own.

Restart (t = 1, y' from z = y) where ‖y' − y‖ < ‖z − y‖. Since f(y') <= f(y) + (L/2)(‖z − y‖² − ‖y' − y‖²) always, f
never rises.

Bound, with A = L ‖y_0 − y*‖²: f − f* <= 2A / (n + 1)² after n steps without a restart, and 2A / (k + 3) after k >= 1
with any restarts. Every y is a mean of points within ‖y_0 − y*‖ of y*, so each run of n steps begins no farther away;
it ends at f(y_n) <= f(x) + 2L ‖y_0 − x‖² / (n + 1)² for all x in S, and the best x between its start and y* gives
1/h growing by (n + 1)²/(8A) >= n/(2A), h = f − f*; in the first run 1/h is at least (n + 1)²/(2A) >= (n + 3)/(2A).
‖y_0 − y*‖² = ‖y*‖² − ‖y_0‖² is at most max_i 1/v_i² − 1/vᵀv.

Source: A. Beck & M. Teboulle, SIAM J. Imaging Sciences 2 (2009); restarts: B. O'Donoghue & E. Candès, arXiv 1204.3982;
W. Su, S. Boyd & E. Candès, arXiv 1503.01243, section 5 (speed restart).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..algorithm import Algorithm, Reach
from ..gramian import Array
from .problem import EPS


class State(NamedTuple):
    """Weights, y and the one before, Cy of the one before, t of this step; v and 1/L do not change."""

    weights: Array
    y: Array
    before: Array
    slopes_before: Array
    momentum: float
    v: Array
    step_size: float


def start(gramian: Array, exponent: int) -> State:
    """y ∝ v; no momentum."""
    v, curvature = scaling(gramian)
    y = v / (v @ v)
    # L = 0 up to rounding: equal gradients, every y is optimal.
    size = 1.0 / curvature if curvature > EPS**2 else 0.0
    return State(weights_of(v, y), y, y, np.zeros(len(v)), 1.0, v, size)


def step(gramian: Array, state: State, products: Array, iteration: int) -> State:
    """One step with momentum; without, where momentum would slow it down."""
    y, v = state.y, state.v
    slopes = v * products / gramian.diagonal().min()
    momentum, share = advanced(state.momentum)
    ahead = share * (y - state.before)
    moved = projected(y + ahead - state.step_size * (slopes + share * (slopes - state.slopes_before)), v)
    change = moved - y
    if change @ change < ahead @ ahead:
        momentum = advanced(1.0)[0]
        moved = projected(y - state.step_size * slopes, v)
    if (moved == y).all():
        return state
    return State(weights_of(v, moved), moved, y, slopes, momentum, v, state.step_size)


def advanced(momentum: float) -> tuple[float, float]:
    """(t', (t − 1)/t')."""
    following = (1.0 + (1.0 + 4.0 * momentum**2) ** 0.5) / 2.0
    return following, (momentum - 1.0) / following


def projected(z: Array, v: Array) -> Array:
    """The point of {y >= 0, vᵀy = 1} nearest to ``z``."""
    ratios = z / v
    # A shift along v changes nothing; this one keeps long steps from cancelling in the sums.
    ratios -= ratios.max()
    order = np.argsort(-ratios, kind="stable")
    squares = (v * v)[order]
    # θ as if the first n tasks in this order were the support: right for the largest n whose last y_i is positive.
    thresholds = (np.cumsum(squares * ratios[order]) - 1.0) / np.cumsum(squares)
    support = int(np.count_nonzero(ratios[order] > thresholds))
    return v * np.maximum(ratios - thresholds[support - 1], 0.0)


def weights_of(v: Array, y: Array) -> Array:
    """w_i = v_i y_i, their sum 1 to rounding."""
    weights = v * y
    return weights / weights.sum()


def scaling(gramian: Array) -> tuple[Array, float]:
    """(v, L)."""
    lengths = np.sqrt(gramian.diagonal().astype(np.longdouble))
    v = lengths.min() / lengths
    # Extended: of nearly equal gradients float64 would leave little but rounding across v.
    cosines = gramian.astype(np.longdouble) / lengths[:, None] / lengths
    along = cosines @ v / (v @ v)
    across = cosines - v[:, None] * along - along[:, None] * v + (v @ along) / (v @ v) * v[:, None] * v
    return v.astype(np.float64), float(np.linalg.eigvalsh(across.astype(np.float64))[-1])


def bound(gramian: Array, iteration: Any) -> Any:
    """2 L (R² − 1/Σ_i 1/d_i²) / (k + 3) with R = max_i d_i; nothing is said of the start."""
    squares = gramian.diagonal()
    if squares.min() == 0.0:
        return np.full(np.shape(iteration), np.inf)
    farthest = float(squares.max() - 1.0 / np.sum(1.0 / squares))
    return np.where(np.less(iteration, 1), np.inf, 2.0 * scaling(gramian)[1] * farthest / np.add(iteration, 3))


# Gaps relative to min_i G_ii; measured shares less a margin for other seeds.
REACH: Reach = {
    "gaussian": {1e-2: (20, 0.95), 1e-4: (50, 0.95), 1e-8: (100, 0.95)},
    "norms_1_to_1e3": {1e-2: (50, 0.95), 1e-4: (100, 0.95), 1e-8: (200, 0.95)},
    "near_collinear": {1e-2: (1, 0.95), 1e-4: (10, 0.95), 1e-8: (10, 0.95)},
    "duplicated_rows": {1e-2: (20, 0.95), 1e-4: (50, 0.95), 1e-8: (100, 0.95)},
    "zero_row": {1e-2: (0, 1.0), 1e-4: (0, 1.0), 1e-8: (0, 1.0)},
    "zero_in_hull": {1e-2: (50, 0.95), 1e-4: (100, 0.95), 1e-8: (200, 0.95)},
    "rank_deficient": {1e-2: (50, 0.95), 1e-4: (200, 0.95), 1e-8: (1000, 0.95)},
    "collection": {1e-2: (50, 0.9), 1e-4: (100, 0.95), 1e-8: (200, 0.95)},
    "recorded": {1e-2: (50, 0.95), 1e-4: (100, 0.95), 1e-8: (200, 0.9)},
}

ALGORITHM = Algorithm(
    name="accelerated",
    summary="FISTA with restarts on the scaled simplex",
    iterative=True,
    monotone=True,
    start=start,
    step=step,
    bound=bound,
    reach=REACH,
)
