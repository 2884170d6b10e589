r"""Every loss divided by that of the best constant predictor.

.. math:: w_i = 1 / L_i^{\text{prior}}, \qquad L_i^{\text{prior}} = \min_c \mathbb{E}\, \ell_i(c, y_i)

L^prior is what a task loses before anything is learnt from the inputs: the entropy of the labels for a
cross-entropy, the variance of the targets for squared errors. It does not depend on the network, and lies
below the loss of ``initial_loss`` (the variance is at most E‖y‖²). See ``docs/mathematics.md``, section 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from mtlbench.methods.method import Array, LossMethod, Promises, numbers, positive


class PriorLoss(LossMethod):
    """The losses relative to ``prior``: positive numbers, one per task, in the order of the losses.

    A training run of mtlbench computes them from its training split. In your own loop pass them; without any
    the losses of the first step stand in, those of a network that knows nothing yet: an upper bound, as far as
    one batch can tell. Raises :class:`~mtlbench.methods.method.UndefinedLoss` where these are not positive.
    """

    name = "prior_loss"
    summary = "every loss divided by that of the best constant predictor"
    source = "J. Su, https://kexue.fm/archives/8870"
    state = ("reference",)
    per_task = ("prior",)
    promises = Promises(
        non_conflicting=False, common_scale=-1.0, task_scale="invariant", permutation=True, unique="weights"
    )

    def __init__(self, *, prior: Iterable[float] | None = None, **common: Any) -> None:
        super().__init__(**common)
        self.prior = numbers(self.name, "prior", prior, positive=True)
        self.reference: Array | None = None
        if self.prior is not None:
            # Constants are those of ``static``.
            self.reference = np.asarray(self.prior)
            self.promises = replace(self.promises, common_scale=0.0, task_scale="linear", permutation=False)

    def loss_weights(self, losses: Array) -> Array:
        """w_i = 1/L_i^prior."""
        if self.reference is None:
            cure = " at the first step; prior= gives the values to divide by"
            self.reference = positive(self.name, losses, cure).copy()
        return 1 / self.reference
