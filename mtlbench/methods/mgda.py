r"""MGDA, the multiple-gradient descent algorithm: the shortest vector in the convex hull of the task
gradients.

.. math:: w \in \arg\min_{w \in \Delta} \tfrac12\, w^\top G w, \qquad u = \sum_i w_i g_i

Dual to max_u min_i ⟨g_i, u⟩ − ½‖u‖², so at the optimum every ⟨g_i, u⟩ >= ‖u‖² and no task conflicts; u is
zero exactly at Pareto stationary points. The certificate of any w in the simplex is gap = wᵀGw − min_i (Gw)_i
>= 0: u conflicts with no task if and only if gap <= ‖u‖². Small gradients get large weights: for orthogonal
ones w_i ∝ 1/‖g_i‖². See ``docs/mathematics.md``, section 2, and ``mtlbench.solvers.min_norm``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mtlbench.methods.method import Array, GramianMethod, Promises, choice, number
from mtlbench.solvers import min_norm


class MGDA(GramianMethod):
    """The min-norm weights.

    ``solver``: a name of ``min_norm.ALGORITHMS``. With ``level`` "representation" this is MGDA-UB, a bound that
    needs one pass through the encoder (its direction may conflict, see :mod:`mtlbench.methods.mgda_ub`).
    ``tolerance`` and ``max_iterations`` go to the solver. ``zero_task="keep"`` lets a task without a gradient
    take all the weight, as the formula says. ``solution`` is the last inner solution, over the tasks that
    were not dropped.
    """

    name = "mgda"
    summary = "the shortest vector in the convex hull of the task gradients"
    source = "Désidéri, C. R. Acad. Sci. Paris 2012; Sener & Koltun, NeurIPS 2018, arXiv 1810.04650"
    promises = Promises(non_conflicting=True, common_scale=0.0, task_scale="none", permutation=True, unique="direction")
    inner_problem = "min_norm"

    def __init__(
        self,
        *,
        solver: str = "active_set",
        tolerance: float = 1e-11,
        max_iterations: int = 10_000,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.solver = choice(self.name, "solver", solver, min_norm.ALGORITHMS)
        self.tolerance = number(self.name, "tolerance", tolerance)
        self.max_iterations = number(self.name, "max_iterations", max_iterations, minimum=1, integer=True)
        # An iterative solver may stop short of the optimum, where the guarantee holds.
        exact = not min_norm.algorithm(self.solver).iterative
        self.promises = replace(self.promises, non_conflicting=exact and self.level == "shared")

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """The solver's weights; its certificate stays in ``solution``."""
        self.solution = min_norm.solve(
            gramian, algorithm=self.solver, tolerance=self.tolerance, max_iterations=self.max_iterations
        )
        return self.solution.weights
