"""The ball problem: maximise min_i <g_i, d> over ‖d − g0‖ <= c ‖g0‖, g0 = (1/K) Σ_i g_i: the update of CAGrad.

With the task gradients g_i as rows of J, G = J Jᵀ, h_i = <g_i, g0> = (Ge)_i/K, q = ‖g0‖ and u = Jᵀw, the dual is

    minimise F(w) = hᵀw + c q ‖u‖   over the simplex,      d(w) = g0 + c q u/‖u‖.

Weak duality: for every w in the simplex and every d in the ball

    min_i <g_i, d> <= <u, d> = <u, g0> + <u, d − g0> <= hᵀw + ‖u‖ c q = F(w),

so that any w is certified by gap(w) = (F(w) − min_i <g_i, d(w)>)/q² >= 0, whoever computed it: d(w) is within gap q² of
the best min_i <g_i, d>, F(w) within gap q² of its minimum, and both are optimal exactly where it is 0. F is positively
homogeneous and ∇F(w)_i = <g_i, d(w)>, hence F(w) = <u, d(w)>: this is the Frank-Wolfe gap of F.

Where 0/0 leaves d open a policy decides, always for a point of the ball, so that weak duality holds:

- g0 is 0 where eᵀGe <= 64 K eps (Σ_i d_i)², d_i = ‖g_i‖: F is 0 everywhere, d = 0, gap = 0.
- u is 0 where wᵀGw <= 64 K eps (Σ_i w_i d_i)²: then F(w) = 0, and Σ_i w_i <g_i, d> = 0 for every d: an optimal d
  with min_i <g_i, d> = 0 leaves every task of the support as it is. c >= 1: d = 0, which is in the ball, so that the
  gap is 0. c < 1: the part of g0 orthogonal to the support's gradients, or where that is outside the ball the point of
  the ball on the way to it; the gap says what min_i <g_i, d> lacks.

Source: B. Liu, X. Liu, X. Jin, P. Stone & Q. Liu, NeurIPS 2021, arXiv 2110.14048.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import added, compiled, dot, multiplied, plain
from ..gramian import Array, as_gramian, normalised
from ..solution import Solution

Extended = NDArray[np.longdouble]

EPS = 2.0**-52
ZERO = 64.0 * EPS
"""A squared norm below this, times K and relative to what its terms could sum to, is the rounding of the Gramian."""
TRACE = 2.0**-60
"""The share that the other tasks keep beside a zero row: enough to say the direction, nothing in F."""


class Ball(NamedTuple):
    """A scaled Gramian (K, K) with d_i, h_i = <g_i, g0> = high_i + low_i and q = ‖g0‖, and the radius c.

    The room's algorithms receive one whose rows and mean are not zero, c > 0.
    """

    gramian: Array
    lengths: Array
    high: Array
    low: Array
    mean_length: float
    radius: float

    @property
    def mean_is_zero(self) -> bool:
        """Whether g0 is 0 by the rule of the room."""
        size = len(self.lengths)
        return not size * self.mean_length**2 > ZERO * float(self.lengths.sum()) ** 2


class Problem:
    """One Gramian, a radius and a tolerance, as the driver takes it; raises like :func:`certificate`.

    A zero row has <g_i, d> = 0 for every d, and adds to g0 a factor that changes no weights: the algorithms see the
    Gramian without it. Where they find F > 0, the minimum of the whole F is 0, on the zero row (:meth:`lifted`).
    """

    def __init__(self, gramian: Any, radius: float, tolerance: float) -> None:
        check_radius(radius)
        scaled, self.exponent = normalised(as_gramian(gramian))
        self.given = self.subject = ball_of(plain(scaled), float(radius))
        self.target = tolerated(self.given, tolerance)
        self._rows = np.flatnonzero(self.given.lengths)
        if 0 < len(self._rows) < len(scaled):
            self.subject = ball_of(plain(scaled[np.ix_(self._rows, self._rows)]), float(radius))

    def decided(self, closed_form: bool) -> Array | None:
        """g0 = 0 has uniform weights, radius 0 the vertex of the smallest h_i, one task w = (1)."""
        size = len(self.given.lengths)
        if self.given.mean_is_zero:
            return np.full(size, 1.0 / size)
        if self.given.radius == 0.0:
            return vertex(size, int(self.given.high.argmin()))
        return self.lifted(np.ones(1)) if len(self._rows) == 1 else None

    def products(self, weights: Array) -> Array:
        """Gw."""
        return self.subject.gramian @ weights

    def gap(self, weights: Array, products: Array) -> float:
        """The certificate itself, at the price of a product; 0 where u = 0, which ``judged`` looks into."""
        return measured(*self.subject, plain(weights)).gap

    def promising(self, weights: Array, gap: float) -> bool:
        """Whether the gap is within the tolerance."""
        return gap <= self.target

    def lifted(self, weights: Array) -> Array:
        """The algorithms' weights with those of the zero rows.

        0 where F <= 0. Otherwise everything on the zero row, lowest index first, and 2⁻⁶⁰ of their weights on the
        others: F is then below 2⁻⁶⁰ K (1 + c) q², and d is the direction that is best for the others.
        """
        size = len(self.given.lengths)
        if len(weights) == size:
            return weights
        full = np.zeros(size)
        full[self._rows] = weights
        if measured(*self.given, full).value > 0.0:
            full *= TRACE
            full[int(self.given.lengths.argmin())] = 1.0
        return full

    def judged(self, weights: Array, iterations: int) -> Solution:
        """The weights and their gap."""
        weights = self.lifted(weights)
        gap, non_conflicting = judgement(self.given, weights)
        return Solution(weights, gap, iterations, gap <= self.target, non_conflicting)

    def objective(self, weights: Array) -> float:
        """F(w)."""
        return in_unit(value_of(self.given, self.lifted(weights)), self.exponent)


class Measures(NamedTuple):
    """gap, F(w), c q/‖u‖, whether no task conflicts, and whether u = 0, where the others say nothing and are 0."""

    gap: float
    value: float
    share: float
    non_conflicting: bool
    standing: bool


def certificate(gramian: Any, weights: Any, radius: float = 0.4) -> float:
    """The gap (F(w) − min_i <g_i, d(w)>)/‖g0‖² >= 0 of ``weights`` (K,), dimensionless.

    Its sums are in twice float64's precision, from these arguments alone. Weights that sum to 1 up to rounding are
    divided by their sum first. Where g0 = 0 it is 0; where Jᵀw = 0, F(w) = 0 and d is that of the policy above.
    Raises :class:`~mtlbench.solvers.InvalidGramian`, and :class:`ValueError` for weights outside the simplex or a
    radius that is not a finite number >= 0.
    """
    ball, w, _ = arguments(gramian, weights, radius)
    return judgement(ball, w)[0]


def objective(gramian: Any, weights: Any, radius: float = 0.4) -> float:
    """F(w) = wᵀGe/K + radius ‖g0‖ √(wᵀGw), in the unit of ``gramian``; 0 where g0 or Jᵀw is 0.

    Raises like the certificate.
    """
    ball, w, exponent = arguments(gramian, weights, radius)
    return in_unit(value_of(ball, w), exponent)


def direction_weights(gramian: Any, weights: Any, radius: float = 0.4) -> Array:
    """The coefficients v (K,) of d = Jᵀv: v = e/K + radius ‖g0‖ w/‖Jᵀw‖, or by the policy where that is 0/0.

    They do not sum to 1 and may be negative only where Jᵀw = 0. Raises like the certificate.
    """
    ball, w, _ = arguments(gramian, weights, radius)
    size = len(w)
    if ball.mean_is_zero:
        return np.zeros(size)
    found = measured(*ball, w)
    if found.standing:
        return standstill(ball, w)[0].astype(np.float64)
    coefficients: Array = 1.0 / size + found.share * w
    return coefficients


def tolerated_gap(gramian: Any, tolerance: float = 1e-11, radius: float = 0.4) -> float:
    """The largest gap that counts as converged: tolerance + eps radius max_i G_ii/‖g0‖².

    The second term is what rounding w to float64 costs; no algorithm can beat it. An error of eps w_j turns u by up to
    eps Σ_j w_j d_j/‖u‖, which moves <g_i, d> by radius ‖g0‖ d_i times that, and where the gradients nearly cancel in
    the mean ‖u‖ is of the order of ‖g0‖. Otherwise it is nothing, whatever the norms. ``tolerance`` alone where g0 = 0.
    """
    check_radius(radius)
    return tolerated(ball_of(plain(normalised(as_gramian(gramian))[0]), float(radius)), tolerance)


def tolerated(ball: Ball, tolerance: float) -> float:
    """:func:`tolerated_gap` of valid arguments."""
    if ball.mean_is_zero:
        return tolerance
    return tolerance + EPS * ball.radius * (float(ball.lengths.max()) / ball.mean_length) ** 2


def check_radius(radius: Any) -> None:
    """Raise :class:`ValueError` unless ``radius`` is a finite number >= 0."""
    if isinstance(radius, bool) or not isinstance(radius, int | float | np.number) or not 0.0 <= radius < np.inf:
        raise ValueError(f"radius must be a finite number >= 0, in units of the mean gradient's norm, got {radius!r}")


def arguments(gramian: Any, weights: Any, radius: Any) -> tuple[Ball, Array, int]:
    """The ball, the weights, and the exponent of the Gramian's scale."""
    check_radius(radius)
    scaled, exponent = normalised(as_gramian(gramian))
    w = as_weights(weights, len(scaled))
    return ball_of(plain(scaled), float(radius)), plain(w), exponent


