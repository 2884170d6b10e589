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

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..gramian import Array, as_gramian, normalised
from ..solution import Solution

Extended = NDArray[np.longdouble]

EPS = 2.0**-52
ZERO = 64.0 * EPS
"""A squared norm below this, times K and relative to what its terms could sum to, is the rounding of the Gramian."""
SCREEN = 1e4
"""The gap in float64 that is worth a certificate, in units of the tolerated one."""
TRACE = 2.0**-60
"""The share that the other tasks keep beside a zero row: enough to say the direction, nothing in F."""


class Ball(NamedTuple):
    """What the room's algorithms receive: rows that are not zero, a mean that is not zero, a radius c > 0.

    gramian: (K, K), scaled; mean_products: h in extended precision; mean_length: q; lengths: d_i.
    """

    gramian: Array
    radius: float
    mean_products: Extended
    mean_length: float
    lengths: Array


class Problem:
    """One Gramian, a radius and a tolerance, as the driver takes it; raises like :func:`certificate`.

    A zero row has <g_i, d> = 0 for every d, and adds to g0 a factor that changes no weights: the algorithms see the
    Gramian without it. Where they find F > 0, the minimum of the whole F is 0, on the zero row (:meth:`lifted`).
    """

    def __init__(self, gramian: Any, radius: float, tolerance: float) -> None:
        check_radius(radius)
        self.radius = float(radius)
        self.gramian, self.exponent = normalised(as_gramian(gramian))
        self._given = extended(self.gramian)
        self.target = tolerated(self._given, tolerance, self.radius)
        self._rows = np.flatnonzero(self.gramian.diagonal())
        kept, rows = self._given, self.gramian
        if 0 < len(self._rows) < len(rows):
            rows = np.ascontiguousarray(rows[np.ix_(self._rows, self._rows)])
            kept = extended(rows)
        lengths = kept.lengths.astype(np.float64)
        self.subject = Ball(rows, self.radius, kept.products, float(np.sqrt(kept.square)), lengths)
        self._h = kept.products.astype(np.float64)

    def decided(self, closed_form: bool) -> Array | None:
        """g0 = 0 has uniform weights, radius 0 the vertex of the smallest h_i, one task w = (1)."""
        size = len(self.gramian)
        if self._given.stationary:
            return np.full(size, 1.0 / size)
        if self.radius == 0.0:
            weights = np.zeros(size)
            weights[int(self._given.products.argmin())] = 1.0
            return weights
        return self.lifted(np.ones(1)) if len(self._rows) == 1 else None

    def products(self, weights: Array) -> Array:
        """Gw."""
        return self.subject.gramian @ weights

    def gap(self, weights: Array, products: Array) -> float:
        """(hᵀw + c q ‖u‖ − min_i (h_i + c q (Gw)_i/‖u‖))/q²; 0 where ‖u‖ is: the certificate decides."""
        if standing(self.subject, weights, products):
            return 0.0
        q, length = self.subject.mean_length, float(weights @ products) ** 0.5
        slope = self._h + (self.radius * q / length) * products
        return float(weights @ slope - slope.min()) / q**2

    def promising(self, weights: Array, gap: float) -> bool:
        """Whether the gap is within the tolerance but for its rounding."""
        # Rounding is some eps K (max_i d_i/q)²: below the tolerance, or of the order of its floor where g0 is nearly 0.
        return gap <= SCREEN * self.target

    def lifted(self, weights: Array) -> Array:
        """The algorithms' weights with those of the zero rows.

        0 where F <= 0. Otherwise everything on the zero row, lowest index first, and 2⁻⁶⁰ of their weights on the
        others: F is then below 2⁻⁶⁰ K (1 + c) q², and d is the direction that is best for the others.
        """
        if len(weights) == len(self.gramian):
            return weights
        full = np.zeros(len(self.gramian))
        full[self._rows] = weights
        if direction_of(self._given, full, self.radius).value > 0.0:
            full *= TRACE
            full[int(self.gramian.diagonal().argmin())] = 1.0
        return full

    def judged(self, weights: Array, iterations: int) -> Solution:
        """The weights and their gap."""
        weights = self.lifted(weights)
        gap, non_conflicting = judgement(self._given, weights, self.radius)
        return Solution(weights, gap, iterations, gap <= self.target, non_conflicting)

    def objective(self, weights: Array) -> float:
        """F(w)."""
        value = direction_of(self._given, self.lifted(weights), self.radius).value
        return float(np.ldexp(value, self.exponent))


