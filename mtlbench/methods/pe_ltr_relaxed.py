r"""PE-LTR as published: the constraint w >= c is dropped, the relaxed problem solved, and its solution
projected.

.. math:: \begin{pmatrix} G & e \\ e^\top & 0 \end{pmatrix} \begin{pmatrix} \hat v \\ \nu \end{pmatrix}
          = \begin{pmatrix} -Gc \\ 1 - \sum_i c_i \end{pmatrix}, \qquad
          w = c + \arg\min_v \|v - \hat v\|^2 \;\text{ s.t. }\; v \ge 0, \; \sum_i v_i = 1 - \sum_i c_i

The paper writes (MᵀM)⁻¹Mᵀz for the first step, which is M⁻¹z. Solving and then projecting is not solving: with
c = 0, g = (1, 1), (1, −1), (2, 1) has v̂ = (3, 1, −2)/2 and w = (1, 0, 0), where ‖u‖² = 2; the optimum, which
:mod:`mtlbench.methods.pe_ltr` finds, is (½, ½, 0) with ‖u‖² = 1. The audit judges w by the exact problem's
certificate and shows what is lost. See ``docs/mathematics.md``, section 3.
"""

from __future__ import annotations

import numpy as np

from mtlbench.methods._bounds import BoundedMethod
from mtlbench.methods._room import Inner
from mtlbench.methods._simplex import simplex
from mtlbench.methods.method import Array, Promises


class PELTRRelaxed(BoundedMethod):
    """The published solver with bounds ``lower``.

    Where M is singular (copies, dependent gradients) v̂ is the solution of smallest Σ v_i² ‖g_i‖²; the paper
    says nothing.
    """

    name = "pe_ltr_relaxed"
    summary = "pe_ltr as published: solved without the bounds, then projected onto them"
    source = "X. Lin et al., RecSys 2019, doi 10.1145/3298689.3346998"
    promises = Promises(non_conflicting=False, common_scale=0.0, task_scale="none", permutation=True, unique="weights")
    inner_problem = "min_norm"

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """c and the projection of v̂."""
        lower = self.bounds()
        free = max(1 - float(lower.sum()), 0.0)
        weights = lower + simplex(relaxed(gramian, lower, free), free)
        self.inner = Inner(gramian, weights, {"lower": lower})
        return weights


def relaxed(gramian: Array, lower: Array, free: float) -> Array:
    """v̂ (K,), in units of the gradients' lengths: unequal norms would ruin M otherwise."""
    lengths = np.sqrt(gramian.diagonal())
    shortest = lengths[lengths > 0].min(initial=np.inf)
    lengths = np.where(lengths > 0, lengths, shortest if np.isfinite(shortest) else 1.0)
    scale = lengths.min() / lengths
    matrix = np.zeros((len(lower) + 1,) * 2)
    matrix[:-1, :-1] = gramian / lengths[:, None] / lengths
    matrix[:-1, -1] = matrix[-1, :-1] = scale
    right = np.append(-(gramian / lengths[:, None] / lengths.min()) @ lower, free)
    solution: Array = scale * np.linalg.lstsq(matrix, right, rcond=None)[0][:-1]
    return solution
