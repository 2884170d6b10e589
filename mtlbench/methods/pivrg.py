r"""PIVRG: FairGrad with α = 2, weighted so that tasks that perform worse are served more.

.. math:: (Gw)_i = \sqrt{p_i / w_i}, \qquad p = K \,\mathrm{softmax}(s / T), \qquad
          T = \max\Bigl(\frac{\max s - \min s}{\log b}, T_0\Bigr)

s_i is the task's score, its loss of performance in percent (higher is worse), so that p_i/p_j <= b; b = 2, T_0
= 10. The equation is that of the bargaining room with preference p; w_i = y_i/p_i turns it into FairGrad's,
(G'y)_i = y_i^(−½) with G'_ij = G_ij/(p_i p_j). See ``docs/mathematics.md``, section 5.

Read in the authors' code (github.com/jianke0604/MTLlib): the equation, p, T, b and T_0; scores renewed after
each epoch as Δ_i in percent of the *training metrics* against single-task networks, 0 before. A method here
sees losses only, so s_i is Δ_i of the mean training loss, and single-task losses have to be given as
``references``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import log
from typing import Any

import numpy as np

from mtlbench.errors import InputError
from mtlbench.methods._bargaining import Bargaining
from mtlbench.methods.method import Array, Promises, _vector, number, numbers, softmax
from mtlbench.search import Log, ranges


class PIVRG(Bargaining):
    """Weighted FairGrad.

    ``update_every``: steps after which the scores are renewed from the mean losses of these steps, an epoch in
    the authors' code. ``references``: one non-zero loss B_i per task, s_i = 100 (L_i − B_i)/|B_i|; without them
    B_i is the mean loss of the first ``update_every`` steps, so that s_i is how little a task has improved.
    ``bound`` > 1 is b, ``temperature`` T_0. The authors' code clips K u to length 1, which is K times
    ``max_norm=1/K``. A task whose own first mean is 0 keeps score 0. A Pareto stationary point has no solution:
    the weights are 0, ``stationary_events`` counts.
    """

    name = "pivrg"
    summary = "fairgrad with alpha 2, tasks that perform worse being preferred"
    source = "X. Qin, X. Wang & J. Yan, CVPR 2025; github.com/jianke0604/MTLlib"
    search = ranges(temperature=Log(1.0, 100.0))
    promises = Promises(
        non_conflicting=True, common_scale=-4 / 3, task_scale="none", permutation=True, unique="weights"
    )
    alpha = 2.0
    state = ("steps", "total", "scores", "baseline")
    per_task = ("references",)

    def __init__(
        self,
        *,
        update_every: int = 100,
        references: Iterable[float] | None = None,
        bound: float = 2.0,
        temperature: float = 10.0,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.update_every = number(self.name, "update_every", update_every, minimum=1, integer=True)
        self.references = numbers(self.name, "references", references)
        for index, value in enumerate(self.references or ()):
            if not value:
                raise InputError(f"references[{index}] of {self.name} must not be 0: scores are relative to it")
        self.bound = number(self.name, "bound", bound, minimum=1.0)
        self.temperature = number(self.name, "temperature", temperature)
        if self.bound == 1 or not self.temperature:
            raise InputError(f"bound of {self.name} must be above 1 and temperature above 0")
        if self.references is not None:
            # They have a unit, which a common factor of the losses changes; and they belong to places.
            alike = len(set(self.references)) == 1
            self.promises = replace(self.promises, common_scale=None, permutation=alike)
        self.steps = 0
        self.total: Array | float = 0.0
        self.scores: Array | None = None
        self.baseline = None if references is None else np.array(self.references, dtype=np.float64)

    def preference(self, tasks: int) -> Array:
        """p (K,), 1 for every task as long as there are no scores."""
        if self.scores is None:
            return np.ones(tasks)
        spread = float(self.scores.max() - self.scores.min())
        return tasks * softmax(self.scores / max(spread / log(self.bound), self.temperature))

    def weights(self, *, gramian: Any = None, losses: Any = None) -> Array:
        """The weights (K,) for the Gramian (K, K) and the scores so far; the losses (K,) go into the next ones."""
        if losses is None:
            raise InputError(f"{self.name} forms its scores from the losses: pass losses=")
        weights = super().weights(gramian=gramian, losses=losses)
        self.total = self.total + _vector(self.name, losses)
        self.steps += 1
        if self.steps == self.update_every:
            self._renew(self.total / self.steps)
            self.steps, self.total = 0, 0.0
        return weights

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """The solution of (Gw)_i = √(p_i/w_i), clipped if asked for."""
        return self.clipped(self.bargained(gramian, self.preference(len(self.used))[self.used]), gramian)

    def _renew(self, means: Array) -> None:
        if self.baseline is None:
            self.baseline = means
        scale = np.abs(self.baseline)
        self.scores = 100 * np.divide(means - self.baseline, scale, out=np.zeros_like(means), where=scale > 0)
