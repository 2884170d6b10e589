r"""DB-MTL: running means of the gradients of the log losses, all brought to the length of the longest.

.. math:: y_i \leftarrow \beta_k y_i + (1 - \beta_k) \nabla \log L_i, \qquad
    u = \max_j \|y_j\| \sum_i \frac{y_i}{\|y_i\|}

with y = 0 at the start and β_k = β/k^b in step k. With β = 0 the logarithm changes only the length of u:
max_i ‖∇ log L_i‖ times the sum of the unit gradients. See ``docs/mathematics.md``, "Methods with memory".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mtlbench.errors import InputError
from mtlbench.methods._memory import average
from mtlbench.methods.method import Array, GramianMethod, Promises, UndefinedLoss, number
from mtlbench.search import Linear, ranges

if TYPE_CHECKING:
    import torch

    from mtlbench.methods.method import Rows


class DBMTL(GramianMethod):
    """``averaging`` is β, ``averaging_decay`` b, by default as in the authors' code: β stays as it is.

    A loss of exactly 0, whose logarithm has no gradient, counts as one without a gradient in that step; a negative
    one raises :class:`~mtlbench.methods.method.UndefinedLoss`. The heads receive the gradient of L_i, in the
    authors' code that of log L_i.
    """

    name = "db_mtl"
    summary = "running means of the gradients of the log losses, brought to the length of the longest"
    source = "Lin et al., Neural Networks, arXiv 2308.12029"
    search = ranges(averaging=Linear(0.0, 0.99))
    # The losses' scale is gone before the weights see anything: u stays as it is.
    promises = Promises(
        non_conflicting=False, common_scale=-1.0, task_scale="invariant", permutation=True, unique="weights"
    )
    needs = "jacobian"
    levels = ("shared",)
    state = ("averages", "steps")

    def __init__(self, *, averaging: float = 0.9, averaging_decay: float = 0.0, **common: Any) -> None:
        super().__init__(**common)
        self.averaging = number(self.name, "averaging", averaging)
        if averaging >= 1:
            raise InputError(f"averaging of {self.name} must be below 1, got {averaging!r}")
        self.averaging_decay = number(self.name, "averaging_decay", averaging_decay)
        self.averages: Rows | None = None
        self.steps = 0

    def rows(self, jacobian: Rows, losses: torch.Tensor) -> Rows:
        """The running means y_i after this step."""
        import torch

        if (losses < 0).any():
            task = int(losses.argmin())
            raise UndefinedLoss(
                f"{self.name} takes the logarithm of the losses, but that of task {task} is {losses[task].item():.3g}"
            )
        self.steps += 1
        inverse = torch.where(losses > 0, 1 / losses, 0.0)
        logs = tuple(tuple(tensor * factor for tensor in row) for row, factor in zip(jacobian, inverse, strict=True))
        kept = self.averaging / self.steps**self.averaging_decay
        self.averages = average(self.name, self.averages, logs, 1 - kept)
        return self.averages

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """w_i = max_j ‖y_j‖ / ‖y_i‖; 0 where y_i is kept and zero."""
        lengths = np.sqrt(np.diagonal(gramian))
        return np.divide(lengths.max(), lengths, out=np.zeros(len(lengths)), where=lengths > 0)
