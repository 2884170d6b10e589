r"""UPGrad: every task's gradient is projected onto the directions without conflict, and the results are averaged.

.. math:: u = \frac1K \sum_i \mathrm{proj}_{\{u : Ju \ge 0\}}(g_i) = J^\top \frac1K \sum_i v_i, \qquad
          v_i \in \arg\min_{v \ge e_i} \tfrac12\, v^\top G v

The cone is convex, so no task conflicts with the mean. It does not change when gradients are rescaled, so u is
linear in the scales of the losses. Certificate of each row: v >= e_i, Gv >= 0, (v − e_i)ᵀGv = 0. u is what
primary/auxiliary does with each task as primary in turn, averaged. See ``docs/mathematics.md``, section 7, and
``mtlbench.solvers.dual_cone``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mtlbench.methods._room import RoomMethod
from mtlbench.methods.method import Array, Promises, choice


class UPGrad(RoomMethod):
    """The mean (``reduction="mean"``, the paper's) or the sum of the projections, solved exactly and without a ridge.

    ``solution`` holds one row of weights per task.
    """

    name = "upgrad"
    summary = "the mean of the task gradients, each projected onto the directions without conflict"
    source = "P. Quinton & V. Rey, arXiv 2406.16232"
    promises = Promises(
        non_conflicting=True, common_scale=0.0, task_scale="linear", permutation=True, unique="direction"
    )
    inner_problem = "dual_cone"

    def __init__(self, *, reduction: str = "mean", **common: Any) -> None:
        super().__init__(**common)
        self.reduction = choice(self.name, "reduction", reduction, ("mean", "sum"))

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """The projections' weights, averaged or added up."""
        rows = self.solve(gramian, preference=np.eye(len(gramian)))
        weights: Array = rows.mean(axis=0) if self.reduction == "mean" else rows.sum(axis=0)
        return weights
