r"""PE-LTR: the min-norm direction with a lower bound on every task's weight, solved exactly.

.. math:: w \in \arg\min \tfrac12\, w^\top G w \quad \text{s.t.} \quad \sum_i w_i = 1, \; w_i \ge c_i, \qquad
          u = \sum_i w_i g_i

c = 0 is MGDA, Σ c_i = 1 the fixed weights c, and sweeping c in between walks along the Pareto front. Bounds on
a task that the min-norm point leaves out can make another one conflict: only c = 0 promises that none does. The
certificate is wᵀGw − cᵀGw − (1 − Σ c_i) min_i (Gw)_i. See ``docs/mathematics.md``, section 3, and
:mod:`mtlbench.methods.pe_ltr_relaxed` for the published solver.
"""

from __future__ import annotations

from mtlbench.methods._bounds import BoundedMethod
from mtlbench.methods._room import RoomMethod
from mtlbench.methods.method import Array, Promises


class PELTR(BoundedMethod, RoomMethod):
    """The min-norm weights above the bounds ``lower``, any of ``min_norm.ALGORITHMS`` as ``solver``.

    The paper leaves the bounds to the user; without any this is MGDA. Those of a dropped task are dropped with
    it.
    """

    name = "pe_ltr"
    summary = "the min-norm weights above given lower bounds"
    source = "X. Lin et al., RecSys 2019, doi 10.1145/3298689.3346998"
    promises = Promises(non_conflicting=True, common_scale=0.0, task_scale="none", permutation=True, unique="direction")
    inner_problem = "min_norm"

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """The room's weights above the bounds."""
        return self.solve(gramian, lower=self.bounds())
