"""The bargaining problem: find w > 0 with (Gw)_i = (p_i / w_i)^(1/α), the update direction being u = Jᵀw.

With the task gradients g_i as rows of J and G = J Jᵀ, u maximises the tasks' α-fair utility of their improvements,
Σ_i p_i <g_i, u>^(1−α)/(1−α) − ½‖u‖², a logarithm at α = 1; its stationarity is u = Σ_i p_i <g_i, u>^(−α) g_i. In w
it is convex, with one minimiser:

    minimise f(w) = ½ wᵀGw − Σ_i φ_i(w_i),   φ_i(w) = p_i^(1/α) w^(1−1/α) / (1 − 1/α),   at α = 1: p_i log w.

p = 1, α = 1 is Nash-MTL, (Gw)_i = 1/w_i (Navon et al., arXiv 2202.01017); p = 1 and any α is FairGrad,
(Gw)_i = w_i^(−1/α) (Ban & Ji, arXiv 2402.15638); α = 2 is PIVRG, (Gw)_i = √(p_i / w_i) (Qin, Wang & Yan, CVPR 2025).

Any w > 0 is certified by its residuals r_i = |(w_i / p_i)^(1/α) (Gw)_i − 1|, free of any unit; gap = max_i r_i.
There is a solution exactly if no convex combination of the gradients is 0: with w in the simplex and Jᵀw = 0, adding
t w to any weights lowers f for ever. That is :class:`NoSolution`.

Extended precision is numpy's ``longdouble``: 64 bits of mantissa on x86, 113 on Linux/ARM; where a platform's long
double is a plain double, the certificate has that precision.
"""

from __future__ import annotations

from math import exp, frexp
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import min_norm
from ..compiled import compiled, dot, plain
from ..gramian import Array, as_gramian, normalised
from ..solution import Solution

Extended = NDArray[np.longdouble]

EPS = 2.0**-52
NORMAL = 2.0**-1022
SMALLEST = 2.0**-1074
LARGEST = float(np.finfo(np.float64).max)
NEGLIGIBLE = 2.0**-900
"""Scaled weights below this change no product; their own value follows from it."""
MANY = 30
"""Iterations after which it is worth a min-norm problem to know that they are not in vain."""
SMALLEST_ALPHA, LARGEST_ALPHA = 1e-3, 1e4


class NoSolution(ValueError):
    """No w > 0 solves it: a zero row, or a Pareto stationary point. ``weights`` (K,), in the simplex, show it."""

    def __init__(self, message: str, weights: Array) -> None:
        super().__init__(message)
        self.weights = weights


class Subject(NamedTuple):
    """What the algorithms receive: the scaled Gramian, α, and log p of the scaled preference."""

    gramian: Array
    alpha: float
    log_preference: Array


