"""The min-norm problem with lower bounds on the weights: min ½ wᵀGw over {w >= c, Σ w_i = 1}.

With c >= 0 and the free share m = 1 − Σ c_i >= 0, w = c + m v for a v in the simplex, and Jᵀw = Σ_i v_i g'_i with
g'_i = m g_i + Jᵀc: the corners of the smaller hull. So this is the plain problem for

    G'_ij = m² G_ij + m ((Gc)_i + (Gc)_j) + cᵀGc,

and every algorithm of the room solves it. PE-LTR asks this problem; SDMGrad, min_v ½‖Jᵀ(v + λp)‖² over the simplex,
is the same with c = λp/(1 + λ), its direction being Jᵀ(v + λp)/(1 + λ).

Any admissible w is certified by gap(w) = wᵀGw − cᵀGw − m min_i (Gw)_i = v'G'v − min_i (G'v)_i >= 0, which gives
‖u − u*‖² <= gap as in the plain problem; it is computed from G, c and w, never from G'. Its scale is that of the
corners, not of the gradients: converged means

    gap <= tolerance · min_i G'_ii + eps · min_i l_i · max_i l_i,   l_i = Σ_j c_j d_j + m d_i >= √G'_ii.

Rounding w costs the second term; it is what counts where a corner nearly vanishes. At c = 0 all of this is the plain
problem's.

A corner may cancel out though no gradient is zero (g_2 = −g_1, c = (½, 0)), and a zero gradient makes no zero corner.
So a zero row of G is no special case here, and a corner no longer than rounding, G'_ii <= eps l_i², is the answer only
if the certificate says so. Else it counts as a corner of that length, which changes gaps by less than eps l_i²/4.

Source: X. Lin et al., A Pareto-efficient algorithm for multiple objective optimization in e-commerce recommendation,
RecSys 2019, whose own solver drops w >= c, then projects: not a solution; P. Xiao, H. Ban & K. Ji, arXiv 2305.18409.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..gramian import EXCESS, Array, as_gramian, normalised
from ..solution import Solution
from .problem import EPS, Extended, Problem, as_weights, extended_gap_and_square, vertex


class Bounded(Problem):
    """The plain problem of the corners, as the driver takes it; what it answers with is w = c + m v."""

    def __init__(self, gramian: Any, lower: Any, tolerance: float) -> None:
        given = as_gramian(gramian)
        self.lower = as_lower(lower, len(given))
        self.share, self.free = shares(self.lower)
        scaled, exponent = normalised(given)
        matrix, lengths = corners(scaled, self.share, self.free)
        super().__init__(valid(matrix, lengths), tolerance)
        # G' lives in the scaled unit; the certificate is that of the given problem.
        self.exponent += exponent
        self.given = given.astype(np.longdouble)
        self.target = tolerated(given, self.share, self.free, tolerance)
        self.vanishing = matrix.diagonal() <= EPS * lengths**2
        inner = float(np.ldexp(self.target, -self.exponent))
        self._screen = inner + 8.0 * len(given) * EPS * float(np.ldexp(lengths.max() ** 2, exponent - self.exponent))

    def decided(self, closed_form: bool) -> Array | None:
        """As the plain problem, but a vanishing corner has to be certified; nothing is left to decide where m = 0."""
        size = len(self.lower)
        if self.free == 0:
            return vertex(size, 0)
        for i in np.flatnonzero(self.vanishing):
            if self.judged(vertex(size, int(i)), 0).converged:
                return vertex(size, int(i))
        return super().decided(closed_form)

    def promising(self, weights: Array, gap: float) -> bool:
        """Whether the gap is within the tolerance but for the rounding of G', v and w."""
        return gap <= self._screen

    def judged(self, weights: Array, iterations: int) -> Solution:
        """w = c + m v, its gap, and whether no task conflicts: min_i (Gw)_i >= 0."""
        w = self.admissible(weights)
        reported = float(extended_gap(self.given, w, self.share, self.free))
        gap, square = extended_gap_and_square(self.given, w)
        return Solution(w, reported, iterations, reported <= self.target, bool(gap <= square))

    def objective(self, weights: Array) -> float:
        """½ wᵀGw."""
        return float(extended_gap_and_square(self.given, self.admissible(weights))[1] / 2)

    def admissible(self, weights: Array) -> Array:
        """w = c + m v, rounded once: never below c."""
        return (self.lower + self.free * weights.astype(np.longdouble)).astype(np.float64)


