r"""Every loss divided by its present value: the gradient of the sum of the logarithms of the losses.

.. math:: w_i = \frac{1}{L_i + \varepsilon}, \qquad u = \nabla \sum_i \log (L_i + \varepsilon)
    = \frac{K}{M_0} \nabla M_0, \quad M_0 = \bigl(\textstyle\prod_i (L_i + \varepsilon)\bigr)^{1/K}

Units do not matter: L_i ↦ c_i L_i leaves u as it is (with ε = 0). A constant added to a loss does matter. u
points where that of ``gls`` points and is K/M_0 times as long, so it grows without bound as a loss goes to 0.
See ``docs/mathematics.md``, section 1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mtlbench.methods.method import Array, LossMethod, Promises, number, positive


class RunningLoss(LossMethod):
    """The sum of the logarithms of the losses.

    ``epsilon`` (ε, 0 by default) is added to each loss. Raises
    :class:`~mtlbench.methods.method.UndefinedLoss` where L_i + ε <= 0: a logarithm needs a positive loss. With
    ε > 0 the scale of a loss matters again.
    """

    name = "running_loss"
    summary = "every loss divided by its present value: the sum of the logarithms"
    source = "J. Su, https://kexue.fm/archives/8870; SI in Navon et al., ICML 2022, arXiv 2202.01017"
    promises = Promises(
        non_conflicting=False, common_scale=-1.0, task_scale="invariant", permutation=True, unique="weights"
    )

    def __init__(self, *, epsilon: float = 0.0, **common: Any) -> None:
        super().__init__(**common)
        self.epsilon = number(self.name, "epsilon", epsilon)
        if self.epsilon:
            self.promises = replace(self.promises, common_scale=None, task_scale="none")

    def loss_weights(self, losses: Array) -> Array:
        """w_i = 1/(L_i + ε)."""
        cure = "; epsilon= adds a constant to every loss"
        return 1 / positive(self.name, losses + self.epsilon, cure)
