"""resnet18: :mod:`mtlbench.tasks.resnet`, the residual network with 18 layers, as the encoder of any pictures."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from mtlbench.architectures.encoders.encoder import Encoder
from mtlbench.options import Count
from mtlbench.tasks.resnet import resnet18


class ResNet18(Encoder):
    """Four stages of two residual blocks, ``width`` to ``8 width`` wide; 64 in the paper.

    ``stem``: "large" is that of photographs, a 7x7 convolution in steps of two and max pooling; "small" one 3x3
    convolution, for pictures of some 32 pixels.
    """

    width: Count = 64
    stem: Literal["large", "small"] = "large"

    def build(self, inputs: Tensor, dataset: str) -> nn.Module:
        return resnet18(self.width, self.channels(inputs, dataset), small=self.stem == "small")
