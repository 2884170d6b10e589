r"""r_drop: two passes with different dropout masks should say the same.

.. math:: \tfrac12 \bigl( \mathrm{KL}(p_1 \| p_2) + \mathrm{KL}(p_2 \| p_1) \bigr)
          = \tfrac12 \langle \nabla_z L(z_1) - \nabla_z L(z_2),\; z_1 - z_2 \rangle

averaged over the batch, z the outputs of the primary task's head. The right side is the left one for the cross-entropy
of classes and of a single logit, and the squared distance of the outputs for the squared error (as the paper's, for
regression): the label cancels in the difference, a missing one leaves its sample out, and for any convex loss it is not
negative. Networks here have little dropout of their own: what the head sees is dropped out at ``rate``, beside whatever
dropout the network has. Source: X. Liang et al., "R-Drop", NeurIPS 2021, arXiv 2106.14448.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import dropout

from mtlbench.regularisers.regulariser import Pass, Regulariser
from mtlbench.training.runtime import call_aside


class RDrop(Regulariser):
    """The disagreement of two passes with different dropout masks."""

    rate: Annotated[float, Field(gt=0, lt=1)] = 0.3

    def penalty(self, at: Pass) -> Tensor:
        name = at.task.name
        # Both passes in one, as in the paper: a batch that holds every sample twice.
        hook = at.model.heads[name].register_forward_pre_hook(lambda _, seen: (dropout(seen[0], self.rate),))
        try:
            outputs, _ = call_aside(at.model, torch.cat([at.batch.inputs] * 2))
        finally:
            hook.remove()
        one, other = outputs[name].chunk(2)
        return divergence(at.task.loss, one, other, at.batch.targets[name])


def divergence(loss: Callable[[Tensor, Tensor], Tensor], one: Tensor, other: Tensor, target: Tensor) -> Tensor:
    """Half the symmetrised Bregman divergence of ``loss(output, target)`` between two outputs."""
    slopes = [torch.autograd.grad(loss(z, target), z, create_graph=True)[0] for z in (one, other)]
    return ((slopes[0] - slopes[1]) * (one - other)).sum() / 2