def as_weights(weights: Any, size: int) -> Array:
    """``weights`` as float64 (K,); :class:`ValueError` unless they lie in the simplex (sum within 1e-6 of 1)."""
    if hasattr(weights, "detach") and hasattr(weights, "cpu"):
        weights = weights.detach().cpu().double().numpy()
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != (size,):
        raise ValueError(f"{size} tasks have weights of shape ({size},), got {w.shape}")
    if not (w >= 0.0).all() or not abs(float(w.sum()) - 1.0) <= 1e-6:
        raise ValueError(f"weights must be non-negative and sum to 1, got smallest {w.min():.3g} and sum {w.sum():.9g}")
    return w


def in_unit(value: float, exponent: int) -> float:
    """2^exponent value: infinite where float64 cannot hold it."""
    return float(np.ldexp(value, exponent))


def vertex(size: int, i: int) -> Array:
    """The weights that put everything on task ``i``."""
    weights = np.zeros(size)
    weights[i] = 1.0
    return weights


def ball_of(gramian: Array, radius: float) -> Ball:
    """What is computed once of a scaled Gramian."""
    high, low, square = mean_of(gramian)
    return Ball(gramian, np.sqrt(gramian.diagonal()), high, low, sqrt(max(square, 0.0)), radius)


@compiled
def mean_of(gramian: Array) -> tuple[Array, Array, float]:
    """(high, low, q²): h_i = (1/K) Σ_j G_ij in twice the precision, q² = (1/K) Σ_i h_i."""
    size = len(gramian)
    high = np.empty(size)
    low = np.empty(size)
    for i in range(size):
        total = 0.0
        rest = 0.0
        for j in range(size):
            total, lost = added(total, gramian[i, j])
            rest += lost
        high[i] = (total + rest) / size
        product, lost = multiplied(high[i], float(size))
        low[i] = ((total - product) - lost + rest) / size
    ones = np.ones(size)
    upper, lower = dot(high, ones)
    return high, low, (upper + (lower + dot(low, ones)[0])) / size


