r"""Uncertainty weighting: weights that are learned with the network, as inverse variances.

.. math:: \min_{\theta, s} \sum_i a\, e^{-s_i} L_i + b\, s_i, \qquad w_i = a\, e^{-s_i}

s_i is the logarithm of a variance. For fixed losses the best one is e^{s_i} = a L_i / b, that is w_i = b/L_i:
in the end a smoothed ``running_loss``. Three forms are in use: (a, b) = (1, 1) ("plain"); (½, ½), the
likelihood of a Gaussian ("gaussian", the paper's for regression); (1, ½), the paper's approximation for a
softmax ("softmax"). s takes one step of Adam a step of the network, at the same point. See
``docs/mathematics.md``, section 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mtlbench.methods._learned import LearningMethod
from mtlbench.methods.method import Array, Promises, UndefinedLoss, choice, number
from mtlbench.search import Log, ranges

FORMS = {"plain": (1.0, 1.0), "gaussian": (0.5, 0.5), "softmax": (1.0, 0.5)}


class UW(LearningMethod):
    """Learned log-variances, ``initial`` at the start, moved by Adam with rate ``learning_rate``.

    ``form``: "plain", "gaussian" or "softmax", for all tasks. Raises
    :class:`~mtlbench.methods.method.UndefinedLoss` for a negative loss, for which the objective has no lower
    bound. A loss of 0 is taken; as long as it stays there, its s_i falls by about the rate a step.
    """

    name = "uw"
    summary = "learned inverse variances as weights"
    source = "Kendall, Gal & Cipolla, CVPR 2018, arXiv 1705.07115; rate 0.025 as in Nash-MTL's code"
    search = ranges(learning_rate=Log(1e-3, 1e-1))
    promises = Promises(non_conflicting=False, common_scale=None, task_scale="none", permutation=True, unique="weights")

    def __init__(
        self, *, form: str = "plain", initial: float = 0.0, learning_rate: float = 0.025, **common: Any
    ) -> None:
        super().__init__(learning_rate=learning_rate, **common)
        self.form = choice(self.name, "form", form, FORMS)
        self.initial = number(self.name, "initial", initial, minimum=-np.inf)

    def loss_weights(self, losses: Array) -> Array:
        """w_i = a e^{−s_i}, then one step down ∂/∂s_i = b − a e^{−s_i} L_i."""
        if (losses < 0).any():
            raise UndefinedLoss(f"uw needs losses of at least 0, but that of task {losses.argmin()} is negative")
        a, b = FORMS[self.form]
        weights = a * np.exp(-self.vector(len(losses), self.initial))
        self.learn(b - weights * losses)
        return weights
