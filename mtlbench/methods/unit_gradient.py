r"""The sum, or the mean, of the task gradients brought to length one.

.. math:: w_i = \frac{1}{\|g_i\|} = \frac{1}{\sqrt{G_{ii}}}, \qquad u = \sum_i \frac{g_i}{\|g_i\|}

u does not change when a loss is replaced by any increasing function of it. With two tasks ⟨g_i, u⟩ = ‖g_i‖ (1
+ cos) >= 0, so nothing conflicts; with three it can: unit vectors at 0°, 150° and 150° give ⟨g_1, u⟩ = 1 + 2
cos 150° < 0. A task without a gradient has no direction and gets weight 0. See ``docs/mathematics.md``,
sections 1 and 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mtlbench.methods.method import Array, GramianMethod, Promises, choice


class UnitGradient(GramianMethod):
    """The sum (``reduction="sum"``) or the mean of the unit gradients."""

    name = "unit_gradient"
    summary = "the sum of the task gradients brought to length one"
    source = "J. Su, https://kexue.fm/archives/8870; DB-MTL without averages up to length, 2308.12029"
    promises = Promises(
        non_conflicting=False, common_scale=-1.0, task_scale="invariant", permutation=True, unique="weights"
    )

    def __init__(self, *, reduction: str = "sum", **common: Any) -> None:
        super().__init__(**common)
        self.reduction = choice(self.name, "reduction", reduction, ("sum", "mean"))

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """w_i = 1/‖g_i‖, divided by the number of tasks with a gradient for the mean."""
        weights = 1 / np.sqrt(np.diagonal(gramian))
        return weights / len(weights) if self.reduction == "mean" else weights
