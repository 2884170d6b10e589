"""Hard parameter sharing: one encoder for every task, one head per task.

    representation = encoder(x),   output_t = head_t(representation)

Source: R. Caruana, "Multitask Learning", Machine Learning 28, 1997.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from mtlbench.architectures._parts import Parts
from mtlbench.architectures.architecture import Network, Sharing
from mtlbench.tasks.dataset import Task


class HardSharing(Network):
    """Every head sees the encoder's output, which is the representation."""

    def __init__(self, encoder: nn.Module, heads: dict[str, nn.Module]) -> None:
        super().__init__(heads)
        self.encoder = encoder

    def represent(self, inputs: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        representation = self.encoder(inputs)
        return dict.fromkeys(self.heads, representation), representation


class HardSharingArchitecture(Sharing):
    """One encoder shared by every task, one head per task."""

    def network(self, parts: Parts, tasks: Sequence[Task]) -> HardSharing:
        return HardSharing(parts.encoder(), {task.name: parts.head(task) for task in tasks})
