r"""The greedy iteration for primary and auxiliary tasks, which leaves the conflicts but misses the optimum.

.. math:: u \leftarrow u + \frac{(-\langle g_\tau, u \rangle)_+}{\|g_\tau\|^2} \, g_\tau, \qquad
          \tau = \arg\min_i \langle g_i, u \rangle, \qquad u = g_0 \text{ at first}

It steps onto the half-space violated most until none is. Multipliers only grow, so it ends in a direction
without conflict that is not the nearest one: from g_0 = (1, −1, 0) with g = (−1, 2, 0), (0, −1, 1), (−1, 0, 1) at
u = (0.2, 0.2, 0.2), λ = (0.6, 0, 0.2), where the projection is u = (2, 1, 2)/9, λ = (5, 0, 2)/9. The certificate in
``solution`` is the residual of the exact problem, and shows the difference. See ``docs/mathematics.md``, section
7; :mod:`mtlbench.methods.primary_auxiliary` is exact.
"""

from __future__ import annotations

from typing import Any

from mtlbench.methods.method import Promises
from mtlbench.methods.primary_auxiliary import PrimaryAuxiliary


class GreedyPrimaryAuxiliary(PrimaryAuxiliary):
    """Primary/auxiliary by successive projections, ``max_iterations`` of them at most.

    They approach the cone in the limit only, slowly where tasks nearly oppose each other: no promise is kept.
    """

    name = "greedy_primary_auxiliary"
    summary = "the primary task's gradient, pushed out of one conflict after the other; not the nearest direction"
    source = "J. Su, https://kexue.fm/archives/8907; the relaxation of Agmon and of Motzkin & Schoenberg, 1954"
    promises = Promises(non_conflicting=False, common_scale=0.0, task_scale="none", permutation=False, unique="weights")
    default_solver = "greedy"
    solvers = ("greedy",)

    def __init__(self, *, max_iterations: int = 1_000, **common: Any) -> None:
        super().__init__(max_iterations=max_iterations, **common)
