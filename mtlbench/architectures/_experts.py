"""Experts and the gates that mix them: what MMoE, CGC and PLE are built from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mtlbench.architectures._parts import Parts
from mtlbench.architectures.architecture import Sharing
from mtlbench.architectures.heads import layers


class Gate(nn.Linear):
    """softmax(W x): one weight per expert, (batch, experts), that sum to one for every sample.

    With ``pooled`` the gate looks at the mean over the positions of a dense input (batch, channels, height, width).
    """

    def __init__(self, shape: Sequence[int], experts: int, *, pooled: bool) -> None:
        self.pooled = pooled and len(shape) > 1
        super().__init__(shape[0] if self.pooled else math.prod(shape), experts, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        seen = inputs.flatten(2).mean(dim=2) if self.pooled else inputs.flatten(1)
        return super().forward(seen.to(self.weight.dtype)).softmax(dim=1)


def mix(weights: Tensor, experts: Sequence[Tensor]) -> Tensor:
    """Σ_j weights_j experts_j for every sample: weights (batch, experts), experts (batch, ...) each."""
    stacked = torch.stack(tuple(experts), dim=1)
    return torch.einsum("be,be...->b...", weights, stacked)


class Experts(Sharing):
    """The part that architectures with experts have in common.

    Without ``trunk`` experts are encoders and gates look at the inputs, as the papers have it. With it the tasks share
    one encoder; experts are full layers with ReLU on what it gives, of the same width, and gates look there too.
    """

    trunk: bool = False

    def expert(self, parts: Parts) -> Callable[[], nn.Module]:
        """What makes a new expert of the first level."""
        return layer(parts) if self.trunk else parts.encoder

    def gate(self, parts: Parts) -> Callable[[int], Gate]:
        """What makes a new gate of the first level over so many experts."""
        if self.trunk:
            return gate(parts)
        size = parts.size
        return lambda experts: Gate((size,), experts, pooled=False)


def layer(parts: Parts) -> Callable[[], nn.Module]:
    """What makes a new expert on the representation: one layer that keeps its width, with ReLU."""
    return lambda: layers(parts.features, [parts.features[0]], nn.ReLU)


def gate(parts: Parts) -> Callable[[int], Gate]:
    """What makes a new gate on the representation."""
    return lambda experts: Gate(parts.features, experts, pooled=True)
