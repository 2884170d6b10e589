"""resnet18: the residual network with 18 layers, up to the mean over the picture.

    block(x) = relu(skip(x) + conv(relu(conv(x)))),    skip a 1x1 convolution where the shape changes

Every convolution has batch normalisation. Weights start as layers draw them by default; none are downloaded.

Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016: table 1, and
section 4.2 for the stem of small pictures.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import relu

from mtlbench.architectures._options import Count
from mtlbench.architectures.encoders.encoder import Encoder


class Block(nn.Module):
    """Two 3x3 convolutions beside a skip; the first one moves in steps of ``stride``."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        same = stride == 1 and channels == width
        skip = () if same else (nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        self.skip = nn.Sequential(*skip)

    def forward(self, inputs: Tensor) -> Tensor:
        return relu(self.skip(inputs) + self.residual(inputs))


class ResNet18(Encoder):
    """Four stages of two residual blocks, ``width`` to ``8 width`` wide; 64 in the paper.

    ``stem``: "large" is that of photographs, a 7x7 convolution in steps of two and max pooling; "small" one 3x3
    convolution, for pictures of some 32 pixels.
    """

    width: Count = 64
    stem: Literal["large", "small"] = "large"

    def build(self, inputs: Tensor, dataset: str) -> nn.Module:
        channels = self.channels(inputs, dataset)
        if self.stem == "large":
            first = nn.Conv2d(channels, self.width, 7, 2, padding=3, bias=False)
        else:
            first = nn.Conv2d(channels, self.width, 3, padding=1, bias=False)
        network: list[nn.Module] = [first, nn.BatchNorm2d(self.width), nn.ReLU()]
        network += [nn.MaxPool2d(3, 2, padding=1)] if self.stem == "large" else []
        channels = self.width
        for stage in range(4):
            wide = self.width << stage
            network += [Block(channels, wide, 2 if stage else 1), Block(wide, wide, 1)]
            channels = wide
        return nn.Sequential(*network, nn.AdaptiveAvgPool2d(1), nn.Flatten())
