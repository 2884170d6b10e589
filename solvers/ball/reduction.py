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

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import min_norm
from ..algorithm import Algorithm
from ..compiled import compiled, dot, plain, residual
from ..gramian import Array
from .problem import EPS, Ball, standing

FAR = 16.0
"""The factor by which s moves while its bracket is open on that side."""
SAME = 1e-12
"""Relative distance of two s that are one and the same but for rounding."""
SWEEPS = 8
"""Refinements of one solution: each gains log10(1/(eps condition)) digits, so 8 make up for a condition of 1e14."""


class System(NamedTuple):
    """C, v, η = high + low, and c q / min_j s_j, what ‖u‖/s is to be."""

    cosines: Array
    v: Array
    high: Array
    low: Array
    slope: float


class State(NamedTuple):
    """The next s to try lies in (low, high), unless it is 0."""

    weights: Array
    system: System
    shift: float
    low: float = 0.0
    high: float = float("inf")


def start(ball: Ball, exponent: int) -> State:
    """Everything on the task of the smallest h_i, the solution for small c; s = 1/c, the root if u were g0."""
    weights = np.zeros(len(ball.gramian))
    weights[int(ball.mean_products.argmin())] = 1.0
    return State(weights, scaled_system(ball), 0.0 if ball.radius >= 1.0 else 1.0 / ball.radius)


def step(ball: Ball, state: State, products: Array, iteration: int) -> State:
    """One min-norm problem, and the root of the piece on its support."""
    s, system = state.shift, state.system
    if not state.high > state.low * (1.0 + 4.0 * EPS) or (iteration > 1 and standing(ball, state.weights, products)):
        return state
    weights = min_norm.solve(shifted(ball, s)).weights
    products = ball.gramian @ weights
    if standing(ball, weights, products):
        return state._replace(weights=weights)
    if s * ball.radius * ball.mean_length < float(weights @ products) ** 0.5:
        low, high = s, state.high
    else:
        low, high = state.low, s
    x, root = piece(*system, np.flatnonzero(weights))
    if root > 0.0:
        weights = x
    if abs(root - s) <= SAME * s:
        # The support found at the root is the one whose root this is: there is nothing else to try.
        low = high = s
    elif not low < root < high:
        root = between(low, high, ball.radius)
    return State(weights, system, root, low, high)


def between(low: float, high: float, radius: float) -> float:
    """A point of the bracket in the middle of its logarithms, or well inside where it is open."""
    if low > 0.0:
        return (low * high) ** 0.5 if high < np.inf else FAR * low
    return high / FAR if high < np.inf else 1.0 / radius


def shifted(ball: Ball, s: float) -> Array:
    """The Gramian of the rows g_i + s g0, kept within Cauchy-Schwarz where they cancel to rounding."""
    if s == 0.0:
        return ball.gramian
    along = s * ball.mean_products.astype(np.float64)
    gramian: Array = ball.gramian + (along[:, None] + (along + (s * ball.mean_length) ** 2))
    lengths = np.sqrt(np.maximum(gramian.diagonal(), 0.0))
    limit = lengths[:, None] * lengths
    return np.clip(gramian, -limit, limit)


def scaled_system(ball: Ball) -> System:
    """C, v and η for the ball."""
    exponents = (np.frexp(ball.gramian.diagonal())[1] + 1) // 2
    smallest = int(exponents.min())
    inverse = np.ldexp(1.0, -exponents)
    eta = ball.mean_products * np.ldexp(1.0, -exponents - smallest)
    high = eta.astype(np.float64)
    return System(
        plain(ball.gramian * inverse[:, None] * inverse),
        np.ldexp(1.0, smallest - exponents),
        high,
        (eta - high).astype(np.float64),
        ball.radius * ball.mean_length * float(np.ldexp(1.0, -smallest)),
    )


@compiled
def piece(
    cosines: Array, v: Array, high: Array, low: Array, slope: float, support: NDArray[np.int64]
) -> tuple[Array, float]:
    """(weights, s) where ‖u(s)‖ = s c q on the affine hull of the support, negative weights set to 0.

    s is not a positive number where the hull holds no such point, or where the support is affinely dependent.
    """
    size = len(support)
    weights = np.zeros(len(v))
    # The rows (C, v, η) of the support: a product with (x, ·, s, s) in twice the precision is one sum.
    rows = np.empty((size, size + 3))
    factor = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            rows[i, j] = cosines[support[i], support[j]]
            factor[i, j] = rows[i, j] + v[support[i]] * v[support[j]]
        rows[i, size] = v[support[i]]
        rows[i, size + 1] = high[support[i]]
        rows[i, size + 2] = low[support[i]]
    if not cholesky(factor):
        return weights, np.nan
    v_s = rows[:, size].copy()
    zero = np.zeros(size)
    p = solved(factor, rows, v_s, 0.0)
    r = solved(factor, rows, zero, -1.0)
    through, share = inner(v_s, p), inner(v_s, r)
    x = p / through
    beta = (share / through) * p - r
    bend = slope**2 - square(rows, beta)
    start_square = square(rows, x)
    if not (bend > 0.0 and start_square > 0.0):
        return weights, np.nan
    s = (start_square / bend) ** 0.5
    x += s * beta
    t = np.empty(size + 3)
    y = np.empty(size)
    mu = (1.0 + s * share) / through - 1.0
    for _ in range(3):
        t[:size] = x
        t[size] = -mu
        t[size + 1] = t[size + 2] = s
        residual(rows, t, zero, y)
        substitute(factor, y)
        missing = 1.0 - inner(v_s, x)
        along = (missing - inner(v_s, y)) / through
        x += y + along * p
        mu += along - missing
        change = (square(rows, x) - (slope * s) ** 2) / (2.0 * s * bend)
        x += change * beta
        s += change
        mu += change * share / through
    total = 0.0
    for i in range(size):
        weights[support[i]] = max(v_s[i] * x[i], 0.0)
        total += weights[support[i]]
    return weights / total, s


@compiled
def solved(factor: Array, rows: Array, right: Array, share: float) -> Array:
    """The solution of (C + v vᵀ) x = right − share η by the factor, refined until the corrections are rounding."""
    size = len(right)
    x = np.zeros(size)
    y = np.empty(size)
    t = np.zeros(size + 3)
    t[size + 1] = t[size + 2] = share
    for _ in range(SWEEPS):
        t[:size] = x
        t[size] = inner(rows[:, size].copy(), x)
        residual(rows, t, right, y)
        substitute(factor, y)
        x += y
        if np.abs(y).max() <= EPS * np.abs(x).max():
            break
    return x


@compiled
def inner(x: Array, y: Array) -> float:
    """xᵀy, summed in twice the precision."""
    return dot(x, y)[0]


@compiled
def square(rows: Array, x: Array) -> float:
    """xᵀCx, summed in twice the precision."""
    products = np.empty(len(x))
    for i in range(len(x)):
        products[i] = dot(x, rows[i])[0]
    return dot(products, x)[0]


@compiled
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


@compiled
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
