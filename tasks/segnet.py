"""SegNet, shared with its decoder; a task's head is two convolutions.

V. Badrinarayanan, A. Kendall, R. Cipolla. SegNet: a deep convolutional encoder-decoder architecture for image
segmentation. PAMI 39(12), 2017; shared as "split" in S. Liu, E. Johns, A. Davison. End-to-end multi-task learning with
attention. CVPR 2019.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

DEPTHS = (2, 2, 3, 3, 3)  # convolutions of each stage, VGG-16's
SCALE = 2 ** len(DEPTHS)  # height and width of a picture must be multiples of it


class SegNet(nn.Module):
    """Pictures (batch, 3, H, W) to features (batch, width, H, W).

    Each stage ends in pooling; its mirror in the decoder puts the values back where the maxima were.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        channels = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        before = [3, *channels[:-1]]
        stages = list(zip(before, channels, DEPTHS, strict=True))
        self.down = nn.ModuleList(_convolutions(b, c, c, depth) for b, c, depth in stages)
        # The first stage's mirror ends in as many channels as it has, not in the three of the picture.
        self.up = nn.ModuleList(_convolutions(c, c, c if b == 3 else b, depth) for b, c, depth in stages)
        self.pool = nn.MaxPool2d(2, return_indices=True)

    def forward(self, inputs: Tensor) -> Tensor:
        maxima = []
        for stage in self.down:
            inputs, where = self.pool(stage(inputs))
            maxima.append(where)
        for stage, where in zip(reversed(self.up), reversed(maxima), strict=True):
            inputs = stage(unpool(inputs, where))
        return inputs


def unpool(inputs: Tensor, where: Tensor) -> Tensor:
    """Twice as high and wide, each value at its place ``where`` in the plane, as max pooling told it, zeros between.

    ``nn.MaxUnpool2d`` does the same and has no deterministic form on a GPU.
    """
    batch, channels, height, width = inputs.shape
    planes = inputs.new_zeros(batch, channels, 4 * height * width)
    return planes.scatter(2, where.flatten(2), inputs.flatten(2)).view(batch, channels, 2 * height, 2 * width)


def head(width: int, outputs: int) -> nn.Sequential:
    """The head of a task: features (batch, width, H, W) to (batch, outputs, H, W)."""
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, outputs, 1))


def _convolutions(before: int, inner: int, after: int, depth: int) -> nn.Sequential:
    channels = [before, *[inner] * (depth - 1), after]
    layers: list[nn.Module] = []
    for b, a in pairwise(channels):
        layers += [nn.Conv2d(b, a, 3, padding=1), nn.BatchNorm2d(a), nn.ReLU()]
    return nn.Sequential(*layers)
