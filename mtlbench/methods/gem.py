r"""GEM, gradient episodic memory: the current task's gradient, projected so that no memory's loss rises.

.. math:: u = g_0 + \sum_{i \ge 1} \lambda_i g_i, \qquad
          \lambda \in \arg\min_{\lambda \ge \gamma} \tfrac12 \Bigl\| g_0 + \sum_{i \ge 1} \lambda_i g_i \Bigr\|^2

With γ = 0 it is primary/auxiliary, the memories being the auxiliaries. A margin γ > 0 adds at least γ of every
memory's gradient, and as in the authors' code only in a step where a memory conflicts with g_0. It favours the
memories: ⟨g_i, u⟩ >= 0 for them, but the current task may conflict: g_0 = (1, 0), g_1 = (−1, 1), γ = 2 has u =
(−1, 2). See ``docs/mathematics.md``, section 7.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mtlbench.methods._primary import unit
from mtlbench.methods.method import Array, number
from mtlbench.methods.primary_auxiliary import PrimaryAuxiliary

EPS = 2.0**-52


class GEM(PrimaryAuxiliary):
    """Primary/auxiliary with ``margin`` γ; ``primary`` is the current task.

    0 is the default of the authors' code and the paper's equation; the paper's experiments use 0.5. The code
    also adds 1e-3 I to the Gramian of the memories, which gives up the guarantee where gradients are short;
    nothing is added here.
    """

    name = "gem"
    summary = "the current task's gradient, projected so that no memory's loss rises"
    source = "D. Lopez-Paz & M. Ranzato, NeurIPS 2017, arXiv 1706.08840"

    def __init__(self, *, margin: float = 0.0, **common: Any) -> None:
        super().__init__(**common)
        self.margin = number(self.name, "margin", margin)
        if self.margin:
            self.promises = replace(self.promises, non_conflicting=False, task_scale="none")

    def protected(self, gramian: Array, primary: int) -> Array:
        """The weights of u: 1 for the current task, λ for the memories."""
        if not self.margin:
            return super().protected(gramian, primary)
        start = unit(len(gramian), primary)
        if (gramian[primary] >= 0).all():
            return start
        # Project g' = g_0 + γ Σ g_i onto the memories' cone: g' in the place of g_0 is a row that never binds.
        rows = np.eye(len(gramian), dtype=np.longdouble)
        rows[primary] = np.where(start > 0, 1.0, self.margin)
        shifted = rows @ gramian.astype(np.longdouble) @ rows.T
        lengths = np.sqrt(shifted.diagonal().clip(min=0))
        reach = float(rows[primary] @ np.sqrt(gramian.diagonal()))
        if lengths[primary] ** 2 <= 64 * len(gramian) * EPS * reach**2:
            return rows[primary].astype(np.float64)  # g' = 0 up to rounding: nothing is left to project
        limit = np.outer(lengths, lengths)
        solved = self.solve(shifted.clip(-limit, limit).astype(np.float64), preference=start)
        weights: Array = (rows.T @ solved).astype(np.float64)
        return weights
