r"""Primary and auxiliary tasks: the primary task's gradient, changed as little as the auxiliaries need to be
unharmed.

.. math:: \min_u \tfrac12 \|u - g_0\|^2 \quad \text{s.t.} \quad \langle g_i, u \rangle \ge 0
          \qquad\Longleftrightarrow\qquad u = g_0 + \sum_{i \ge 1} \lambda_i g_i, \quad \lambda \ge 0

With one auxiliary λ = (−⟨g_0, g_1⟩)₊/‖g_1‖². ⟨g_0, u⟩ = ‖u‖² >= 0: the primary loss never rises, and u = 0 only
where −g_0 lies in the cone of the auxiliaries. An auxiliary that does not conflict has weight 0: it is
protected, it does not help. Rescaling an auxiliary loss changes nothing, rescaling the primary one scales u.
See ``docs/mathematics.md``, section 7.
"""

from __future__ import annotations

from mtlbench.methods._primary import PrimaryMethod, unit
from mtlbench.methods._room import RoomMethod
from mtlbench.methods.method import Array, Promises


class PrimaryAuxiliary(PrimaryMethod, RoomMethod):
    """The projection of the gradient of task ``primary``."""

    name = "primary_auxiliary"
    summary = "the primary task's gradient, projected onto the directions that harm no auxiliary task"
    source = "J. Su, https://kexue.fm/archives/8907"
    promises = Promises(
        non_conflicting=True, common_scale=0.0, task_scale="linear", permutation=False, unique="direction"
    )
    inner_problem = "dual_cone"

    def protected(self, gramian: Array, primary: int) -> Array:
        """The room's weights: 1 for the primary task, λ for the others."""
        return self.solve(gramian, preference=unit(len(gramian), primary))
