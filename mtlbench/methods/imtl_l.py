r"""IMTL-L, impartial multi-task learning of the losses: a learned logarithmic scale for every loss.

.. math:: \min_{\theta, s} \; \sum_i e^{s_i} L_i - s_i, \qquad w_i = e^{s_i}, \qquad
    \frac{\partial}{\partial s_i} = e^{s_i} L_i - 1

At its optimum e^{s_i} = 1/L_i: every scaled loss is 1, and the weights are those of the geometric mean. Unlike
those, the scales lag behind the losses, at the pace of their own learning rate. They start at s = 0, where the
method is the sum of the losses, and are stepped after each use.

Losses must not be negative: e^s L − s has no minimum then. A loss of exactly 0 lets its scale grow by one step.

See ``docs/mathematics.md``, "Closed forms and masks".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mtlbench.methods._learned import LearningMethod
from mtlbench.methods.method import Array, Promises, UndefinedLoss
from mtlbench.search import Log, ranges


class IMTLL(LearningMethod):
    """Σ e^{s_i} L_i with s learned by Adam at ``learning_rate``, one step a step of the network.

    Raises :class:`~mtlbench.methods.method.UndefinedLoss` for a negative loss.
    """

    name = "imtl_l"
    summary = "losses scaled by learned factors that make each of them one"
    source = "L. Liu et al., ICLR 2021, https://openreview.net/forum?id=IMPnRXEWpvr"
    search = ranges(learning_rate=Log(1e-4, 1e-1))
    promises = Promises(
        # The scales remember losses of another size.
        non_conflicting=False,
        common_scale=None,
        task_scale="none",
        permutation=True,
        unique="weights",
    )

    def __init__(self, *, learning_rate: float = 1e-3, **common: Any) -> None:
        super().__init__(learning_rate=learning_rate, **common)

    def loss_weights(self, losses: Array) -> Array:
        """w = e^s, then one step of s."""
        if (losses < 0).any():
            task = losses.argmin()
            raise UndefinedLoss(f"imtl_l needs losses of at least 0, but that of task {task} is {losses[task]:g}")
        weights = np.exp(self.vector(len(losses)))
        self.learn(weights * losses - 1)
        return weights
