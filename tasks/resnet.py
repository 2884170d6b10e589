"""ResNet-18: the residual network with 18 layers, up to the mean over the picture.

    block(x) = relu(skip(x) + conv(relu(conv(x)))),    skip a 1x1 convolution where the shape changes

Every convolution has batch normalisation. Weights start as layers draw them by default; none are downloaded.

Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016: table 1, and
section 4.2 for the stem of small pictures.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import relu


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


def resnet18(width: int = 64, channels: int = 3, small: bool = False) -> nn.Sequential:
    """Pictures (batch, channels, H, W) to (batch, 8 width): four stages of two blocks, ``width`` to ``8 width`` wide.

    The stem is a 7x7 convolution in steps of two and max pooling; of ``small`` pictures one 3x3 convolution.
    """
    if small:
        first = nn.Conv2d(channels, width, 3, padding=1, bias=False)
    else:
        first = nn.Conv2d(channels, width, 7, 2, padding=3, bias=False)
    network: list[nn.Module] = [first, nn.BatchNorm2d(width), nn.ReLU()]
    network += [] if small else [nn.MaxPool2d(3, 2, padding=1)]
    before = width
    for stage in range(4):
        wide = width << stage
        network += [Block(before, wide, 2 if stage else 1), Block(wide, wide, 1)]
        before = wide
    return nn.Sequential(*network, nn.AdaptiveAvgPool2d(1), nn.Flatten())
