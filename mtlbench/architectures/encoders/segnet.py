"""segnet: an encoder and a decoder of convolutions, from pictures to features at every pixel.

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

from mtlbench.architectures._options import Count
from mtlbench.architectures.encoders.encoder import Encoder
from mtlbench.errors import InputError


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


class SegNetwork(nn.Module):
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


class SegNet(Encoder):
    """``depth`` stages down and up, ``width`` channels in the finest, at most ``8 width``; 5 and 64 in the paper."""

    width: Count = 64
    depth: Count = 5

    def build(self, inputs: Tensor, dataset: str) -> SegNetwork:
        channels = self.channels(inputs, dataset)
        if min(inputs.shape[2:]) < 2**self.depth:
            raise InputError(
                f"{dataset}: pictures of {inputs.shape[2]} by {inputs.shape[3]} cannot be halved {self.depth} times: "
                "give segnet a smaller depth"
            )
        return SegNetwork(channels, [self.width << min(level, 3) for level in range(self.depth)])
