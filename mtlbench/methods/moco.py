r"""MoCo: min-norm weights of gradients that are tracked over the steps.

.. math:: y_i \leftarrow y_i - \beta_k (y_i - g_i), \qquad
    w \leftarrow \Pi_\Delta\bigl(w - \gamma_k (Y Y^\top + \rho I) w\bigr), \qquad u = Y^\top w

with y = 0 and w = (1/K, ..., 1/K) at the start, β_k = β/k^b and γ_k = γ/k^c in step k. A running mean of the
gradients has less noise than a batch, so the weights, and u, have less bias. The price is a copy of all task
gradients. γ is an absolute step: there is no law of scale. See ``docs/mathematics.md``, "Methods with memory".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtlbench.methods._memory import SimplexMemory, average
from mtlbench.methods._simplex import simplex
from mtlbench.methods.method import Array, Promises, choice, number, softmax
from mtlbench.search import Log, ranges

if TYPE_CHECKING:
    import torch

    from mtlbench.methods.method import Rows


class MoCo(SimplexMemory):
    """``tracking`` is β, ``tracking_decay`` b, ``step_size`` γ, ``step_decay`` c, ``ridge`` ρ.

    ``normalisation="loss"`` tracks L_i g_i/‖g_i‖, and ``step="softmax"`` puts softmax in the place of the
    projection Π; LibMTL, which builds on the authors' code, does both, the paper neither. A task sits out until it
    has had a gradient.
    """

    name = "moco"
    summary = "min-norm weights, one step per update, of gradients that are tracked over the steps"
    source = "Fernando et al., ICLR 2023, arXiv 2210.12624"
    search = ranges(step_size=Log(1e-2, 10.0))
    promises = Promises(non_conflicting=False, common_scale=None, task_scale="none", permutation=True, unique="weights")
    needs = "jacobian"
    levels = ("shared",)
    state = ("point", "tracked", "steps")

    def __init__(
        self,
        *,
        tracking: float = 0.5,
        tracking_decay: float = 0.5,
        step_size: float = 0.1,
        step_decay: float = 0.5,
        ridge: float = 0.0,
        normalisation: str = "none",
        step: str = "projection",
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.tracking = number(self.name, "tracking", tracking)
        self.tracking_decay = number(self.name, "tracking_decay", tracking_decay)
        self.step_size = number(self.name, "step_size", step_size)
        self.step_decay = number(self.name, "step_decay", step_decay)
        self.ridge = number(self.name, "ridge", ridge)
        self.normalisation = choice(self.name, "normalisation", normalisation, ("none", "loss"))
        self.step = choice(self.name, "step", step, ("projection", "softmax"))
        self.tracked: Rows | None = None
        self.steps = 0

    def rows(self, jacobian: Rows, losses: torch.Tensor) -> Rows:
        """The tracked gradients y_i after this step."""
        self.steps += 1
        if self.normalisation == "loss":
            jacobian = tuple(_of_length(row, loss) for row, loss in zip(jacobian, losses, strict=True))
        self.tracked = average(self.name, self.tracked, jacobian, self.tracking / self.steps**self.tracking_decay)
        return self.tracked

    def move(self, point: Array, gramian: Array) -> Array:
        """The projected, or exponentiated, step; called after ``rows``."""
        rate = self.step_size / max(self.steps, 1) ** self.step_decay
        moved = point - rate * (gramian @ point + self.ridge * point)
        return simplex(moved) if self.step == "projection" else softmax(moved)


def _of_length(row: tuple[torch.Tensor, ...], length: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """``row`` brought to ``length``; one that is zero stays zero."""
    import torch

    norm = torch.stack([tensor.norm(dtype=torch.float64) for tensor in row]).norm()
    factor = torch.where(norm > 0, length / norm, 0.0)
    return tuple(tensor * factor for tensor in row)
