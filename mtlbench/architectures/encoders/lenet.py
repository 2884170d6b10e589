"""lenet: the LeNet of the MultiMNIST papers.

Two convolutions, each with ReLU and max pooling, then full layers: 10 and 20 channels, kernels of 5, one layer of 50.

Source: O. Sener, V. Koltun, "Multi-Task Learning as Multi-Objective Optimization", NeurIPS 2018, appendix; three full
layers are the Small Towers paper's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mtlbench.architectures.encoders.encoder import Encoder
from mtlbench.architectures.heads import layers
from mtlbench.errors import InputError
from mtlbench.options import Count


class LeNet(Encoder):
    """Two convolutions with pooling, ``channels_1`` and ``channels_2`` wide, and ``depth`` full layers of ``width``."""

    channels_1: Count = 10
    channels_2: Count = 20
    kernel: Count = 5
    width: Count = 50
    depth: Count = 1

    def build(self, inputs: Tensor, dataset: str) -> nn.Module:
        channels = self.channels(inputs, dataset)
        side = min(inputs.shape[2:])
        if ((side - self.kernel + 1) // 2 - self.kernel + 1) // 2 < 1:
            raise InputError(
                f"{dataset}: pictures of {inputs.shape[2]} by {inputs.shape[3]} are too small for two convolutions "
                f"with kernel {self.kernel} and pooling: give lenet a smaller kernel"
            )
        pictures = [
            nn.Conv2d(channels, self.channels_1, self.kernel),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(self.channels_1, self.channels_2, self.kernel),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        ]
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            flat = nn.Sequential(*pictures)(inputs).shape[1]
        return nn.Sequential(*pictures, *layers((flat,), [self.width] * self.depth, nn.ReLU))  # type: ignore[misc]