def certificate(gramian: Any, weights: Any, lower: Any) -> float:
    """The gap wᵀGw − cᵀGw − (1 − Σ c_i) min_i (Gw)_i >= 0 of ``weights`` (K,), c = ``lower`` (K,), in ‖g‖².

    Computed in extended precision from these arguments alone; weights that sum to 1 up to rounding are divided by their
    sum first. Raises like :func:`mtlbench.solvers.min_norm.certificate`, and :class:`ValueError` for wrong lower bounds
    and for weights below them by more than rounding.
    """
    g = as_gramian(gramian)
    c = as_lower(lower, len(g))
    w = as_weights(weights, len(g))
    below = w < c * (1.0 - 8.0 * EPS)
    if below.any():
        i = int(below.argmax())
        raise ValueError(f"weights must not be below lower: weight {i} is {w[i]:.9g}, its lower bound {c[i]:.9g}")
    return float(extended_gap(g.astype(np.longdouble), w, *shares(c)))


def tolerated_gap(gramian: Any, lower: Any, tolerance: float = 1e-11) -> float:
    """The largest gap that counts as converged: tolerance · min_i G'_ii + eps · min_i l_i · max_i l_i (see above)."""
    g = as_gramian(gramian)
    return tolerated(g, *shares(as_lower(lower, len(g))), tolerance)


def extended_gap(gramian: Extended, weights: Array, share: Extended, free: np.longdouble) -> np.longdouble:
    """:func:`certificate` of valid arguments."""
    w = weights.astype(np.longdouble)
    w /= w.sum()
    products = gramian @ w
    return max(w @ products - share @ products - free * products.min(), np.longdouble(0))


def tolerated(gramian: Array, share: Extended, free: np.longdouble, tolerance: float) -> float:
    """:func:`tolerated_gap` of valid arguments."""
    matrix, lengths = corners(gramian, share, free)
    smallest = max(float(matrix.diagonal().min()), 0.0)
    return tolerance * smallest + EPS * float(lengths.min()) * float(lengths.max())


def corners(gramian: Array, share: Extended, free: np.longdouble) -> tuple[Extended, Extended]:
    """G' and l, the lengths that the corners would have if nothing cancelled."""
    exact = gramian.astype(np.longdouble)
    products = free * (exact @ share)
    matrix = free**2 * exact + (products[:, None] + products) + share @ exact @ share
    lengths = np.sqrt(exact.diagonal())
    return matrix, share @ lengths + free * lengths


def valid(matrix: Extended, lengths: Extended) -> Array:
    """G' as a Gramian in float64: no corner shorter than its rounding, and Cauchy-Schwarz holds."""
    squares = np.maximum(matrix.diagonal(), EPS * lengths**2)
    norms = np.sqrt(squares)
    limit = (1.0 + EXCESS) * norms[:, None] * norms
    result = np.clip(matrix, -limit, limit)
    np.fill_diagonal(result, squares)
    return result.astype(np.float64)


def shares(lower: Array) -> tuple[Extended, np.longdouble]:
    """(c, m); a sum within rounding of 1 is 1: then c is divided by it, and m = 0."""
    exact = lower.astype(np.longdouble)
    total = exact.sum()
    if total >= 1.0 - len(lower) * EPS:
        return exact / total, np.longdouble(0)
    return exact, 1 - total


def as_lower(lower: Any, size: int) -> Array:
    """``lower`` as float64 (K,); :class:`ValueError` unless finite, non-negative and of sum at most 1."""
    if hasattr(lower, "detach") and hasattr(lower, "cpu"):
        lower = lower.detach().cpu().double().numpy()
    try:
        c = np.asarray(lower, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"lower must hold one number for each of {size} tasks, got {lower!r}") from None
    if c.shape != (size,):
        raise ValueError(f"lower must hold one number for each of {size} tasks, got the shape {c.shape}")
    if not (c >= 0.0).all():
        i = int((~(c >= 0.0)).argmax())
        raise ValueError(f"lower must hold numbers >= 0, got {c[i]:.6g} for task {i}")
    total = float(c.astype(np.longdouble).sum())
    if not total <= 1.0 + size * EPS:
        raise ValueError(f"lower must sum to at most 1, as the weights sum to 1, got the sum {total:.17g}")
    return c
