r"""GradDrop, gradient sign dropout: every coordinate draws one sign, and gradients of the other sign are dropped.

.. math:: P = \frac12 \Bigl(1 + \frac{\sum_i g_i}{\sum_i |g_i|}\Bigr), \qquad
    M_i = [U < P][g_i > 0] + [U \ge P][g_i < 0], \qquad u = \sum_i (\ell + (1 - \ell) M_i) \odot g_i

coordinate by coordinate, with U uniform on [0, 1) and drawn once for all tasks. The purity P is 1 where all are
positive, ½ where they balance. ``leak`` ℓ = 0 drops the whole of a dropped gradient, 1 drops nothing.

The masks change the gradients, not the weights: ``rows`` applies them, and all weights are 1. The paper masks the
gradients of an activation, multiplied by the activation's sign and summed over the batch; here the coordinates are
those of the rows: parameters or, with ``level="representation"``, entries of the representation, sample by sample.

Every step draws one number from the method's generator and seeds a torch generator on the gradients' device with it:
nothing is copied from the host, and a run can be taken up anywhere. CPU and GPU draw different masks. A task of which
the masks leave nothing counts as one without a gradient in this step.

See ``docs/mathematics.md``, "Closed forms and masks".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mtlbench.methods.method import Array, GramianMethod, Promises, generator, number
from mtlbench.search import Linear, ranges

if TYPE_CHECKING:
    import torch

    from mtlbench.methods.method import Rows


class GradDrop(GramianMethod):
    """The sum of the masked gradients; ``leak`` in [0, 1], ``seed`` draws the masks."""

    name = "graddrop"
    summary = "every coordinate draws a sign, gradients of the other sign are dropped"
    source = "Z. Chen et al., NeurIPS 2020, arXiv 2010.06808"
    search = ranges(leak=Linear(0.0, 1.0))
    needs = "jacobian"
    levels = ("shared", "representation")
    promises = Promises(non_conflicting=False, common_scale=0.0, task_scale="none", permutation=True, unique="weights")

    def __init__(self, *, leak: float = 0.0, seed: int = 0, **common: Any) -> None:
        super().__init__(**common)
        self.leak = number(self.name, "leak", leak, maximum=1.0)
        self.seed, self.random = seed, generator(self.name, seed)

    def rows(self, jacobian: Rows, losses: torch.Tensor) -> Rows:
        """The masked gradients."""
        import torch

        assert self.random is not None
        draws = torch.Generator(jacobian[0][0].device).manual_seed(int(self.random.integers(2**63)))
        columns = [self._masked(column, draws) for column in zip(*jacobian, strict=True)]
        return tuple(zip(*columns, strict=True))

    def _masked(self, column: tuple[torch.Tensor, ...], draws: torch.Generator) -> list[torch.Tensor]:
        """The gradients of one parameter, one tensor per task."""
        import torch

        precise = torch.stack(column).to(torch.promote_types(column[0].dtype, torch.float32))
        total, size = precise.sum(dim=0), precise.abs().sum(dim=0)
        # Where all are zero any purity will do.
        purity = torch.where(size > 0, (1 + total / size) / 2, 0.5)
        positive = torch.rand(purity.shape, generator=draws, dtype=purity.dtype, device=purity.device) < purity
        return [torch.where((g > 0) == positive, g, self.leak * g) for g in column]

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """Ones: the masks are in the rows."""
        return np.ones(len(gramian))