class Given(NamedTuple):
    """A Gramian in extended precision with d_i, h_i = <g_i, g0> and q² = ‖g0‖²; ``stationary``: q is 0 by the rule."""

    gramian: Extended
    lengths: Extended
    products: Extended
    square: np.longdouble
    stationary: bool


class Direction(NamedTuple):
    """d = Σ_i coefficients_i g_i, its products <g_i, d>, and F(w)."""

    coefficients: Extended
    products: Extended
    value: np.longdouble


def certificate(gramian: Any, weights: Any, radius: float = 0.4) -> float:
    """The gap (F(w) − min_i <g_i, d(w)>)/‖g0‖² >= 0 of ``weights`` (K,), dimensionless.

    Computed in extended precision from these arguments alone. Weights that sum to 1 up to rounding are divided by
    their sum first. Where g0 = 0 it is 0; where Jᵀw = 0, F(w) = 0 and d is that of the policy above.
    Raises :class:`~mtlbench.solvers.InvalidGramian`, and :class:`ValueError` for weights outside the simplex or a
    radius that is not a finite number >= 0.
    """
    given, w, _ = arguments(gramian, weights, radius)
    return judgement(given, w, float(radius))[0]


def objective(gramian: Any, weights: Any, radius: float = 0.4) -> float:
    """F(w) = wᵀGe/K + radius ‖g0‖ √(wᵀGw), in the unit of ``gramian``, in extended precision; 0 where g0 or Jᵀw is 0.

    Raises like the certificate.
    """
    given, w, exponent = arguments(gramian, weights, radius)
    return float(np.ldexp(direction_of(given, w, float(radius)).value, exponent))


def direction_weights(gramian: Any, weights: Any, radius: float = 0.4) -> Array:
    """The coefficients v (K,) of d = Jᵀv: v = e/K + radius ‖g0‖ w/‖Jᵀw‖, or by the policy where that is 0/0.

    They do not sum to 1 and may be negative only where Jᵀw = 0. Raises like the certificate.
    """
    given, w, _ = arguments(gramian, weights, radius)
    return direction_of(given, w, float(radius)).coefficients.astype(np.float64)


def tolerated_gap(gramian: Any, tolerance: float = 1e-11, radius: float = 0.4) -> float:
    """The largest gap that counts as converged: tolerance + eps radius max_i G_ii/‖g0‖².

    The second term is what rounding w to float64 costs; no algorithm can beat it. An error of eps w_j turns u by up to
    eps Σ_j w_j d_j/‖u‖, which moves <g_i, d> by radius ‖g0‖ d_i times that, and where the gradients nearly cancel in
    the mean ‖u‖ is of the order of ‖g0‖. Otherwise it is nothing, whatever the norms. ``tolerance`` alone where g0 = 0.
    """
    check_radius(radius)
    return tolerated(extended(normalised(as_gramian(gramian))[0]), tolerance, float(radius))


def tolerated(given: Given, tolerance: float, radius: float) -> float:
    """:func:`tolerated_gap` of a Gramian that is known to be valid."""
    if given.stationary:
        return tolerance
    return tolerance + EPS * radius * float(given.lengths.max() ** 2 / given.square)


def check_radius(radius: Any) -> None:
    """Raise :class:`ValueError` unless ``radius`` is a finite number >= 0."""
    if isinstance(radius, bool) or not isinstance(radius, int | float | np.number) or not 0.0 <= radius < np.inf:
        raise ValueError(f"radius must be a finite number >= 0, in units of the mean gradient's norm, got {radius!r}")