class Problem:
    """One Gramian, α, preference and tolerance, as the driver takes it; raises like :func:`certificate`.

    With G = 2ᵉ G' and p = 2ᶠ p' the solution is w = 2^((f − αe)/(1+α)) w'. The algorithms see G' and p', near 1.
    """

    def __init__(self, gramian: Any, alpha: float, preference: Any, tolerance: float) -> None:
        self.gramian = as_gramian(gramian)
        self._tolerance = tolerance
        alpha = as_alpha(alpha)
        self._preference = as_preference(preference, len(self.gramian))
        zero = min_norm.solve(self.gramian) if self.gramian.diagonal().min() == 0.0 else None
        if zero is not None:
            raise NoSolution(
                f"the gradient of task {int(zero.weights.argmax())} is zero: no weights give it a positive product",
                zero.weights,
            )
        scaled, self.exponent = normalised(self.gramian)
        _, high = frexp(self._preference.max())
        _, low = frexp(self._preference.min())
        shift = (high + low) // 2
        self.subject = Subject(plain(scaled), alpha, np.log(np.ldexp(self._preference, -shift)))
        # The exponent as a fraction of whole numbers: a product with α would round, and 2^x multiplies its rounding.
        numerator, denominator = alpha.as_integer_ratio()
        total = numerator + denominator
        self._power, rest = divmod(shift * denominator - self.exponent * numerator, total)
        self._factor = 2.0 ** (rest / total)
        self._lengths = np.sqrt(scaled.diagonal())
        self._refusable = True
        self._looks = 0
        self._exact: Extended | None = None

    def decided(self, closed_form: bool) -> Array | None:
        """K = 1: w = p^(1/(1+α)) G^(−α/(1+α))."""
        if len(self.gramian) > 1:
            return None
        gramian, alpha, log_preference = self.subject
        return np.array([exp((log_preference[0] - alpha * np.log(gramian[0, 0])) / (1.0 + alpha))])

    def products(self, weights: Array) -> Array:
        """Gw, summed in twice the precision: where gradients nearly oppose each other it is a small difference."""
        out = np.empty_like(weights)
        multiply(self.subject.gramian, weights, out)
        return out

    def gap(self, weights: Array, products: Array) -> float:
        """The largest residual, each less what rounding alone costs it.

        Raises :class:`NoSolution` at a stationary point as soon as the weights, which grow there, or their number
        suggest it.
        """
        self._looks += 1
        square, length = weights @ products, weights @ self._lengths
        if square <= stationarity(len(weights)) * length * length or self._looks == MANY:
            self.refuse_stationary()
        return excess(self.subject.gramian, weights, products, self.subject.log_preference, self.subject.alpha)

    def promising(self, weights: Array, gap: float) -> bool:
        """Whether that is within the tolerance but for the rounding of logarithms."""
        return gap <= self._tolerance + 1e-12

    def judged(self, weights: Array, iterations: int) -> Solution:
        """The weights, in the unit they were asked for, and their residual."""
        w = self.unscaled(weights)
        residuals, allowed, non_conflicting = self._examined(w)
        gap = float(residuals.max())  # infinite beyond float64
        return Solution(w, gap, iterations, gap <= tolerated(residuals, allowed), non_conflicting)

    def objective(self, weights: Array) -> float:
        """f(w)."""
        return value(self._extended(), self.unscaled(weights), self.subject.alpha, self._preference)

    def unscaled(self, weights: Array) -> Array:
        """The solution of the given problem that belongs to ``weights`` of the scaled one, all of it positive.

        A negligible weight has lost its digits to underflow; it follows from its product, w_i = p_i (Gw)_i^(−α).
        """
        with np.errstate(under="ignore", over="ignore"):
            w: Array = np.ldexp(weights * self._factor, self._power)
            small = weights < NEGLIGIBLE
            if small.any():
                products = np.maximum((self._extended() @ w)[small], SMALLEST)
                logs = np.log(self._preference[small].astype(np.longdouble)) - self.subject.alpha * np.log(products)
                w[small] = np.exp(logs)
        return np.clip(w, SMALLEST, LARGEST)

    def evident(self, weights: Array) -> bool:
        """Whether these weights show that the point is not stationary, which spares the min-norm problem.

        Let v = Gw > 0 and w' be in the simplex. Then ‖Jᵀw'‖ ‖u‖ >= Σ_i w'_i v_i >= (min_i v_i / d_i) Σ_i w'_i d_i, so
        no w' has a wᵀGw below (min_i v_i / d_i)² / ‖u‖² times (Σ_i w'_i d_i)². A factor 4 leaves room for rounding.
        """
        w = weights.astype(np.longdouble)
        products = self._extended() @ w
        smallest = (products / np.sqrt(self._extended().diagonal())).min()
        return bool(smallest > 0 and smallest**2 > 4 * stationarity(len(w)) * (w @ products))

    def refuse_stationary(self) -> None:
        """Raise :class:`NoSolution` if wᵀGw <= 64 K eps (Σ_i w_i d_i)² at the min-norm w: 0 is then in the hull."""
        if not self._refusable:
            return
        weights = min_norm.solve(self.gramian).weights
        w = weights.astype(np.longdouble)
        lengths = w @ np.sqrt(self._extended().diagonal())
        if w @ self._extended() @ w <= stationarity(len(w)) * lengths**2:
            raise NoSolution(
                "the point is Pareto stationary: a convex combination of the gradients is 0 up to rounding, "
                "so no weights give every task a positive product",
                weights,
            )
        self._refusable = False

    def _examined(self, weights: Array) -> tuple[Extended, Extended, bool]:
        return examined(self.gramian, self._extended(), weights, self.subject.alpha, self._preference, self._tolerance)

    def _extended(self) -> Extended:
        if self._exact is None:
            self._exact = self.gramian.astype(np.longdouble)
        return self._exact


