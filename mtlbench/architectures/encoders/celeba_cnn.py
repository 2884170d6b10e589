"""celeba_cnn: the convolutional network that the CelebA rows of the gradient-balancing papers are trained with.

Seven 3x3 convolutions in four stages (64, 128, 256, 512 channels; max pooling between the stages, the mean at the end)
and two full layers of 512, each with batch normalisation and ReLU, none with a bias.

Source: the code of B. Liu, Y. Feng, P. Stone, Q. Liu, "FAMO", NeurIPS 2023, which later papers took over.
"""

from __future__ import annotations

from torch import Tensor, nn

from mtlbench.architectures.encoders.encoder import Encoder
from mtlbench.options import Count


class CelebACNN(Encoder):
    """Seven convolutions, the first ``width`` wide, and two full layers of ``8 width``; 64 in the papers."""

    width: Count = 64

    def build(self, inputs: Tensor, dataset: str) -> nn.Module:
        channels = self.channels(inputs, dataset)
        network: list[nn.Module] = []
        for stage in range(4):
            network += [nn.MaxPool2d(2)] if stage else []
            wide = self.width << stage
            for _ in range(2 if stage else 1):
                network += [nn.Conv2d(channels, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
                channels = wide
        network += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        for _ in range(2):
            network += [nn.Linear(channels, channels, bias=False), nn.BatchNorm1d(channels), nn.ReLU()]
        return nn.Sequential(*network)
