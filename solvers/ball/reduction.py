"""The reduction to the min-norm problem: one scalar root, the support and not the root being what is searched for.

√x = min_t (x/t + t)/2 turns F into min over s > 0 of hᵀw + ‖u‖²/(2s) + s c² q²/2. At a fixed s the best w minimises
½‖u + s g0‖²: it is the min-norm weights of the shifted rows g_i + s g0, whose Gramian is
G + s (h 1ᵀ + 1 hᵀ) + s² q² 1 1ᵀ. The function of s is convex, its derivative (c² q² − ‖u(s)‖²/s²)/2 rises: the solution
is where ‖u(s)‖ = s c q, and on either side the sign of ‖u(s)‖ − s c q says where to go.

While the support S stays the same, u(s) is the point of the affine hull of S nearest to −s g0: u(s) = a − s b with a
the hull's point nearest to 0 and b the part of g0 along the hull, orthogonal to a. So ‖u(s)‖² = ‖a‖² + s² ‖b‖², the
root of the piece is s = ‖a‖/√(c² q² − ‖b‖²), and where S is the right support this is the solution, to be polished on
S. Otherwise the root is the next s: Newton's method in s², on a function that is piecewise linear in s², hence finite;
two or three solves of ``min_norm`` are usual. A root outside the bracket is replaced by the bracket's geometric mean.
Where c >= 1 the first s is 0: if 0 is in the hull, d = 0 is optimal and these are the weights.

On S, scaled by powers of two s_i next to √G_ii (v_i = min_j s_j / s_i, w_i ∝ v_i x_i, C = D⁻¹ G D⁻¹,
η_i = h_i/(s_i min_j s_j)), the conditions are Cx + sη = μv, vᵀx = 1, and M = C + v vᵀ is positive definite on every
affinely independent support. Its Cholesky factor is computed in float64, the residuals in twice that precision.

Source: for solutions linear in a parameter between changes of the support, H. Markowitz, Naval Research Logistics
Quarterly 3 (1956).
"""

from __future__ import annotations

from math import frexp, ldexp, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import min_norm
from ..algorithm import Algorithm
from ..compiled import compiled, dot, inner, plain, residual
from ..gramian import Array
from .problem import EPS, ZERO, Ball, vertex

FAR = 16.0
"""The factor by which s moves while its bracket is open on that side."""
SAME = 1e-12
"""Relative distance of two s that are one and the same but for rounding."""
SWEEPS = 8
"""Refinements of one solution: each gains log10(1/(eps condition)) digits, so 8 make up for a condition of 1e14."""


class State(NamedTuple):
    """The next s to try lies in (low, high), unless it is 0; ``finished``: there is no other."""

    weights: Array
    shift: float
    low: float = 0.0
    high: float = float("inf")
    finished: bool = False


def start(ball: Ball, exponent: int) -> State:
    """Everything on the task k of the smallest F(e_i); s = min(1, d_k/q)/c, the root if ‖u‖ were d_k or q."""
    values = ball.high + ball.radius * ball.mean_length * ball.lengths
    k = int(values.argmin())
    ratio = min(1.0, float(ball.lengths[k]) / ball.mean_length)
    return State(vertex(len(values), k), 0.0 if ball.radius >= 1.0 else ratio / ball.radius)


def step(ball: Ball, state: State, products: Array, iteration: int) -> State:
    """One min-norm problem, and the root of the piece on its support."""
    if state.finished:
        return state
    s, low, high = state.shift, state.low, state.high
    weights = min_norm.solve(shifted(ball.gramian, ball.high, ball.mean_length, s)).weights
    square, length = float(weights @ (ball.gramian @ weights)), float(weights @ ball.lengths)
    if not square > len(weights) * ZERO * length**2:
        return state._replace(weights=weights, finished=True)
    reach = ball.radius * ball.mean_length
    low, high = (s, high) if s * reach < sqrt(square) else (low, s)
    x, root = piece(ball.gramian, ball.high, ball.low, reach, plain(weights))
    if root > 0.0:
        weights = x
    # Where the support found at the root is the one whose root it is, there is nothing else to try.
    finished = abs(root - s) <= SAME * s or high <= low * (1.0 + SAME)
    return State(weights, root if low < root < high else between(low, high, ball.radius), low, high, finished)


