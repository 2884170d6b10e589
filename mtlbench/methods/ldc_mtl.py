r"""LDC-MTL: learned weights that keep the weighted losses of neighbouring tasks close together.

Two levels: the network minimises g = Σ_i σ_i L_i, the weights σ (the router) minimise the discrepancy

.. math:: f = \sum_{i<K} |\tau_i L_i - \tau_{i+1} L_{i+1}|, \qquad \tau = \sigma \text{ or } \tau = 1 .

The authors' single loop descends g + λ f in both at once, without the inner solution that the first-order
bilevel method would subtract: with S = Σ_j σ_j (held fixed) and s_i = sign(τ_i L_i − τ_{i+1} L_{i+1}) −
sign(τ_{i−1} L_{i−1} − τ_i L_i), a sign missing at either end,

.. math:: w_i = \frac{\sigma_i}{S} + \lambda \tau_i s_i, \qquad
    \frac{\partial}{\partial \sigma_i} = \frac{L_i}{S} + \lambda L_i s_i \;(\text{second term with } \tau = \sigma) .

The order of the tasks matters. A weight can be negative: σ_i/S < 2λτ_i. The router here is one number per task,
as in the authors' code for CelebA (sigmoid, starting at 1, λ = 0.01), since a loss method sees no features; their
other code feeds the representation to it. See ``docs/mathematics.md``, section 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mtlbench.methods._learned import LearningMethod
from mtlbench.methods.method import Array, Promises, choice, number, positive, softmax
from mtlbench.search import Log, ranges


class LDCMTL(LearningMethod):
    """The penalised single loop, with a ``router`` "sigmoid" (starting at 1) or "softmax" (at 0), moved by Adam.

    ``penalty`` is λ. ``tau``: "weights" (τ = σ) or "one". ``normalisation`` "initial" divides the losses by the
    ratios of those of the first step to the smallest of them (weights included); it raises
    :class:`~mtlbench.methods.method.UndefinedLoss` where one of these is not positive. ``learning_rate`` is 1e-3,
    the rate of the network in the authors' code for CelebA, whose optimizer moves both.
    """

    name = "ldc_mtl"
    summary = "learned weights that keep the weighted losses of neighbouring tasks close"
    source = "Xiao et al., arXiv 2502.08585, after the authors' code"
    search = ranges(penalty=Log(1e-3, 1.0))
    state = ("learned", "ratios")
    promises = Promises(
        non_conflicting=False, common_scale=None, task_scale="none", permutation=False, unique="weights"
    )

    def __init__(
        self,
        *,
        penalty: float = 0.01,
        router: str = "sigmoid",
        tau: str = "weights",
        normalisation: str = "none",
        learning_rate: float = 1e-3,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **common)
        self.penalty = number(self.name, "penalty", penalty)
        self.router = choice(self.name, "router", router, ("sigmoid", "softmax"))
        self.tau = choice(self.name, "tau", tau, ("weights", "one"))
        self.normalisation = choice(self.name, "normalisation", normalisation, ("none", "initial"))
        self.ratios: Array | None = None

    def loss_weights(self, losses: Array) -> Array:
        """w_i = σ_i/S + λ τ_i s_i, then one step of the router."""
        ratios = self._ratios(losses)
        scaled = losses / ratios
        x = self.vector(len(losses), start=1.0 if self.router == "sigmoid" else 0.0)
        sigma = 1 / (1 + np.exp(-x)) if self.router == "sigmoid" else softmax(x)
        tau = sigma if self.tau == "weights" else np.ones(len(losses))
        signs = np.sign(-np.diff(tau * scaled))
        slopes = np.append(signs, 0.0) - np.append(0.0, signs)
        weights = sigma / sigma.sum() + self.penalty * tau * slopes
        gradient = scaled / sigma.sum()
        if self.tau == "weights":
            gradient = gradient + self.penalty * scaled * slopes
        # Through the sigmoid each entry by itself, through the softmax against the mean.
        self.learn(sigma * ((1 - sigma) * gradient if self.router == "sigmoid" else gradient - sigma @ gradient))
        return weights / ratios

    def _ratios(self, losses: Array) -> Array:
        if self.normalisation == "none":
            return np.ones(len(losses))
        if self.ratios is None:
            positive(f"{self.name} with normalisation", losses, " at the first step")
            self.ratios = losses / losses.min()
        return self.ratios
