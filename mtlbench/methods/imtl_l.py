r"""IMTL-L, impartial multi-task learning of the losses: a learned logarithmic scale for every loss.

.. math:: \min_{\theta, s} \; \sum_i e^{s_i} L_i - s_i, \qquad w_i = e^{s_i}, \qquad
    \frac{\partial}{\partial s_i} = e^{s_i} L_i - 1

At its optimum e^{s_i} = 1/L_i: every scaled loss is 1, and the weights are those of the geometric mean. Unlike
those, the scales lag behind the losses, at the pace of their own learning rate. They start at s = 0, where the
method is the sum of the losses, and are stepped after each use.

Losses must not be negative: e^s L − s has no minimum then. A loss of exactly 0 lets its scale grow by one step.
"""

from __future__ import annotations

import numpy as np

from mtlbench.errors import InputError
from mtlbench.learned import OPTIMIZERS, Learned
from mtlbench.methods.method import Array, LossMethod, Promises, choice, number


class IMTLL(LossMethod):
    """Σ e^{s_i} L_i with learned s, stepped here by an ``optimizer`` of its own at ``learning_rate``.

    "sgd" answers to the size of the losses; the first step of "adam" is ``learning_rate`` whatever they are.
    Raises :class:`~mtlbench.errors.InputError` for a negative loss.
    """

    name = "imtl_l"
    summary = "losses scaled by learned factors that make each of them one"
    source = "L. Liu et al., ICLR 2021, https://openreview.net/forum?id=IMPnRXEWpvr"
    promises = Promises(
        # The scales remember losses of another size.
        non_conflicting=False,
        common_scale=None,
        task_scale="none",
        permutation=True,
        unique="weights",
    )
    state = ("scales",)

    def __init__(self, *, optimizer: str = "adam", learning_rate: float = 1e-3, head_weights: str = "same") -> None:
        super().__init__(head_weights=head_weights)
        self.optimizer = choice(self.name, "optimizer", optimizer, OPTIMIZERS)
        self.learning_rate = number(self.name, "learning_rate", learning_rate)
        self.scales = Learned(self.optimizer, self.learning_rate)

    def loss_weights(self, losses: Array) -> Array:
        """w = e^s, then one step of s."""
        negative = np.flatnonzero(losses < 0)
        if negative.size:
            i = negative[0]
            raise InputError(f"imtl_l needs losses of at least 0, but that of task {i} is {losses[i]:g}")
        weights = np.exp(self.scales.begin(np.zeros(len(losses))))
        self.scales.step(weights * losses - 1)
        return weights