@compiled
def measured(
    gramian: Array, lengths: Array, high: Array, low: Array, mean_length: float, radius: float, weights: Array
) -> Measures:
    """The certificate. Sums are in twice the precision; what is added afterwards rounds eps (1 + c) d_i q at most.

    The weights are divided by their sum: d does not depend on it, F is proportional to it.
    """
    size = len(weights)
    products = np.empty(size)
    rests = np.empty(size)
    total = 0.0
    reach = 0.0
    sum_of_lengths = 0.0
    for i in range(size):
        sum_of_lengths += lengths[i]
        products[i], rests[i] = dot(gramian[i], weights)
        total += weights[i]
        reach += weights[i] * lengths[i]
    upper, lower = dot(products, weights)
    square = upper + (lower + dot(rests, weights)[0])
    share = 0.0
    length = 0.0
    if radius > 0.0:
        if not square > size * ZERO * reach**2:
            return Measures(0.0, 0.0, 0.0, True, True)
        length = sqrt(square)
        share = radius * mean_length / length
    upper, lower = dot(high, weights)
    value = (upper + radius * mean_length * length + (lower + dot(low, weights)[0])) / total
    least = np.inf
    non_conflicting = True
    rounding = 4.0 * size * EPS * (sum_of_lengths / size + share * reach)
    for i in range(size):
        product = (high[i] + share * products[i]) + (low[i] + share * rests[i])
        least = min(least, product)
        non_conflicting = non_conflicting and product >= -rounding * lengths[i]
    return Measures(max((value - least) / mean_length**2, 0.0), value, share, non_conflicting, False)


