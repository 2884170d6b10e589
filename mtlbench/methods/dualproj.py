r"""DualProj: the mean gradient, projected onto the directions without conflict.

.. math:: u = \mathrm{proj}_{\{u : Ju \ge 0\}}\Bigl(\frac1K \sum_i g_i\Bigr) = J^\top v, \qquad
          v \in \arg\min_{v \ge 1/K} \tfrac12\, v^\top G v

Where no task conflicts with the mean, u is the mean. Certificate: v >= 1/K, Gv >= 0, (v − 1/K)ᵀGv = 0. The mean
follows the longest gradient, and so does its projection. See ``docs/mathematics.md``, section 7, and
``mtlbench.solvers.dual_cone``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mtlbench.methods._room import RoomMethod
from mtlbench.methods.method import Array, Promises, choice


class DualProj(RoomMethod):
    """The projection of the mean (``reduction="mean"``) or of the sum, K times as long."""

    name = "dualproj"
    summary = "the mean gradient, projected onto the directions without conflict"
    source = "D. Lopez-Paz & M. Ranzato, NeurIPS 2017, arXiv 1706.08840; named in Quinton & Rey, arXiv 2406.16232"
    promises = Promises(non_conflicting=True, common_scale=0.0, task_scale="none", permutation=True, unique="direction")
    inner_problem = "dual_cone"

    def __init__(self, *, reduction: str = "mean", **common: Any) -> None:
        super().__init__(**common)
        self.reduction = choice(self.name, "reduction", reduction, ("mean", "sum"))

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """The room's weights for equal preferences."""
        tasks = len(gramian)
        return self.solve(gramian, preference=np.full(tasks, 1.0 if self.reduction == "sum" else 1 / tasks))
