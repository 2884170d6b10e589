r"""The AND-mask: only coordinates in which the tasks' gradients agree in sign are moved.

.. math:: u_k = m_k \, \frac1K \sum_i g_{ik}, \qquad m_k = \Bigl[ \, \Bigl| \frac1K \sum_i \mathrm{sign}\, g_{ik}
    \Bigr| \ge \tau \Bigr]

With the threshold τ = 1 all of them must agree; then no product g_ik u_k is negative, and no task conflicts. τ = 0 is
the mean. The mask depends on the coordinates: in rotated ones it is another method.

**It may stand still where every task could improve.** g_1 = (2, −1) and g_2 = (−1, 2) agree in no coordinate, so u = 0,
although (1, 1) improves both by 1. u = 0 says nothing about stationarity.

A task without a gradient has no vote (with ``zero_task="keep"`` it agrees with nobody), but counts in the mean. A
task of which the mask leaves nothing counts as one without a gradient in this step.

See ``docs/mathematics.md``, "Closed forms and masks".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mtlbench.methods.method import Array, GramianMethod, Promises, choice, number
from mtlbench.search import Linear, ranges

if TYPE_CHECKING:
    import torch

    from mtlbench.methods.method import Rows


class SignAgreement(GramianMethod):
    """The mean (``reduction="mean"``, as published) or the sum of the gradients where their signs agree.

    ``threshold``: τ in [0, 1]. ``rescale="sparsity"`` divides the update of each parameter tensor by the share of its
    coordinates that move, as the authors' code can; their equation does not ("none").
    """

    name = "sign_agreement"
    summary = "the mean gradient in the coordinates in which all tasks agree in sign, zero elsewhere"
    source = "Parascandolo et al., ICLR 2021, arXiv 2009.00329"
    search = ranges(threshold=Linear(0.2, 1.0))
    needs = "jacobian"
    levels = ("shared", "representation")
    promises = Promises(non_conflicting=True, common_scale=0.0, task_scale="linear", permutation=True, unique="weights")

    def __init__(
        self, *, threshold: float = 1.0, reduction: str = "mean", rescale: str = "none", **common: Any
    ) -> None:
        super().__init__(**common)
        self.threshold = number(self.name, "threshold", threshold, maximum=1.0)
        self.reduction = choice(self.name, "reduction", reduction, ("mean", "sum"))
        self.rescale = choice(self.name, "rescale", rescale, ("none", "sparsity"))
        all_agree = self.threshold == 1
        self.promises = replace(self.promises, non_conflicting=all_agree and self.level == "shared")

    def rows(self, jacobian: Rows, losses: torch.Tensor) -> Rows:
        """The gradients, zero where their signs do not agree."""
        import torch

        voters: Any = len(jacobian)
        if self.zero_task == "drop":
            # The count stays on the device.
            voters = sum(torch.stack([g.any() for g in row]).any().float() for row in jacobian)
        columns = [self._masked(column, voters) for column in zip(*jacobian, strict=True)]
        return tuple(zip(*columns, strict=True))

    def _masked(self, column: tuple[torch.Tensor, ...], voters: Any) -> list[torch.Tensor]:
        """The gradients of one parameter, one tensor per task."""
        import torch

        votes = torch.stack([g.sign() for g in column]).sum(dim=0)
        agreed = votes.abs() / voters >= self.threshold
        factor = agreed.to(column[0].dtype)
        if self.rescale == "sparsity":
            factor = factor / factor.mean().clamp(min=1 / factor.numel())
        return [g * factor for g in column]

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """1/K over all tasks, or ones: the mask is in the rows."""
        return np.full(len(gramian), 1 / len(self.used) if self.reduction == "mean" else 1.0)