def between(low: float, high: float, radius: float) -> float:
    """A point of the bracket in the middle of its logarithms, or well inside where it is open."""
    if low > 0.0:
        return (low * high) ** 0.5 if high < np.inf else FAR * low
    return high / FAR if high < np.inf else 1.0 / radius


@compiled
def shifted(gramian: Array, h: Array, mean_length: float, s: float) -> Array:
    """The Gramian of the rows g_i + s g0, kept within Cauchy-Schwarz where they cancel to rounding."""
    size = len(h)
    result = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            result[i, j] = gramian[i, j] + (s * h[i] + s * h[j]) + (s * mean_length) ** 2
        result[i, i] = max(result[i, i], 0.0)
    for i in range(size):
        for j in range(i):
            limit = sqrt(result[i, i]) * sqrt(result[j, j])
            result[i, j] = result[j, i] = min(max(result[i, j], -limit), limit)
    return result


@compiled
def piece(gramian: Array, high: Array, low: Array, reach: float, start: Array) -> tuple[Array, float]:
    """(weights, s) with ‖u(s)‖ = s c q on the affine hull of the support of ``start``, negative weights set to 0.

    ``reach`` is c q. s is not a positive number where the hull holds no such point, or the support is dependent.
    """
    support = np.flatnonzero(start)
    size = len(support)
    weights = np.zeros(len(start))
    rows, least = scaled_rows(gramian, high, low, support)
    x, s = root_of(rows, reach * ldexp(1.0, -least))
    total = 0.0
    for i in range(size):
        weights[support[i]] = max(rows[i, size] * x[i], 0.0)
        total += weights[support[i]]
    if not total > 0.0:
        return weights, np.nan
    for i in range(size):
        weights[support[i]] /= total
    return weights, s


@inner
def scaled_rows(gramian: Array, high: Array, low: Array, support: NDArray[np.intp]) -> tuple[Array, int]:
    """The rows (C, v, η) of the support, η as two columns, and e with min_j s_j = 2ᵉ.

    A product of such rows with (x, ·, s, s) in twice the precision is one sum.
    """
    size = len(support)
    exponents = np.empty(size, dtype=np.int64)
    for i in range(size):
        exponents[i] = (frexp(gramian[support[i], support[i]])[1] + 1) // 2
    least = int(exponents.min())
    rows = np.empty((size, size + 3))
    for i in range(size):
        unit = ldexp(1.0, -int(exponents[i]))
        for j in range(size):
            rows[i, j] = gramian[support[i], support[j]] * unit * ldexp(1.0, -int(exponents[j]))
        rows[i, size] = ldexp(1.0, least - int(exponents[i]))
        rows[i, size + 1] = high[support[i]] * unit * ldexp(1.0, -least)
        rows[i, size + 2] = low[support[i]] * unit * ldexp(1.0, -least)
    return rows, least


