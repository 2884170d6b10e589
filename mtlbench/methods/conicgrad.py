r"""ConicGrad: the best direction for the worst task within a cone around the mean gradient.

.. math:: \max_d \min_i \langle g_i, d \rangle \quad\text{over}\quad
    \langle g_0, d \rangle \ge c \, \|g_0\| \, \|d\|, \quad \|d\| = \|g_0\|, \qquad g_0 = \tfrac1K \sum_i g_i

An angle instead of CAGrad's distance from the mean. The multiplier μ >= 0 of the cone gives the dual, in unit length

.. math:: \min_{\omega \in \Delta,\, \mu \ge 0} F(\omega, \mu) = \|J^\top \omega + \mu g_0\| - \mu c \|g_0\|, \qquad
    d \parallel J^\top \omega + \mu g_0 .

For fixed μ that is the min-norm problem of the rows g_i + μ g_0, and ∂F/∂μ = ‖g_0‖ (cos(g_0, d) − c) rises with μ. So:
the min-norm direction if it lies in the cone, otherwise the smallest μ whose min-norm direction does, by root finding,
each try one exact solve of size K. ``solution`` holds ω, the duality gap F − min_i ⟨g_i, d⟩/‖d‖ >= 0 relative to ‖g_0‖,
and the number of solves. c near 0 is MGDA's direction, c near 1 the mean's.

The authors approach ω by gradient steps, one per iteration of training; here the stated problem is solved to the end.
Where 0 is in the hull of the gradients (Pareto stationary, to rounding) no direction improves every task, and u = g_0,
the axis of the cone; so it is where the mean is zero to rounding, and the cone has no axis. Elsewhere the cone may be
too narrow for a common descent direction: then u is the one that hurts the worst task least.

See ``docs/mathematics.md``, "Closed forms and masks".
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mtlbench.methods.method import Array, GramianMethod, Promises, number
from mtlbench.search import Linear, ranges
from mtlbench.solvers import Solution, min_norm
from mtlbench.solvers.ball.reduction import shifted

EPS = 2.0**-52


class ConicGrad(GramianMethod):
    """``cosine``: c from 0 to 1 − 1e-6, the smallest cosine of the update with the mean gradient.

    ``tolerance``: the solution is converged when its gap is at most this much of the lengths that it was computed from.
    """

    name = "conicgrad"
    summary = "the direction within a cone around the mean gradient whose worst improvement is largest"
    source = "Hassanpour et al., 2025, arXiv 2502.00217"
    search = ranges(cosine=Linear(0.05, 0.95))
    promises = Promises(
        non_conflicting=False, common_scale=0.0, task_scale="none", permutation=True, unique="direction"
    )

    def __init__(self, *, cosine: float = 0.5, tolerance: float = 1e-9, **common: Any) -> None:
        super().__init__(**common)
        self.cosine = number(self.name, "cosine", cosine, maximum=1 - 1e-6)
        self.tolerance = number(self.name, "tolerance", tolerance)

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """(ω + μ/K) ‖g_0‖/‖Jᵀω + μ g_0‖."""
        tasks, omega = len(gramian), min_norm.solve(gramian).weights
        lengths = np.sqrt(np.diagonal(gramian))
        if any(vanishes(gramian, weights, lengths) for weights in (omega, np.full(tasks, 1 / tasks))):
            self.stationary_events += 1
            self.solution = Solution(omega, 0.0, 1, True, False)
            return np.full(tasks, 1 / tasks)
        cone = _Cone(gramian, self.cosine)
        omega, mu = cone.search()
        weights = omega + mu / tasks
        norm = math.sqrt(max(float(weights @ gramian @ weights), np.finfo(np.float64).tiny))
        worst = float((gramian @ weights).min()) / norm
        gap = norm - mu * self.cosine * cone.length - worst
        converged = gap <= self.tolerance * (norm + mu * cone.length)
        self.solution = Solution(omega, gap / cone.length, cone.solves, converged, worst >= 0)
        return weights * (cone.length / norm)


def vanishes(gramian: Array, weights: Array, lengths: Array) -> bool:
    """Whether Jᵀw is zero to rounding."""
    return bool(weights @ gramian @ weights <= 64 * len(weights) * EPS * (weights @ lengths) ** 2)


class _Cone:
    """The search for μ on the Gramian of gradients whose hull does not hold 0, and whose mean is not 0."""

    def __init__(self, gramian: Array, cosine: float) -> None:
        self.gramian, self.cosine = gramian, cosine
        self.products = gramian.mean(axis=1)
        self.length = math.sqrt(self.products.mean())
        self.solves = 0
        self.inside: tuple[Array, float] | None = None
        self.last: tuple[Array, float]

    def search(self) -> tuple[Array, float]:
        """(ω, μ) of the smallest μ >= 0, to rounding, whose direction lies in the cone."""
        low, high = 0.0, 0.0
        # From 1/eps on the direction is the mean's to rounding, which a cosine near 1 may not tell.
        while self.excess(high) < 0 and high < 1 / EPS:
            low, high = high, 4 * high or 1.0
        if self.inside is None:
            self.inside = self.last
        elif high > 0:
            from scipy.optimize import brentq

            brentq(self.excess, low, high, xtol=np.finfo(np.float64).tiny, rtol=4 * EPS, disp=False)
        return self.inside

    def excess(self, mu: float) -> float:
        """cos(g_0, d) − c for the min-norm weights of the rows g_i + μ g_0."""
        self.solves += 1
        omega = min_norm.solve(shifted(self.gramian, self.products, self.length, mu)).weights
        weights = omega + mu / len(omega)
        self.last = omega, mu
        square = float(weights @ self.gramian @ weights)
        # Where rounding leaves nothing of the length there is no direction: outside the cone.
        cosine = float(self.products @ weights) / (self.length * math.sqrt(square)) if square > 0 else -1.0
        excess = cosine - self.cosine
        if excess >= 0:
            # The bracket shrinks: the last point inside the cone is its upper end.
            self.inside = omega, mu
        return excess
