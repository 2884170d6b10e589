"""mlp: full layers with ReLU, on inputs of any shape."""

from __future__ import annotations

import math

from torch import Tensor, nn

from mtlbench.architectures.encoders.encoder import Encoder
from mtlbench.architectures.heads import layers
from mtlbench.options import Count


class MLP(Encoder):
    """``depth`` full layers of ``width``, each with ReLU."""

    width: Count = 64
    depth: Count = 2

    def build(self, inputs: Tensor, dataset: str) -> nn.Module:
        body = layers((math.prod(inputs.shape[1:]),), [self.width] * self.depth, nn.ReLU)
        return nn.Sequential(nn.Flatten(), *body)  # type: ignore[misc]
