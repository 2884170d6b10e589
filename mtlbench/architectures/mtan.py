"""MTAN: one SegNet for all tasks, and for each task masks that choose from its features at every stage.

With u_j what stage j holds after its first convolution, p_j after all of them, f_j a 3x3 convolution that the tasks
share, and down and up the change to the next stage's size:

    a_j = σ(g_t,j([u_j; down f_{j−1}(a_{j−1} ⊙ p_{j−1})])),    h = a ⊙ p of the last stage    (u_1 alone in the first)

g_t,j, two 1x1 convolutions with batch normalisation, are the task's own. In the decoder u_j is what came up into the
stage, and the mask is that of [u_j; f_j(up(a_{j−1} ⊙ p_{j−1}))]. For tasks with an output at every pixel.

Every stage feeds every task, and each is made from the one below: no one representation, so no method at that level.

Source: S. Liu, E. Johns, A. J. Davison, "End-to-End Multi-Task Learning with Attention", CVPR 2019, and its code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

import torch
from pydantic import BeforeValidator
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from mtlbench.architectures import heads
from mtlbench.architectures._parts import Parts
from mtlbench.architectures.architecture import Architecture, Network
from mtlbench.architectures.encoders.segnet import SegNet
from mtlbench.architectures.heads import Head
from mtlbench.options import Count
from mtlbench.tasks import segnet

if TYPE_CHECKING:
    from mtlbench.tasks.dataset import MultiTaskDataset, Task


def mask(channels: int, width: int) -> nn.Sequential:
    """Two 1x1 convolutions with batch normalisation, and numbers between 0 and 1."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 1),
        nn.BatchNorm2d(width),
        nn.Sigmoid(),
    )


class Attention(nn.Module):
    """The masks of one task, down and up the stages."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        above = [widths[0], *widths[:-1]]
        self.down = nn.ModuleList(mask(w if j == 0 else 2 * w, w) for j, w in enumerate(widths))
        self.up = nn.ModuleList(mask(w + a, a) for w, a in zip(widths, above, strict=True))


class AttentionNetwork(Network):
    """``links`` are the f of this module's docstring, which the tasks share; there is no representation."""

    def __init__(self, encoder: segnet.SegNet, tasks: Sequence[str], heads: dict[str, nn.Module]) -> None:
        super().__init__(heads)
        widths = encoder.widths
        self.encoder = encoder
        self.attention = nn.ModuleDict({name: Attention(widths) for name in tasks})
        self.links_down = nn.ModuleList(
            segnet.convolution(*pair) for pair in zip(widths, [*widths[1:], widths[-1]], strict=True)
        )
        self.links_up = nn.ModuleList(
            segnet.convolution(*pair) for pair in zip(widths, [widths[0], *widths[:-1]], strict=True)
        )

    def represent(self, inputs: Tensor) -> tuple[dict[str, Tensor], None]:
        traces = self.encoder.traces(inputs)
        return {name: self._attended(own, traces) for name, own in self.attention.items()}, None  # type: ignore[arg-type]

    def _attended(self, own: Attention, traces: segnet.Traces) -> Tensor:
        """What one task takes from the stages, at the size of the inputs."""
        found: Tensor | None = None
        for choose, link, (first, all_of_it) in zip(own.down, self.links_down, traces.down, strict=True):
            seen = first if found is None else torch.cat((first, found), dim=1)
            found = max_pool2d(link(choose(seen) * all_of_it), 2)
        assert found is not None
        coarse_first = zip(reversed(own.up), reversed(self.links_up), traces.up, strict=True)
        for choose, link, (lifted, all_of_it) in coarse_first:
            up = interpolate(found, size=lifted.shape[2:], mode="bilinear", align_corners=True)
            found = choose(torch.cat((lifted, link(up)), dim=1)) * all_of_it
        return found


class MTAN(Architecture):
    """One SegNet shared by every task, and task-specific attention over its features; dense tasks.

    ``width`` and ``depth`` are those of the encoder segnet; ``head`` is ``linear`` unless the file says otherwise.
    """

    one_representation: ClassVar[bool] = False
    head: Annotated[Head | None, BeforeValidator(heads.read)] = None
    width: Count = 64
    depth: Count = 5

    def build(self, dataset: MultiTaskDataset, tasks: Sequence[Task], inputs: Tensor | None = None) -> Network:
        parts = Parts(dataset, inputs, SegNet(width=self.width, depth=self.depth), self.head)
        encoder = parts.encoder()
        assert isinstance(encoder, segnet.SegNet)
        return AttentionNetwork(encoder, [task.name for task in tasks], {task.name: parts.head(task) for task in tasks})
