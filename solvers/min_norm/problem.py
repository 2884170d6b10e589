"""The min-norm problem: minimise f(w) = ½ wᵀGw over the simplex {w >= 0, Σ w_i = 1}.

With the task gradients g_i as rows of J and G = J Jᵀ, u = Jᵀw is a point of their convex hull, f(w) = ½‖u‖², and the
minimiser u* is the hull's point nearest to 0: the update direction of MGDA. It is the dual of
max_u min_i <g_i, u> − ½‖u‖² (Désidéri 2012; Sener & Koltun, arXiv 1810.04650).

Any w in the simplex is certified by gap(w) = wᵀGw − min_i (Gw)_i >= 0, whoever computed it:
f(w) − f* <= gap − ½‖u − u*‖²,  ‖u − u*‖² <= gap,  min_i <g_i, u> = ‖u‖² − gap.

The certificate is summed in twice the precision of float64 (``compiled.py``), the same on every platform. Elsewhere
extended precision is numpy's ``longdouble``: 64 bits of mantissa on x86, 113 on Linux/ARM, on others perhaps 53.
"""

from __future__ import annotations

from math import ldexp, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiled import added, compiled, dot, multiplied, plain
from ..gramian import Array, as_gramian, normalised
from ..solution import Solution

Extended = NDArray[np.longdouble]

EPS = 2.0**-52


class Problem:
    """One Gramian and a relative tolerance, as the driver takes it; raises like :func:`certificate`."""

    def __init__(self, gramian: Any, tolerance: float) -> None:
        self.gramian = as_gramian(gramian)
        self.target = tolerated(self.gramian, tolerance)
        scaled, self.exponent = normalised(self.gramian)
        self.subject = plain(scaled)
        # The certificate of the scaled problem is that of the given one, scaled: compare there, report in the given
        # unit.
        self._within = tolerated(self.subject, tolerance)
        self._lengths = np.sqrt(self.subject.diagonal())
        self._rounding = 4.0 * len(self.subject) * EPS * float(self._lengths.max())

    def decided(self, closed_form: bool) -> Array | None:
        """K = 1 has w = (1), a zero row is answered by its vertex, K = 2 by the closed form where it is allowed."""
        zero = vertex_of_zero_row(self.gramian)
        if zero is not None:
            return vertex(len(self.gramian), zero)
        if len(self.gramian) == 1:
            return np.ones(1)
        return two_tasks(self.subject) if closed_form and len(self.gramian) == 2 else None

    def products(self, weights: Array) -> Array:
        """Gw."""
        return self.subject @ weights

    def gap(self, weights: Array, products: Array) -> float:
        """wᵀGw − min_i (Gw)_i."""
        return float(weights @ products - products.min())

    def promising(self, weights: Array, gap: float) -> bool:
        """Whether the gap is within the tolerance but for its rounding."""
        return bool(gap <= self._within + self._rounding * (weights @ self._lengths))

    def judged(self, weights: Array, iterations: int) -> Solution:
        """The weights and their duality gap."""
        gap, _, non_conflicting = self._measured(weights)
        # Compared as it is reported: whoever compares `gap` with the tolerance again comes to the same answer.
        return Solution(weights, gap, iterations, gap <= self.target, non_conflicting)

    def objective(self, weights: Array) -> float:
        """½ wᵀGw."""
        return self._measured(weights)[1] / 2

    def _measured(self, weights: Array) -> tuple[float, float, bool]:
        gap, square, non_conflicting = measured(self.subject, weights)
        return ldexp(gap, self.exponent), ldexp(square, self.exponent), non_conflicting


def certificate(gramian: Any, weights: Any) -> float:
    """The duality gap wᵀGw − min_i (Gw)_i >= 0 of ``weights`` (K,), in the unit of ``gramian`` (K, K), ‖g‖².

    Computed in twice the precision of float64 from these two arguments alone. Weights that sum to 1 up to rounding are
    divided by their sum first, so that a sum below 1 cannot hide a gap.
    Raises :class:`~mtlbench.solvers.InvalidGramian`, and :class:`ValueError` for weights outside the simplex.
    """
    problem = Problem(gramian, 0.0)
    return problem.judged(as_weights(weights, len(problem.gramian)), 0).gap


def objective(gramian: Any, weights: Any) -> float:
    """f(w) = ½ wᵀGw = ½‖u‖², in the unit of ``gramian``, as precise as the certificate. Raises like it."""
    problem = Problem(gramian, 0.0)
    return problem.objective(as_weights(weights, len(problem.gramian)))


def tolerated_gap(gramian: Any, tolerance: float = 1e-11) -> float:
    """The largest gap that counts as converged: (tolerance + eps max_i d_i / min_i d_i) min_i G_ii, d_i = √G_ii.

    The second term is what rounding w to float64 costs; no algorithm can beat it. 0 where a row is zero: the solution
    is then a vertex and its gap exactly 0.
    """
    return tolerated(as_gramian(gramian), tolerance)


def tolerated(gramian: Array, tolerance: float) -> float:
    """:func:`tolerated_gap` of a Gramian that is known to be valid."""
    diagonal = gramian.diagonal()
    smallest, largest = float(diagonal.min()), float(diagonal.max())
    # eps (max d / min d) min G_ii without the quotient, which a zero row would make infinite.
    return tolerance * smallest + EPS * sqrt(largest) * sqrt(smallest)


