r"""parameter_gradient: the squared length of the primary gradient, :math:`\|\nabla_\theta L_0\|^2`, L_0 of the batch.

Steps of finite length lower it unasked, with weight rate/4; here it is an objective: D. G. T. Barrett, B. Dherin,
"Implicit gradient regularization", ICLR 2021, arXiv 2009.11162. See ``docs/mathematics.md``, "Primary and
auxiliary", for how it bounds the penalty on the gradient by the inputs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mtlbench.regularisers.regulariser import Pass, Regulariser, parameters


class ParameterGradient(Regulariser):
    """The squared length of the primary loss's gradient by all parameters."""

    def penalty(self, at: Pass) -> Tensor:
        values = tuple(parameters(at.model).values())
        slopes = torch.autograd.grad(at.loss, values, create_graph=True, allow_unused=True)
        return torch.stack([slope.square().sum() for slope in slopes if slope is not None]).sum()
