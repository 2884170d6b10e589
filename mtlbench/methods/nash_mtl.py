r"""Nash-MTL: the Nash bargaining solution among the tasks.

.. math:: \max_u \sum_i \log \langle g_i, u \rangle - \tfrac12 \|u\|^2
          \qquad\Longleftrightarrow\qquad (Gw)_i = 1 / w_i, \quad w > 0, \quad u = \sum_i w_i g_i

The problem is convex in w: ½ wᵀGw − Σ log w_i has one minimiser, and max_i |w_i (Gw)_i − 1| certifies it; no
sequence of convex approximations is needed. Scaling g_i by c_i divides w_i by c_i and leaves u as it is. ‖u‖² =
Σ_i w_i (Gw)_i = K whatever the gradients are: the length says nothing, hence the clipping. See
``docs/mathematics.md``, section 5.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mtlbench.methods._bargaining import Bargaining
from mtlbench.methods.method import Array, Promises, number


class NashMTL(Bargaining):
    """The bargaining solution.

    ``max_norm``: ‖u‖ is clipped to it. 1 by default, as in the paper's code: since ‖u‖ = √K, every step then
    has length 1. 0 clips nothing: the u of the paper's equation. ``update_every``: a problem is solved every so
    many steps, 1 in the paper's code; in between w is kept and clipped anew, and may conflict. It saves solving
    only, as all task gradients are still taken. A Pareto stationary point has no solution: the weights are 0,
    ``stationary_events`` counts the step, and the next one solves again.
    """

    name = "nash_mtl"
    summary = "the Nash bargaining solution: the product of every task with u is 1/w_i"
    source = "A. Navon et al., ICML 2022, arXiv 2202.01017"
    promises = Promises(
        non_conflicting=True, common_scale=-1.0, task_scale="invariant", permutation=True, unique="weights"
    )
    alpha = 1.0
    state = ("steps", "held")

    def __init__(self, *, max_norm: float = 1.0, update_every: int = 1, **common: Any) -> None:
        super().__init__(max_norm=max_norm, **common)
        self.update_every = number(self.name, "update_every", update_every, minimum=1, integer=True)
        self.steps = 0
        self.held: Array | None = None
        if self.update_every > 1:
            self.promises = replace(self.promises, non_conflicting=False)

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """The solution of (Gw)_i = 1/w_i, of this step or of the last one that solved, clipped."""
        if self.held is None or self.steps % self.update_every == 0:
            weights = self.bargained(gramian)
            self.steps, self.held = 0, None
            if weights.any():
                self.held = np.zeros(len(self.used))
                self.held[self.used] = weights
        else:
            weights = self.held[self.used]
        self.steps += 1
        return self.clipped(weights, gramian)
