r"""input_gradient: the mean squared length of the samples' slopes, :math:`\frac1N \sum_n \|\nabla_{x_n} \ell_n\|^2`.

ℓ_n is the primary loss of sample n, L_0 their mean, and so the slope of ℓ_n is N times that of L_0 where no label is
missing (a loss that mixes samples, as batch normalisation makes it, is taken as it is). Inputs that the encoder looks
up, such as the codes of a nominal attribute, have no slope and count as 0; bytes are pictures or flags, and count as
numbers. Source: H. Drucker, Y. LeCun, "Improving generalization performance using double backpropagation", 1992.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.func import functional_call, grad

from mtlbench.errors import InputError
from mtlbench.regularisers.regulariser import Pass, Regulariser


class InputGradient(Regulariser):
    """The mean squared length of the primary loss's gradient by a sample's inputs."""

    def check(self, dataset: str, inputs: Tensor) -> None:
        if not inputs.is_floating_point() and inputs.dtype != torch.uint8:
            raise InputError(
                f"{dataset}: its inputs are {inputs.dtype}, indices that no loss can be differentiated by: leave the "
                "regulariser input_gradient out"
            )

    def penalty(self, at: Pass) -> Tensor:
        # A leaf that asks for a gradient would count as a parameter: the transform leaves none behind.
        def loss(inputs: Tensor, buffers: Mapping[str, Tensor]) -> Tensor:
            outputs, _ = functional_call(at.model, dict(buffers), (inputs,))
            return at.model.loss(at.task, outputs, at.batch.targets[at.task.name])

        inputs = at.batch.inputs if at.batch.inputs.is_floating_point() else at.batch.inputs.float()
        slopes: Tensor = grad(loss)(inputs, {name: value.clone() for name, value in at.model.named_buffers()})
        return len(at.batch) * slopes.square().sum()