def value_of(ball: Ball, weights: Array) -> float:
    """F(w) in the unit of the scaled Gramian: 0 where g0 or u is."""
    return 0.0 if ball.mean_is_zero else measured(*ball, plain(weights)).value


def judgement(ball: Ball, weights: Array) -> tuple[float, bool]:
    """The gap, and whether no task conflicts: <g_i, d> >= −4 K eps d_i Σ_j |v_j| d_j, the rounding of the product."""
    if ball.mean_is_zero:
        return 0.0, True
    found = measured(*ball, plain(weights))
    if not found.standing:
        return found.gap, found.non_conflicting
    coefficients, products = standstill(ball, weights)
    rounding = 4 * len(weights) * EPS * ball.lengths * (ball.lengths @ np.abs(coefficients))
    return max(float(-products.min() / ball.mean_length**2), 0.0), bool((products >= -rounding).all())


def standstill(ball: Ball, weights: Array) -> tuple[Extended, Extended]:
    """The d of the policy for u = 0, as coefficients, and its products <g_i, d>, in extended precision."""
    size = len(weights)
    if ball.radius >= 1.0:
        nothing = np.zeros(size, dtype=np.longdouble)
        return nothing, nothing
    h = ball.high.astype(np.longdouble) + ball.low
    along = least_squares(ball, h, np.flatnonzero(weights))
    products = ball.gramian.astype(np.longdouble) @ along
    length = sqrt(max(float(along @ products), 0.0))
    reach = ball.radius * ball.mean_length
    share = reach / length if length > reach else 1.0
    return 1 / np.longdouble(size) - share * along, h - share * products


def least_squares(ball: Ball, h: Extended, support: NDArray[np.intp]) -> Extended:
    """The coefficients of the part of g0 along the gradients of the support."""
    lengths = ball.lengths[support]
    scale = np.where(lengths > 0, lengths, 1).astype(np.longdouble)
    cosines = ball.gramian[np.ix_(support, support)] / scale[:, None] / scale
    right = h[support] / scale
    values, vectors = np.linalg.eigh(cosines.astype(np.float64))
    # Where 0 is in the hull of the support, its cosines are singular: what is below rounding is left out.
    kept = values > len(h) * ZERO * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    solution = np.zeros(len(support), dtype=np.longdouble)
    for _ in range(3):
        solution = solution + vectors @ ((vectors.T @ (right - cosines @ solution)) / values)
    coefficients = np.zeros(len(h), dtype=np.longdouble)
    coefficients[support] = solution / scale
    return coefficients