def arguments(gramian: Any, weights: Any, radius: Any) -> tuple[Given, Array, int]:
    """The scaled Gramian in extended precision, the weights, and the exponent of the scale."""
    check_radius(radius)
    scaled, exponent = normalised(as_gramian(gramian))
    return extended(scaled), as_weights(weights, len(scaled)), exponent


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


def standing(ball: Ball, weights: Array, products: Array) -> bool:
    """Whether u = Jᵀw is 0 by the rule of the room, in float64; ``products`` is Gw."""
    reach = float(weights @ ball.lengths)
    return not float(weights @ products) > len(weights) * ZERO * reach**2


def extended(gramian: Array) -> Given:
    """What is computed once from a scaled Gramian, in extended precision."""
    size = len(gramian)
    exact = gramian.astype(np.longdouble)
    lengths = np.sqrt(exact.diagonal())
    products = exact.sum(axis=1) / size
    square = max(products.sum() / size, np.longdouble(0))
    return Given(exact, lengths, products, square, bool(size * square <= ZERO * lengths.sum() ** 2))


def direction_of(given: Given, weights: Array, radius: float) -> Direction:
    """d(w) and F(w), by the policies of the room where w does not determine d."""
    gramian, h = given.gramian, given.products
    size = len(gramian)
    zero, nothing = np.longdouble(0), np.zeros(size, dtype=np.longdouble)
    if given.stationary:
        return Direction(nothing, nothing, zero)
    uniform = np.full(size, 1 / np.longdouble(size))
    w = weights.astype(np.longdouble)
    w /= w.sum()
    value = np.longdouble(h @ w)
    if radius == 0.0:
        return Direction(uniform, h, value)
    reach = radius * np.sqrt(given.square)
    products = gramian @ w
    square = np.longdouble(w @ products)
    if square > size * ZERO * (w @ given.lengths) ** 2:
        length = np.sqrt(square)
        # h is added, not computed again in Gv: where g0 is small its rounding is large, here it is the same as F's.
        share = reach / length
        return Direction(uniform + share * w, h + share * products, value + reach * length)
    if radius >= 1.0:
        return Direction(nothing, nothing, zero)
    along = least_squares(given, np.flatnonzero(weights))
    products = gramian @ along
    length = np.sqrt(np.maximum(along @ products, zero))
    share = reach / length if length > reach else np.longdouble(1)
    return Direction(uniform - share * along, h - share * products, zero)


def least_squares(given: Given, support: NDArray[np.intp]) -> Extended:
    """The coefficients of the part of g0 along the gradients of the support."""
    lengths = given.lengths[support]
    scale = np.where(lengths > 0, lengths, 1)
    cosines = given.gramian[np.ix_(support, support)] / scale[:, None] / scale
    right = given.products[support] / scale
    values, vectors = np.linalg.eigh(cosines.astype(np.float64))
    # Where 0 is in the hull of the support, its cosines are singular: what is below rounding is left out.
    kept = values > len(given.lengths) * ZERO * values[-1]
    values, vectors = values[kept], vectors[:, kept]
    solution = np.zeros(len(support), dtype=np.longdouble)
    for _ in range(3):
        solution = solution + vectors @ ((vectors.T @ (right - cosines @ solution)) / values)
    coefficients = np.zeros(len(given.lengths), dtype=np.longdouble)
    coefficients[support] = solution / scale
    return coefficients


def judgement(given: Given, weights: Array, radius: float) -> tuple[float, bool]:
    """The gap, and whether no task conflicts: <g_i, d> >= −4 K eps d_i Σ_j |v_j| d_j, the rounding of the product."""
    direction = direction_of(given, weights, radius)
    rounding = 4 * len(weights) * EPS * given.lengths * (given.lengths @ np.abs(direction.coefficients))
    non_conflicting = bool((direction.products >= -rounding).all())
    difference = direction.value - direction.products.min()
    return float(difference / given.square) if difference > 0 else 0.0, non_conflicting
