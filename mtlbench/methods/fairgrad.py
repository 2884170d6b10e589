r"""FairGrad: the direction that maximises the α-fair utility of the tasks' improvements.

.. math:: \max_u \sum_i \frac{\langle g_i, u \rangle^{1-\alpha}}{1-\alpha} - \tfrac12 \|u\|^2
          \qquad\Longleftrightarrow\qquad (Gw)_i = w_i^{-1/\alpha}, \quad w > 0, \quad u = \sum_i w_i g_i

In w this is the stationarity of a strictly convex function, so there is one solution, and max_i |w_i^(1/α)
(Gw)_i − 1| certifies it. α → 0 tends to equal weights as long as their direction conflicts with no task, α = 1
is Nash-MTL, α → ∞ has the direction of MGDA. Every ⟨g_i, u⟩ = w_i^(−1/α) is positive. See
``docs/mathematics.md``, section 5.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mtlbench.errors import InputError
from mtlbench.methods._bargaining import Bargaining
from mtlbench.methods.method import Array, Promises, number
from mtlbench.search import Log, ranges

SMALLEST, LARGEST = 1e-3, 1e4


class FairGrad(Bargaining):
    """``alpha`` from 1e-3 to 1e4, 2 in the paper's main results.

    The paper's algorithm clips nothing, and so does the default; its code takes K u, clipped to length 1, which
    is K times ``max_norm=1/K``. A Pareto stationary point has no solution: the weights are 0 and
    ``stationary_events`` counts.
    """

    name = "fairgrad"
    summary = "α-fair resource allocation: the product of every task with u is w_i^(−1/α)"
    source = "H. Ban & K. Ji, ICML 2024, arXiv 2402.15638"
    search = ranges(alpha=Log(0.5, 10.0))
    promises = Promises(non_conflicting=True, common_scale=None, task_scale="none", permutation=True, unique="weights")

    def __init__(self, *, alpha: float = 2.0, **common: Any) -> None:
        self.alpha = number(self.name, "alpha", alpha, minimum=SMALLEST)
        if self.alpha > LARGEST:
            raise InputError(f"alpha of {self.name} must be at most {LARGEST:g}, got {alpha!r}")
        # G → c²G turns w into c^(−2α/(1+α)) w; at α = 1, w_i into w_i/c_i whatever the tasks' c_i are.
        self.promises = replace(
            type(self).promises,
            common_scale=-2 * self.alpha / (1 + self.alpha),
            task_scale="invariant" if self.alpha == 1 else "none",
        )
        super().__init__(**common)

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """The solution of (Gw)_i = w_i^(−1/α), clipped if asked for."""
        return self.clipped(self.bargained(gramian), gramian)
