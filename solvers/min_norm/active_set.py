"""Wolfe's active set, as Lawson and Hanson's on a well-scaled matrix: exact after finitely many steps.

Scale with D = diag(s_i), s_i ≈ √G_ii: C = D⁻¹ G D⁻¹, v_i = min_j s_j / s_i <= 1. The min-norm weights are
w_i ∝ v_i x_i, where x >= 0 minimises ½ xᵀ(C + v vᵀ)x − vᵀx: at the minimum Cx >= (1 − vᵀx) v with equality on the
support, which is (Gw)_i >= wᵀGw. M = C + v vᵀ is positive definite on every affinely independent support, even where G
is singular or 0 lies in the hull. s_i is the power of two next to √G_ii, so that scaling rounds nothing: the diagonal
of C lies in [¼, 1), and "unit diagonal" is meant up to that factor.

The first step is compiled block pivoting in float64 (:mod:`.pivoting`), which the certificate nearly always accepts.
Otherwise its support is solved again in extended precision, and from there each step adds the task that violates
Cx >= (1 − vᵀx) v most, its row appended to the Cholesky factor; where an x_i would become negative, the step walks to
the boundary and drops that task. Solutions are refined with residuals in extended precision, twice where they are made
anew; a factor with a pivot below 1e-10 (tasks that nearly depend on each other) is computed in extended precision
altogether.

Source: P. Wolfe, Finding the nearest point in a polytope, Mathematical Programming 11 (1976); C. Lawson & R. Hanson,
Solving Least Squares Problems (1974), chapter 23; finite, because every step lowers f to the minimum over its support,
so that no support returns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtrs

from ..algorithm import Algorithm, everywhere
from ..gramian import Array
from .pivoting import weighed
from .problem import EPS, Extended, best_rounding, cheapest_vertex, vertex
from .quick import quick

Indices = NDArray[np.intp]
Factor = Array | Extended
"""A lower Cholesky factor: float64 where refinement makes up for its rounding, extended where it could not."""

SMALL_PIVOT = 1e-10
DUST = (1e-14, 1e-11, 1e-8)


class System(NamedTuple):
    """M = C + v vᵀ and v, in float64 for the factors and in extended precision for the residuals."""

    matrix: Array
    v: Array
    exact_matrix: Extended
    exact_v: Extended


class State(NamedTuple):
    """``x`` solves the system on ``support`` (in the order of the Cholesky ``factor``); ``barred`` may not enter.

    ``trims``: how many shares of :data:`DUST` were tried. Before extended precision begins there are weights only.
    """

    weights: Array
    pivoted: bool = False
    system: System | None = None
    x: Extended = np.empty(0, dtype=np.longdouble)
    support: Indices = np.empty(0, dtype=np.intp)
    factor: Factor = np.empty((0, 0))
    barred: frozenset[int] = frozenset()
    trims: int = 0


def start(gramian: Array, exponent: int) -> State:
    """Everything on the shortest gradient."""
    return State(vertex(len(gramian), cheapest_vertex(gramian)))


def step(gramian: Array, state: State, products: Array, iteration: int) -> State:
    """Block pivoting in float64; the same support in extended precision; from then on one task enters in each step."""
    if not state.pivoted:
        return State(weighed(gramian)[0], pivoted=True)
    if state.system is None:
        return begun(gramian, state.weights)
    system, x = state.system, state.x
    descent = (system.exact_v - system.exact_matrix @ x).astype(np.float64)
    descent[state.support] = 0.0
    if state.barred:
        descent[list(state.barred)] = 0.0
    entering = int(descent.argmax())
    if descent[entering] <= 0.0:
        return trimmed(gramian, state)
    new_x, support, factor = entered(system, state, entering, float(descent[entering]))
    if not value(system, new_x) < value(system, x):
        # Only rounding said that this task lowers f: barred until another one does, so no support ever returns.
        return state._replace(barred=state.barred | {entering})
    return State(weights_of(system, new_x), True, system, new_x, support, factor, trims=state.trims)


def trimmed(gramian: Array, state: State) -> State:
    """Nothing is violated, yet the driver goes on: drop the tasks whose x_i may be the rounding of the others.

    Where long gradients oppose each other exactly, x is large and the system nearly singular: what should be 0 comes
    out as 1e-15 to 1e-8 of the largest x_i, and the long gradients multiply it. Each share is tried once; the last try
    is another rounding of the weights.
    """
    assert state.system is not None
    for trims in range(state.trims, len(DUST)):
        kept = state.support[state.x[state.support] > DUST[trims] * state.x.max()]
        if len(kept) < len(state.support):
            x = np.where(state.x > DUST[trims] * state.x.max(), state.x, 0)
            x, support, factor = walk(state.system, x, kept)
            weights = weights_of(state.system, x)
            return State(weights, True, state.system, x, support, factor, state.barred, trims + 1)
    if state.trims > len(DUST):
        return state
    last = state.system.exact_v * state.x
    return state._replace(weights=best_rounding(gramian, last / last.sum()), trims=len(DUST) + 1)


def scaled_system(gramian: Array) -> System:
    """C + v vᵀ and v for the Gramian."""
    exponents = (np.frexp(gramian.diagonal())[1] + 1) // 2
    inverse = np.ldexp(1.0, -exponents)
    v = np.ldexp(1.0, exponents.min() - exponents)
    scaled = gramian * inverse[:, None] * inverse
    exact_v = v.astype(np.longdouble)
    exact_matrix = scaled.astype(np.longdouble) + exact_v[:, None] * exact_v
    return System(scaled + v[:, None] * v, v, exact_matrix, exact_v)


def weights_of(system: System, x: Extended) -> Array:
    """w_i ∝ v_i x_i."""
    weights = system.exact_v * x
    return (weights / weights.sum()).astype(np.float64)


def value(system: System, x: Extended) -> np.longdouble:
    """½ xᵀMx − vᵀx, in extended precision."""
    return np.longdouble(x @ (system.exact_matrix @ x / 2 - system.exact_v))


def begun(gramian: Array, weights: Array) -> State:
    """The minimum on the support of ``weights``; on the shortest gradient alone if that is lower."""
    system = scaled_system(gramian)
    alone = vertex(len(weights), cheapest_vertex(gramian))
    starts = [w / system.exact_v for w in (weights, alone)]
    found = [walk(system, shortened(system, x), np.flatnonzero(x)) for x in starts]
    x, support, factor = min(found, key=lambda entry: value(system, entry[0]))
    return State(weights_of(system, x), True, system, x, support, factor)


def shortened(system: System, x: Extended) -> Extended:
    """``x`` times the number that makes f least."""
    best: Extended = x * ((system.exact_v @ x) / (x @ (system.exact_matrix @ x)))
    return best


def entered(system: System, state: State, entering: int, descent: float) -> tuple[Extended, Indices, Factor]:
    """Let a task enter: move along the line on which the support stays optimal, to its minimum or to the boundary.

    The line's curvature is the pivot of the longer Cholesky factor. It is computed in extended precision: for a task
    that depends on the support it is 0 up to rounding, and then the boundary, not the pivot, has to end the move.
    """
    support, factor, x = state.support, state.factor, state.x
    column = system.exact_matrix[support, entering]
    direction = np.zeros(len(x), dtype=np.longdouble)
    direction[support] = -solved(system, support, factor, column, refinements=1)
    direction[entering] = 1.0
    curvature = direction @ (system.exact_matrix @ direction)
    length = descent / curvature if curvature > 0.0 else np.longdouble(np.inf)
    longer = np.concatenate([support, [entering]])
    first, reach = boundary(x, direction, support)
    if reach <= length:
        # Also where neither ends the move (both infinite): x stays, and the step lowers nothing.
        if not np.isfinite(reach):
            return x, support, factor
        moved = np.maximum(x + reach * direction, 0)
        moved[first] = 0.0
        return walk(system, moved, longer[longer != first])
    moved = x + length * direction
    if curvature < SMALL_PIVOT or factor.dtype != np.float64:
        return walk(system, moved, longer)
    size = len(support)
    appended = np.zeros((size + 1, size + 1), order="F")
    appended[:size, :size] = factor
    appended[size, :size] = dtrtrs(factor, column.astype(np.float64), lower=1)[0]
    appended[size, size] = np.sqrt(curvature)
    # The end of the line is the minimum on the longer support already, up to the rounding that this removes.
    residual = (system.exact_v - system.exact_matrix @ moved)[longer].astype(np.float64)
    values = moved[longer] + dpotrs(appended, residual, lower=1)[0]
    if not values.min() > EPS * values.max():
        return walk(system, moved, longer)
    return spread(values, longer, len(x)), longer, appended


def walk(system: System, x: Extended, support: Indices) -> tuple[Extended, Indices, Factor]:
    """Go from the feasible ``x`` to the minimum on ``support``; drop what reaches 0 on the way, and go on.

    Where M is not positive definite on the support the walk follows a direction of no curvature down to the boundary.
    """
    while True:
        factor, failed = cholesky(system, support)
        if failed is None:
            values = solved(system, support, factor, system.exact_v[support])
            smallest = values.min()
            if smallest > EPS * values.max():
                return spread(values, support, len(x)), support, factor
            direction = spread(values, support, len(x)) - x
            if smallest > 0.0:
                # The rounding of the large x_i: on a short gradient nothing, but a long one would multiply it.
                x = x + direction
                x[support[values.argmin()]] = 0.0
                support = support[x[support] > 0.0]
                continue
        else:
            direction = flat_direction(system, x, support, factor, failed)
        first, reach = boundary(x, direction, support)
        if np.isfinite(reach):
            x = np.maximum(x + reach * direction, 0)
        else:
            # Rounding hid the boundary: the smallest gives way, which the caller's test of f judges.
            first = int(support[x[support].argmin()])
            x = x.copy()
        x[first] = 0.0
        support = support[support != first]


def boundary(x: Extended, direction: Extended, support: Indices) -> tuple[int, np.longdouble]:
    """The task of the support that reaches 0 first along ``direction``, and after which length (infinite: none)."""
    shrinking = support[direction[support] < 0.0]
    if not len(shrinking):
        return -1, np.longdouble(np.inf)
    ratios = x[shrinking] / -direction[shrinking]
    first = int(ratios.argmin())
    return int(shrinking[first]), ratios[first]


def flat_direction(system: System, x: Extended, support: Indices, factor: Factor, place: int) -> Extended:
    """p with p_place = ±1 and Mp = 0 on the tasks before ``place``, signed so that f does not rise along it."""
    before = support[:place]
    direction = np.zeros(len(x), dtype=np.longdouble)
    direction[support[place]] = 1.0
    if place:
        column = system.exact_matrix[before, support[place]]
        direction[before] = -solved(system, before, factor[:place, :place], column)
    slope = direction @ (system.exact_matrix @ x - system.exact_v)
    return direction if slope <= 0.0 else -direction


def spread(values: Extended, support: Indices, size: int) -> Extended:
    """``values`` on the support, 0 elsewhere."""
    x = np.zeros(size, dtype=np.longdouble)
    x[support] = values
    return x


def cholesky(system: System, support: Indices) -> tuple[Factor, int | None]:
    """(factor of M_SS, None), or (its leading part, place of the first pivot that is not positive)."""
    factor, failed = dpotrf(system.matrix[support[:, None], support], lower=1)
    if not failed and factor.diagonal().min() ** 2 >= SMALL_PIVOT:
        return factor, None
    matrix = system.exact_matrix[support[:, None], support]
    exact = np.zeros_like(matrix)
    for j in range(len(support)):
        column = matrix[j:, j] - exact[j:, :j] @ exact[j, :j]
        if not column[0] > 0.0:
            return exact, j
        exact[j:, j] = column / np.sqrt(column[0])
    return exact, None


def solved(system: System, support: Indices, factor: Factor, right: Extended, refinements: int = 2) -> Extended:
    """The solution of M_SS y = right: by an extended factor directly, by a float64 factor with refinements."""
    if factor.dtype != np.float64:
        return substituted(factor, right)
    matrix = system.exact_matrix[support[:, None], support]
    solution = dpotrs(factor, right.astype(np.float64), lower=1)[0].astype(np.longdouble)
    for _ in range(refinements):
        residual = (right - matrix @ solution).astype(np.float64)
        solution = solution + dpotrs(factor, residual, lower=1)[0]
    return solution


def substituted(factor: Factor, right: Extended) -> Extended:
    """L Lᵀ y = right by forward and backward substitution."""
    y = right.copy()
    for i in range(len(y)):
        y[i] = (y[i] - factor[i, :i] @ y[:i]) / factor[i, i]
    for i in reversed(range(len(y))):
        y[i] = (y[i] - factor[i + 1 :, i] @ y[i + 1 :]) / factor[i, i]
    return y


ALGORITHM = Algorithm(
    name="active_set",
    summary="Wolfe's active set on the scaled matrix: exact in finitely many steps; the default",
    iterative=False,
    monotone=True,
    start=start,
    step=step,
    quick=quick,
    reach=everywhere(1000),
)
