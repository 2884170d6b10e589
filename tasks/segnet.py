"""SegNet: an encoder and a decoder of convolutions, from pictures to features at every pixel; and a head on them.

Each stage of the encoder ends in 2x2 max pooling; the decoder's stages put what they get back to the places that the
maxima came from. A stage has a first convolution and the rest of them, two in the two finest stages and three below,
each 3x3 with batch normalisation and ReLU.

Source: V. Badrinarayanan, A. Kendall, R. Cipolla, "SegNet", TPAMI 2017, in the layout of S. Liu, E. Johns, A. Davison,
"End-to-End Multi-Task Learning with Attention" (MTAN), CVPR 2019.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.functional import max_pool2d

DEPTH = 5  # stages; pictures must be at least 2 ** DEPTH high and wide


def widths(width: int, depth: int = DEPTH) -> list[int]:
    """The channels of every stage, the finest first: ``width`` doubled three times, then kept; 64 in the paper."""
    return [width << min(level, 3) for level in range(depth)]


def convolution(channels: int, width: int) -> nn.Sequential:
    """3x3, batch normalisation, ReLU."""
    return nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())


class Stage(nn.Module):
    """A first convolution and the rest of them; both results are handed on."""

    def __init__(self, channels: int, width: int, rest: int) -> None:
        super().__init__()
        self.first = convolution(channels, width)
        self.rest = nn.Sequential(*(convolution(width, width) for _ in range(rest)))

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        first = self.first(inputs)
        return first, self.rest(first)


class Traces(NamedTuple):
    """What each stage holds, in the order of the pass: ``down`` (after its first convolution, after all), and ``up``
    (what came up into the stage, after all).
    """

    down: list[tuple[Tensor, Tensor]]
    up: list[tuple[Tensor, Tensor]]


class SegNet(nn.Module):
    """``widths[j]`` channels in stage j, the finest first."""

    def __init__(self, channels: int, widths: list[int]) -> None:
        super().__init__()
        self.widths = widths
        rest = [1 if level < 2 else 2 for level in range(len(widths))]
        below = [channels, *widths[:-1]]
        above = [widths[0], *widths[:-1]]
        self.down = nn.ModuleList(Stage(b, w, r) for b, w, r in zip(below, widths, rest, strict=True))
        self.up = nn.ModuleList(Stage(w, a, r) for w, a, r in zip(widths, above, rest, strict=True))

    def traces(self, inputs: Tensor) -> Traces:
        """The pass through all stages."""
        found = Traces([], [])
        places = []
        for stage in self.down:
            found.down.append(stage(inputs))
            inputs, where = max_pool2d(found.down[-1][1], 2, return_indices=True)
            places.append(where)
        for stage, where, (_, fine) in zip(reversed(self.up), reversed(places), reversed(found.down), strict=True):
            lifted = unpool(inputs, where, fine)
            inputs = stage(lifted)[1]
            found.up.append((lifted, inputs))
        return found

    def forward(self, inputs: Tensor) -> Tensor:
        return self.traces(inputs).up[-1][1]


def unpool(values: Tensor, places: Tensor, like: Tensor) -> Tensor:
    """``values`` at their ``places`` in a picture of the size of ``like``, zero elsewhere.

    ``nn.MaxUnpool2d`` does the same, but has no deterministic implementation on a GPU.
    """
    empty = values.new_zeros((*values.shape[:2], like.shape[2] * like.shape[3]))
    return empty.scatter(2, places.flatten(2), values.flatten(2)).unflatten(2, like.shape[2:])


def head(width: int, outputs: int) -> nn.Sequential:
    """The head of a task: features (batch, width, H, W) to (batch, outputs, H, W)."""
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, outputs, 1))