def gap_and_square(gramian: Array, weights: Array) -> tuple[np.longdouble, np.longdouble]:
    """(gap, wᵀGw) of valid arguments, in extended precision."""
    return extended_gap_and_square(gramian.astype(np.longdouble), weights)


def extended_gap_and_square(gramian: Extended, weights: Array) -> tuple[np.longdouble, np.longdouble]:
    """:func:`gap_and_square` with a Gramian that is in extended precision already."""
    w = weights.astype(np.longdouble)
    w /= w.sum()
    products = gramian @ w
    square = np.longdouble(w @ products)
    return max(square - products.min(), np.longdouble(0)), square


@compiled
def measured(gramian: Array, weights: Array) -> tuple[float, float, bool]:
    """(gap, wᵀGw, gap <= wᵀGw) in twice the precision, for a scaled Gramian: rows are read as columns.

    The weights are divided by their sum: gap = (wᵀGw − s min_i (Gw)_i) / s², s = Σ w_i.
    """
    size = len(weights)
    high = np.zeros(size)
    low = np.zeros(size)
    for j in range(size):
        if weights[j] != 0.0:
            row = gramian[j]
            for i in range(size):
                product, rest = multiplied(weights[j], row[i])
                high[i], lost = added(high[i], product)
                low[i] += lost + rest
    lowest = 0
    for i in range(size):
        high[i], low[i] = added(high[i], low[i])
        if high[i] < high[lowest] or (high[i] == high[lowest] and low[i] < low[lowest]):
            lowest = i
    square, rest = dot(weights, high)
    rest += dot(weights, low)[0]
    total = missing = 0.0
    for i in range(size):
        total, lost = added(total, weights[i])
        missing += lost
    least, error = multiplied(total, high[lowest])
    error += total * low[lowest] + missing * high[lowest]
    gap = max((square - least) + (rest - error), 0.0)
    square = square + rest
    # 1 / s², s = total + missing: what the sum of many weights has lost to rounding counts too.
    scale = (1.0 - 2.0 * missing / total) / (total * total)
    return gap * scale, square * scale, gap <= square


def best_rounding(gramian: Array, weights: Extended) -> Array:
    """Of 64 ways to round ``weights`` to float64, their sum within 8 eps of 1, the one with the smallest gap.

    Where 0 lies in the hull of long gradients only, rounding to nearest alone can cost more than the tolerance; the
    rounding errors of (1 + k eps/8) w differ with k, and some of them nearly cancel in Jᵀw.
    """
    exact = gramian.astype(np.longdouble)
    roundings = [(weights * (1 + np.longdouble(k) * EPS / 8)).astype(np.float64) for k in range(-32, 32)]
    return min(roundings, key=lambda w: extended_gap_and_square(exact, w)[0])


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


def vertex_of_zero_row(gramian: Array) -> int | None:
    """The lowest i with G_ii = 0 exactly: that gradient is 0, hence u* = 0. A small gradient is never zero."""
    i = int(gramian.diagonal().argmin())
    return i if gramian[i, i] == 0.0 else None


def cheapest_vertex(gramian: Array) -> int:
    """The lowest i of smallest norm."""
    return int(gramian.diagonal().argmin())


def vertex(size: int, i: int) -> Array:
    """The weights that put everything on task ``i``."""
    weights = np.zeros(size)
    weights[i] = 1.0
    return weights


def uniform(size: int) -> Array:
    """The weights 1/K."""
    return np.full(size, 1.0 / size)


@compiled
def two_tasks(gramian: Array) -> Array:
    """The closed form at K = 2: w ∝ (G22 − G12, G11 − G12), clipped to the simplex; equal gradients: (½, ½).

    Both numerators are computed: 1 − w_1 would lose the digits of a small w_2.
    """
    first, first_rest = added(gramian[1, 1], -gramian[0, 1])
    second, second_rest = added(gramian[0, 0], -gramian[0, 1])
    weights = np.zeros(2)
    if first <= 0.0 or second <= 0.0:
        # Equal gradients, or, by rounding, a product larger than both squares: then the shorter one.
        if gramian[0, 0] == gramian[1, 1]:
            weights[0] = weights[1] = 0.5
        elif gramian[0, 0] < gramian[1, 1]:
            weights[0] = 1.0
        else:
            weights[1] = 1.0
        return weights
    total, rest = added(first, second)
    rest += first_rest + second_rest
    weights[0] = divided(first, first_rest, total, rest)
    weights[1] = divided(second, second_rest, total, rest)
    return weights


@compiled
def divided(high: float, low: float, total: float, rest: float) -> float:
    """(high + low) / (total + rest), rounded once."""
    quotient = high / total
    product, error = multiplied(quotient, total)
    return quotient + ((((high - product) - error) + low) - quotient * rest) / total


def distance(gramian: Array) -> float:
    """D = max_ij ‖g_i − g_j‖, the diameter of the hull, in the unit ‖g‖."""
    # Extended: for nearly equal gradients the sum cancels.
    exact = gramian.astype(np.longdouble)
    diagonal = exact.diagonal()
    return float(np.sqrt(np.maximum(diagonal[:, None] + diagonal - 2 * exact, 0).max()))
