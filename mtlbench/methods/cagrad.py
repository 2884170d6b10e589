r"""CAGrad: the best direction for the worst task, not farther from the mean gradient than a share of its
length.

.. math:: \max_d \min_i \langle g_i, d \rangle \quad \text{s.t.} \quad \|d - g_0\| \le c \|g_0\|, \qquad
          g_0 = \frac1K \sum_i g_i

Its dual has weights w in the simplex, and d = g_0 + c‖g_0‖ Jᵀw/‖Jᵀw‖: the weights of the method are the
coefficients of d, v_i = 1/K + c ‖g_0‖ w_i/‖Jᵀw‖, times the ``rescale`` factor. The certificate is the duality
gap over ‖g_0‖². With c < 1 the mean loss falls, ⟨g_0, d⟩ >= (1 − c)‖g_0‖² > 0; a task may conflict all the
same: g = (1, 0), (−3, 0) has g_0 = (−1, 0) and ⟨g_1, d⟩ < 0 for every d of a ball with c < 1. From c = 1 on it is
the other way round: 0 is in the ball, so no task conflicts, and the mean loss may rise.

Where 0/0 leaves d open: g_0 = 0 has d = 0; Jᵀw = 0 (Pareto stationary) has d = 0 for c >= 1, else the part of
g_0 that is orthogonal to the gradients in the support of w, or the point of the ball nearest to that on the way
from g_0. See ``docs/mathematics.md``, section 6, and ``mtlbench.solvers.ball``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mtlbench.methods._room import RoomMethod
from mtlbench.methods.method import Array, Promises, choice, number
from mtlbench.search import Linear, ranges

RESCALE = ("none", "1/(1+c^2)", "1/(1+c)")


class CAGrad(RoomMethod):
    """CAGrad with c = ``radius``.

    ``rescale``: the factor on d. The paper's algorithm has none; its code for supervised learning takes 1/(1 +
    c²), the default here, and knows 1/(1 + c). ``reduction``: "mean" is the paper's d around the mean gradient;
    "sum" is K times that, with which the code matches the step of a sum of losses. The paper's code uses c =
    0.4 on NYUv2.
    """

    name = "cagrad"
    summary = "the best direction for the worst task within a ball around the mean gradient"
    source = "B. Liu et al., NeurIPS 2021, arXiv 2110.14048"
    search = ranges(radius=Linear(0.05, 0.95))
    promises = Promises(
        non_conflicting=False, common_scale=0.0, task_scale="none", permutation=True, unique="direction"
    )
    inner_problem = "ball"
    default_solver = "reduction"

    def __init__(
        self, *, radius: float = 0.4, rescale: str = "1/(1+c^2)", reduction: str = "mean", **common: Any
    ) -> None:
        super().__init__(**common)
        self.radius = number(self.name, "radius", radius)
        exact = not self.room.algorithm(self.solver).iterative
        self.promises = replace(self.promises, non_conflicting=exact and self.radius >= 1 and self.level == "shared")
        self.rescale = choice(self.name, "rescale", rescale, RESCALE)
        self.reduction = choice(self.name, "reduction", reduction, ("mean", "sum"))

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """The coefficients of d, rescaled."""
        weights = self.solve(gramian, radius=self.radius)
        factor = {"none": 1.0, "1/(1+c^2)": 1 / (1 + self.radius**2), "1/(1+c)": 1 / (1 + self.radius)}[self.rescale]
        if self.reduction == "sum":
            factor *= len(gramian)
        coefficients: Array = factor * self.room.direction_weights(gramian, weights, radius=self.radius)
        return coefficients
