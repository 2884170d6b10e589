r"""weight_decay: half the squared length of all parameters, :math:`\tfrac12 \|\theta\|^2`, whose gradient is θ.

As auxiliary to a primary gradient g_0, the projection takes away the part of g_0 whose step would lengthen θ, and never
shortens θ further: with :math:`\langle g_0, \theta \rangle \ge 0` nothing happens. Source: A. Krogh, J. Hertz, "A
simple weight decay can improve generalization", NIPS 1991. See ``docs/mathematics.md``, "Primary and auxiliary".
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtlbench.regularisers.regulariser import Pass, Regulariser, parameters


class WeightDecay(Regulariser):
    """Half the squared length of all parameters, heads included."""

    def penalty(self, at: Pass) -> Tensor:
        return torch.stack([value.square().sum() for value in parameters(at.model).values()]).sum() / 2