def certificate(gramian: Any, weights: Any, alpha: float = 1.0, preference: Any = None) -> float:
    """max_i |(w_i / p_i)^(1/α) (Gw)_i − 1| of ``weights`` (K,), positive, in extended precision.

    Computed from these arguments alone. A weight below 2⁻¹⁰²² has lost digits to underflow and stands for every number
    that rounds to it, 2⁻¹⁰⁷⁴ for all smaller ones too: its residual is the smallest that these have.
    Raises :class:`~mtlbench.solvers.InvalidGramian`, and :class:`ValueError` for any other wrong argument.
    """
    return float(_examined(gramian, weights, alpha, preference, 0.0)[0].max())


def tolerated_gap(
    gramian: Any, tolerance: float = 1e-11, alpha: float = 1.0, preference: Any = None, weights: Any = None
) -> float:
    """The largest gap that counts as converged for these ``weights``: the tolerance and what rounding them costs.

    Rounding each w_j to float64 changes (Gw)_i by up to eps Σ_j |G_ij| w_j, hence r_i by that times (w_i / p_i)^(1/α),
    and w_i^(1/α) itself by eps/α; no algorithm can beat it, and where gradients nearly oppose each other it is large.
    Read the other way: a residual within its own bound is 0 for some G whose entries differ from the given ones by a
    relative eps. A task's bound excuses that task alone. So where every r_i is within the tolerance and its bound, this
    is the tolerance and the largest bound; else it is the smallest of those exceeded.
    Without weights: tolerance + (1 + 1/α) eps, the least it can be at a solution. Raises like the certificate.
    """
    if weights is None:
        as_gramian(gramian)
        return tolerance + EPS * (1.0 + 1.0 / as_alpha(alpha))
    residuals, allowed, _ = _examined(gramian, weights, alpha, preference, tolerance)
    return tolerated(residuals, allowed)


def objective(gramian: Any, weights: Any, alpha: float = 1.0, preference: Any = None) -> float:
    """f(w) in extended precision: ½ wᵀGw − Σ_i p_i^(1/α) w_i^(1−1/α) / (1 − 1/α), at α = 1 − Σ_i p_i log w_i."""
    g = as_gramian(gramian)
    w = as_weights(weights, len(g))
    return value(g.astype(np.longdouble), w, as_alpha(alpha), as_preference(preference, len(g)))


def value(gramian: Extended, weights: Array, alpha: float, preference: Array) -> float:
    """:func:`objective` of valid arguments."""
    w, p = weights.astype(np.longdouble), preference.astype(np.longdouble)
    quadratic = w @ gramian @ w / 2
    if alpha == 1.0:
        return float(quadratic - p @ np.log(w))
    power = 1 - 1 / np.longdouble(alpha)
    return float(quadratic - np.exp(np.log(p) / alpha + power * np.log(w)).sum() / power)


def examined(
    gramian: Array, exact: Extended, weights: Array, alpha: float, preference: Array, tolerance: float
) -> tuple[Extended, Extended, bool]:
    """(residuals, what each may be, non-conflicting): <g_i, u> >= 0 for every task up to eps Σ_j |G_ij| w_j."""
    w = weights.astype(np.longdouble)
    logs = np.log(preference.astype(np.longdouble))
    products = exact @ w
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        rounding = np.longdouble(EPS) * (np.abs(gramian) @ weights)
        share = np.exp((np.log(w) - logs) / alpha)  # (w_i / p_i)^(1/α)
        residuals = np.abs(share * products - 1)
        if weights.min() < NORMAL:
            half = np.where(weights < NORMAL, np.longdouble(SMALLEST) / 2, 0)
            share = np.exp((np.log(w + half) - logs) / alpha)
            least = np.exp((np.log(np.where(weights > SMALLEST, w - half, 0)) - logs) / alpha)
            residuals = np.maximum(np.maximum(1 - share * products, least * products - 1), 0)
        allowed = tolerance + EPS / alpha + share * rounding
    return residuals, allowed, bool((products + rounding).min() >= 0)