@inner
def root_of(rows: Array, slope: float) -> tuple[Array, float]:
    """(x, s) with Cx + sη = μv, vᵀx = 1 and xᵀCx = (slope s)²; (0, NaN) where there is none.

    x = α + s β by two solutions p, r of M p = v, M r = η; then Newton's method on all three at once.
    """
    size = len(rows)
    nothing = np.zeros(size)
    v = rows[:, size].copy()
    factor = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            factor[i, j] = rows[i, j] + v[i] * v[j]
    if not cholesky(factor):
        return nothing, np.nan
    p = solved(factor, rows, v, 0.0)
    r = solved(factor, rows, nothing, -1.0)
    through, share = product(v, p), product(v, r)
    x = np.zeros(size)
    move(x, 1.0 / through, p)
    beta = np.zeros(size)
    move(beta, share / through, p)
    move(beta, -1.0, r)
    # βᵀCβ = −βᵀη, because Cβ + η is a multiple of v and vᵀβ = 0.
    bend = slope**2 + product(beta, rows[:, size + 1].copy())
    start_square = square(rows, x)
    if not (bend > 0.0 and start_square > 0.0):
        return nothing, np.nan
    s = sqrt(start_square / bend)
    move(x, s, beta)
    t = np.empty(size + 3)
    y = np.empty(size)
    mu = (1.0 + s * share) / through - 1.0
    for _ in range(2):
        for i in range(size):
            t[i] = x[i]
        t[size] = -mu
        t[size + 1] = t[size + 2] = s
        residual(rows, t, nothing, y)
        substitute(factor, y)
        missing = 1.0 - product(v, x)
        along = (missing - product(v, y)) / through
        move(x, 1.0, y)
        move(x, along, p)
        mu += along - missing
        change = (square(rows, x) - (slope * s) ** 2) / (2.0 * s * bend)
        move(x, change, beta)
        s += change
        mu += change * share / through
    return x, s


@inner
def solved(factor: Array, rows: Array, right: Array, share: float) -> Array:
    """The solution of (C + v vᵀ) x = right − share η by the factor, refined until the corrections are rounding."""
    size = len(right)
    x = np.zeros(size)
    y = np.empty(size)
    t = np.zeros(size + 3)
    t[size + 1] = t[size + 2] = share
    before = 0.0
    for _ in range(SWEEPS):
        t[size] = 0.0
        for i in range(size):
            t[i] = x[i]
            t[size] += rows[i, size] * x[i]
        residual(rows, t, right, y)
        substitute(factor, y)
        move(x, 1.0, y)
        # The corrections fall geometrically: the next one would be this one times the rate seen.
        whole = last = 0.0
        for i in range(size):
            whole += x[i] * x[i]
            last += y[i] * y[i]
        if last * last <= EPS**2 * whole * before:
            break
        before = last
    return x


@inner
def move(x: Array, length: float, direction: Array) -> None:
    """Add ``length`` times ``direction`` to ``x``."""
    for i in range(len(x)):
        x[i] += length * direction[i]


@inner
def product(x: Array, y: Array) -> float:
    """xᵀy, summed in twice the precision."""
    return dot(x, y)[0]


@inner
def square(rows: Array, x: Array) -> float:
    """xᵀCx, summed in twice the precision."""
    products = np.empty(len(x))
    for i in range(len(x)):
        products[i] = dot(x, rows[i])[0]
    return dot(products, x)[0]


@inner
def cholesky(matrix: Array) -> bool:
    """Overwrite ``matrix`` by its lower Cholesky factor; false where a pivot is not positive."""
    size = len(matrix)
    column = np.empty(size)
    for j in range(size):
        if not matrix[j, j] > 0.0:
            return False
        matrix[j, j] **= 0.5
        for i in range(j + 1, size):
            matrix[i, j] /= matrix[j, j]
            column[i] = matrix[i, j]
        for i in range(j + 1, size):
            for k in range(j + 1, i + 1):
                matrix[i, k] -= column[i] * column[k]
    return True


@inner
def substitute(factor: Array, x: Array) -> None:
    """Overwrite ``x`` by the solution of L Lᵀ y = x."""
    size = len(x)
    for i in range(size):
        for j in range(i):
            x[i] -= factor[i, j] * x[j]
        x[i] /= factor[i, i]
    for i in range(size - 1, -1, -1):
        x[i] /= factor[i, i]
        for j in range(i):
            x[j] -= factor[i, j] * x[i]


ALGORITHM = Algorithm(
    name="reduction",
    summary="min-norm problems on shifted rows, with one scalar root; the default",
    iterative=False,
    start=start,
    step=step,
    reach={},
)
