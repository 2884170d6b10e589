r"""SDMGrad: the min-norm direction pulled towards the mean, from independent batches.

.. math:: w \in \arg\min_{w \in \Delta} \tfrac12 \|J^\top (w + \lambda p)\|^2, \qquad
    u = \frac{J^\top (w + \lambda p)}{1 + \lambda}, \quad p_i = 1/K

With λ = 0 this is MGDA, with λ → ∞ the mean; it is PE-LTR with the bound c = λp/(1 + λ). On a batch, ‖Jᵀw‖² is
not an unbiased estimate of its square on all data, but wᵀ J₁ J₂ᵀ w with two independent batches is. So two
batches make the Gramian, a third one the direction, and w goes from step to step by a few projected gradient
steps with momentum:

.. math:: v \leftarrow \mu v + \bar G (w + \lambda p), \quad w \leftarrow \Pi_\Delta(w - \eta v), \quad
    \bar G = J_1 J_2^\top / s^2, \; s = \tfrac1K \sum_i \sqrt{(J_1 J_2^\top)_{ii}}

J₁ J₂ᵀ is neither symmetric nor positive semidefinite: there is no certificate. See ``docs/mathematics.md``,
"Methods with memory".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mtlbench.methods._memory import SimplexMemory
from mtlbench.methods._simplex import simplex
from mtlbench.methods.method import Array, Promises, choice, number
from mtlbench.search import Log, ranges


class SDMGrad(SimplexMemory):
    """λ is ``regularisation``; η ``learning_rate``, μ ``momentum`` and the number ``iterations`` of the steps on w.

    ``reduction="sum"`` multiplies the update by K, as the authors' code does. A negative (J₁J₂ᵀ)_ii, which
    noise can make, counts as 0 in s; where all are, w stays. A task that has no gradient in one of the first two
    batches sits out.
    """

    name = "sdmgrad"
    summary = "the min-norm direction pulled towards the mean, from three independent batches"
    source = "Xiao, Ban & Ji, NeurIPS 2023, arXiv 2305.18409"
    search = ranges(regularisation=Log(0.03, 10.0))
    promises = Promises(non_conflicting=False, common_scale=0.0, task_scale="none", permutation=True, unique="weights")
    batches = 3
    levels = ("shared",)

    def __init__(
        self,
        *,
        regularisation: float = 0.3,
        learning_rate: float = 10.0,
        momentum: float = 0.5,
        iterations: int = 20,
        reduction: str = "mean",
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.regularisation = number(self.name, "regularisation", regularisation)
        self.learning_rate = number(self.name, "learning_rate", learning_rate)
        self.momentum = number(self.name, "momentum", momentum)
        self.iterations = number(self.name, "iterations", iterations, integer=True)
        self.reduction = choice(self.name, "reduction", reduction, ("mean", "sum"))

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """(w + λp)/(1 + λ), times K for the sum."""
        weights = super().gramian_weights(gramian, losses)
        weights = (weights + self.regularisation / len(weights)) / (1 + self.regularisation)
        return weights * len(weights) if self.reduction == "sum" else weights

    def move(self, point: Array, gramian: Array) -> Array:
        """The projected steps on the scaled cross-Gramian; the momentum starts anew."""
        scale = np.sqrt(np.maximum(np.diagonal(gramian), 0)).mean()
        if scale == 0:
            return point
        matrix, velocity = gramian / scale / scale, np.zeros(len(point))
        for _ in range(self.iterations):
            velocity = self.momentum * velocity + matrix @ (point + self.regularisation / len(point))
            point = simplex(point - self.learning_rate * velocity)
        return point
