r"""MoDo: one projected step on the weights per update, with the Gramian of two independent batches.

.. math:: w \leftarrow \Pi_\Delta\bigl(w - \gamma (J_1 J_2^\top + \rho I) w\bigr), \qquad u = J_3^\top w

J₁ J₂ᵀ w is an unbiased estimate of the gradient of ½‖Jᵀw‖², which J₁ J₁ᵀ w is not; the third batch keeps u
unbiased given w. γ is an absolute step: the weights move faster on larger losses, and there is no law of scale.
See ``docs/mathematics.md``, "Methods with memory".
"""

from __future__ import annotations

from typing import Any

from mtlbench.errors import InputError
from mtlbench.methods._memory import SimplexMemory
from mtlbench.methods._simplex import simplex
from mtlbench.methods.method import Array, Promises, number
from mtlbench.search import Log, ranges


class MoDo(SimplexMemory):
    """``step_size`` is γ, ``ridge`` ρ.

    ``batches``: 3 as in the paper; with 2, a third cheaper, the second batch makes the direction as well (the
    authors' two-batch code takes the mean of both). A task that has no gradient in one of the first two batches
    sits out.
    """

    name = "modo"
    summary = "one projected step per update towards the min-norm weights, from independent batches"
    source = "Chen, Fernando, Ying & Chen, NeurIPS 2023, arXiv 2305.20057"
    search = ranges(step_size=Log(1e-4, 1.0))
    promises = Promises(non_conflicting=False, common_scale=None, task_scale="none", permutation=True, unique="weights")
    levels = ("shared",)

    def __init__(self, *, step_size: float = 1e-3, ridge: float = 0.1, batches: int = 3, **common: Any) -> None:
        super().__init__(**common)
        self.step_size = number(self.name, "step_size", step_size)
        self.ridge = number(self.name, "ridge", ridge)
        self.batches = number(self.name, "batches", batches, minimum=2, integer=True)
        if batches > 3:
            raise InputError(f"batches of {self.name} must be 2 or 3, got {batches}")

    def move(self, point: Array, gramian: Array) -> Array:
        """The projected step."""
        return simplex(point - self.step_size * (gramian @ point + self.ridge * point))
