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
Where the mean is zero up to rounding there is no cone, and u = g_0. Where 0 is in the hull of the gradients but the
mean is not zero (a stationary point) some task must lose; u still is the direction of the cone that hurts least.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mtlbench.methods.method import Array, GramianMethod, Promises, number
from mtlbench.solvers import Solution, min_norm
from mtlbench.solvers.ball.reduction import shifted

EPS = 2.0**-52


class ConicGrad(GramianMethod):
    """``cosine``: c in [0, 1), the smallest cosine of the update with the mean gradient.

    ``tolerance``: the solution is converged when its gap is at most this much of the lengths that it was computed from.
    """

    name = "conicgrad"
    summary = "the direction within a cone around the mean gradient whose worst improvement is largest"
    source = "Hassanpour et al., 2025, arXiv 2502.00217"
    promises = Promises(
        non_conflicting=False, common_scale=0.0, task_scale="none", permutation=True, unique="direction"
    )

    def __init__(self, *, cosine: float = 0.5, tolerance: float = 1e-9, **common: Any) -> None:
        super().__init__(**common)
        self.cosine = number(self.name, "cosine", cosine, maximum=1 - 1e-6)
        self.tolerance = number(self.name, "tolerance", tolerance)

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """(ω + μ/K) ‖g_0‖/‖Jᵀω + μ g_0‖."""
        cone = _Cone(gramian, self.cosine)
        if cone.length**2 <= 64 * cone.tasks * EPS * np.sqrt(np.diagonal(gramian)).mean() ** 2:
            uniform = np.full(cone.tasks, 1 / cone.tasks)
            self.solution = Solution(uniform, 0.0, 0, True, True)
            return uniform
        omega, mu = cone.search()
        weights = omega + mu / cone.tasks
        norm = math.sqrt(weights @ gramian @ weights)
        worst = float((gramian @ weights).min()) / norm
        gap = norm - mu * self.cosine * cone.length - worst
        converged = gap <= self.tolerance * (norm + mu * cone.length)
        self.solution = Solution(omega, gap / cone.length, cone.solves, converged, worst >= 0)
        return weights * (cone.length / norm)


class _Cone:
    """The search for μ on one Gramian."""

    def __init__(self, gramian: Array, cosine: float) -> None:
        self.gramian, self.cosine = gramian, cosine
        self.tasks = len(gramian)
        self.products = gramian.mean(axis=1)
        self.length = math.sqrt(max(float(self.products.mean()), 0.0))
        self.solves = 0
        self.inside = np.full(self.tasks, 1 / self.tasks), math.inf

    def search(self) -> tuple[Array, float]:
        """(ω, μ) of the smallest μ >= 0, to rounding, whose direction lies in the cone."""
        low, high = 0.0, 0.0
        while self.excess(high) < 0:
            low, high = high, 4 * high or 1.0
        if high > 0:
            from scipy.optimize import brentq

            brentq(self.excess, low, high, xtol=np.finfo(np.float64).tiny, rtol=4 * EPS, disp=False)
        return self.inside

    def excess(self, mu: float) -> float:
        """cos(g_0, d) − c for the min-norm weights of the rows g_i + μ g_0; d = 0 is outside every cone."""
        self.solves += 1
        omega = min_norm.solve(shifted(self.gramian, self.products, self.length, mu)).weights
        weights = omega + mu / self.tasks
        square = float(weights @ self.gramian @ weights)
        reach = float(weights @ np.sqrt(np.diagonal(self.gramian)))
        if square <= 64 * self.tasks * EPS * reach**2:
            return -1 - self.cosine
        excess = float(self.products @ weights) / (self.length * math.sqrt(square)) - self.cosine
        if excess >= 0:
            # The bracket shrinks: the last point inside the cone is its upper end.
            self.inside = omega, mu
        return excess
