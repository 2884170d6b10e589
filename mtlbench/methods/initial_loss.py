r"""Every loss divided by its value at the start of training.

.. math:: w_i = 1 / L_i^{\text{init}}

The total starts as K, one for each task, whatever the units are; afterwards the weights are constants. With
zero outputs L^init is known beforehand: log C for the cross-entropy of C classes, E‖y‖² for squared errors.
See ``docs/mathematics.md``, section 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from mtlbench.methods.method import Array, LossMethod, Promises, number, numbers, positive


class InitialLoss(LossMethod):
    """The losses relative to those of the first step, or to the mean of those of the first ``steps`` steps.

    Until ``steps`` steps are done the mean is that of the losses so far; then it is frozen, and part of the
    method's state. ``initial`` gives the values instead: positive numbers, one per task. Raises
    :class:`~mtlbench.methods.method.UndefinedLoss` where a mean is not positive.
    """

    name = "initial_loss"
    summary = "every loss divided by its value at the start"
    source = "J. Su, https://kexue.fm/archives/8870"
    state = ("total", "seen")
    per_task = ("initial",)
    promises = Promises(
        non_conflicting=False, common_scale=-1.0, task_scale="invariant", permutation=True, unique="weights"
    )

    def __init__(self, *, initial: Iterable[float] | None = None, steps: int = 1, **common: Any) -> None:
        super().__init__(**common)
        self.initial = numbers(self.name, "initial", initial, positive=True)
        self.steps = number(self.name, "steps", steps, minimum=1, integer=True)
        self.total: Any = 0.0 if self.initial is None else self.steps * np.asarray(self.initial)
        self.seen = 0 if self.initial is None else self.steps
        if self.initial is not None:
            # Constants are those of ``static``.
            self.promises = replace(self.promises, common_scale=0.0, task_scale="linear", permutation=False)

    def loss_weights(self, losses: Array) -> Array:
        """w_i = 1/L_i^init."""
        if self.seen < self.steps:
            self.total, self.seen = self.total + losses, self.seen + 1
        cure = "; initial= gives the values to divide by"
        return self.seen / positive(self.name, self.total, cure)
