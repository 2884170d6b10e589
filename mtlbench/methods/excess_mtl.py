r"""ExcessMTL: exponentiated gradient on estimates of how much each loss can still fall.

.. math:: s_i \leftarrow s_i + g_i^2, \qquad e_i = \sum_d \frac{g_{id}^2}{\sqrt{s_{id}}}, \qquad
    w_i \propto w_i \exp(\eta\, e_i / e_i^{(1)})

e_i, the second-order estimate of the excess risk with the root of the summed squares for the Hessian's diagonal,
falls to 0 as a task converges, whatever its loss then is: a noisy task does not draw weight for ever, as it does
where weights follow losses. The estimate of the task's first step, in which nothing moves, sets its unit. So the
weights do not see the scale of the losses, nor shifts of them. See ``docs/mathematics.md``, "Methods with memory".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mtlbench.errors import InputError
from mtlbench.methods._memory import like
from mtlbench.methods.method import Array, GramianMethod, Promises, choice, number, softmax
from mtlbench.search import Log, ranges

if TYPE_CHECKING:
    import torch

    from mtlbench.methods.method import Rows


class ExcessMTL(GramianMethod):
    """``step_size`` is η; the weights sum to K (``reduction="sum"``, as in the authors' code) or to 1 ("mean").

    They act on the whole loss, heads included, unless ``head_weights="none"``. A coordinate that never had a
    gradient adds nothing to e_i. A task without a gradient gets no weight and its importance stays.
    """

    name = "excess_mtl"
    summary = "exponentiated gradient on estimates of how much each loss can still fall"
    source = "He et al., ICML 2024, arXiv 2402.02009"
    search = ranges(step_size=Log(1e-3, 1.0))
    promises = Promises(
        non_conflicting=False, common_scale=0.0, task_scale="linear", permutation=True, unique="weights"
    )
    needs = "jacobian"
    levels = ("shared",)
    state = ("roots", "first", "importance")

    def __init__(
        self, *, step_size: float = 1e-2, reduction: str = "sum", head_weights: str = "same", **common: Any
    ) -> None:
        super().__init__(head_weights=head_weights, **common)
        self.step_size = number(self.name, "step_size", step_size)
        self.reduction = choice(self.name, "reduction", reduction, ("sum", "mean"))
        self.roots: Rows | None = None
        self.first: Array | None = None
        self.importance: Array | None = None
        self._excess: torch.Tensor | None = None

    def rows(self, jacobian: Rows, losses: torch.Tensor) -> Rows:
        """The gradients as they are; √s_i and e_i move on."""
        import torch

        with torch.no_grad():
            self.roots = like(self.name, self.roots, jacobian)
            excess = []
            for roots, row in zip(self.roots, jacobian, strict=True):
                parts = []
                for root, gradient in zip(roots, row, strict=True):
                    # √(s + g²) without squares, which float32 has no room for at either end.
                    torch.hypot(root, gradient, out=root)
                    parts.append((gradient * (gradient / root).nan_to_num(0.0)).sum(dtype=torch.float64))
                excess.append(torch.stack(parts).sum())
            self._excess = torch.stack(excess)
        return jacobian

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """The weights after one step of the tasks in use; called after ``rows``."""
        if self._excess is None:
            raise InputError(f"{self.name} estimates excess risks from the gradients: call rows(...) first")
        excess = self._excess.cpu().numpy()
        if self.first is None or self.importance is None:
            self.first, self.importance = np.zeros(len(excess)), np.zeros(len(excess))
        known = self.used & (self.first > 0)
        self.importance[known] += self.step_size * excess[known] / self.first[known]
        fresh = self.used & (self.first == 0)
        self.first[fresh] = excess[fresh]
        weights = softmax(self.importance[self.used])
        return weights * len(weights) if self.reduction == "sum" else weights