def _examined(
    gramian: Any, weights: Any, alpha: float, preference: Any, tolerance: float
) -> tuple[Extended, Extended, bool]:
    g = as_gramian(gramian)
    w = as_weights(weights, len(g))
    return examined(g, g.astype(np.longdouble), w, as_alpha(alpha), as_preference(preference, len(g)), tolerance)


def tolerated(residuals: Extended, allowed: Extended) -> float:
    """:func:`tolerated_gap`, made of the residuals and what each may be."""
    exceeded = ~(residuals <= allowed)
    # A residual beyond float64 is reported as infinite: what it exceeds is not.
    return min(float(allowed[exceeded].min()), LARGEST) if exceeded.any() else float(allowed.max())


def stationarity(size: int) -> float:
    """The share of (Σ_i w_i d_i)² up to which wᵀGw is rounding: 64 K eps."""
    return 64.0 * size * EPS


@compiled
def multiply(matrix: Array, x: Array, out: Array) -> None:
    """out = matrix x, each entry summed in twice the precision and rounded once."""
    for i in range(len(x)):
        out[i] = dot(matrix[i], x)[0]


@compiled
def excess(gramian: Array, weights: Array, products: Array, log_preference: Array, alpha: float) -> float:
    """max_i of r_i less its own rounding, in float64; a negligible weight has none: it follows from its product."""
    largest = -1e300  # finite, because it is multiplied by what may be 0
    for i in range(len(weights)):
        if weights[i] < NEGLIGIBLE and products[i] > 0.0:
            continue
        terms = 0.0
        for j in range(len(weights)):
            terms += abs(gramian[i, j]) * weights[j]
        wanted = np.exp((log_preference[i] - np.log(weights[i])) / alpha)
        residual = abs(products[i] - wanted) - EPS * (terms + wanted / alpha)
        if residual > largest * wanted:
            largest = residual / wanted
    return largest


def as_alpha(alpha: Any) -> float:
    """``alpha`` as a float; :class:`ValueError` outside the range in which residuals can be told in float64."""
    if isinstance(alpha, bool) or not isinstance(alpha, int | float | np.number):
        raise ValueError(f"alpha must be a number from {SMALLEST_ALPHA:g} to {LARGEST_ALPHA:g}, got {alpha!r}")
    if not SMALLEST_ALPHA <= alpha <= LARGEST_ALPHA:
        raise ValueError(f"alpha must be a number from {SMALLEST_ALPHA:g} to {LARGEST_ALPHA:g}, got {alpha!r}")
    return float(alpha)


def as_preference(preference: Any, size: int) -> Array:
    """``preference`` as float64 (K,), 1 by default; :class:`ValueError` unless finite and positive."""
    if preference is None:
        return np.ones(size)
    return _positive(preference, size, "a preference")


def as_weights(weights: Any, size: int) -> Array:
    """``weights`` as float64 (K,); :class:`ValueError` unless finite and positive."""
    return _positive(weights, size, "weights")


def _positive(values: Any, size: int, name: str) -> Array:
    if hasattr(values, "detach") and hasattr(values, "cpu"):
        values = values.detach().cpu().double().numpy()
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (size,):
        raise ValueError(f"{size} tasks have {name} of shape ({size},), got {array.shape}")
    if not (array.min() > 0.0 and array.max() < np.inf):
        raise ValueError(f"{name} must be positive and finite, got values from {array.min():.3g} to {array.max():.3g}")
    return array
