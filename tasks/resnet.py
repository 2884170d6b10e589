"""ResNet-18: K. He, X. Zhang, S. Ren, J. Sun. Deep residual learning for image recognition. CVPR 2016."""

from __future__ import annotations

from torch import Tensor, nn


class Block(nn.Module):
    """``relu(x + f(x))``: f is two 3x3 convolutions; where the shape changes, a 1x1 convolution brings x along."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        same = before == after and stride == 1
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        )

    def forward(self, inputs: Tensor) -> Tensor:
        return (self.shortcut(inputs) + self.residual(inputs)).relu()


def resnet18(width: int = 64) -> nn.Sequential:
    """Pictures (batch, 3, H, W) to (batch, 8 width): four stages of two blocks, of width to 8 width channels."""
    stages: list[nn.Module] = []
    channels = width
    for stage in range(4):
        for block in range(2):
            after = width * 2**stage
            stages.append(Block(channels, after, 2 if stage and not block else 1))
            channels = after
    return nn.Sequential(
        nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
        *stages,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )
