"""Pictures from files: every one brought to one size, kept as bytes, turned into numbers by the network's first layer.

As bytes 10,000 pictures of 224x224 take 1.5 GB, as float32 6 GB.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from . import files
from .dataset import DatasetError

SUFFIXES = (".jpg", ".jpeg", ".png")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def read_images(paths: Sequence[Path], size: int) -> Tensor:
    """The pictures as uint8 (N, 3, size, size), resized bilinearly without keeping their proportions.

    Raises :class:`DatasetError` naming the first that is cut, damaged or no picture.
    """
    from PIL import Image

    pictures = np.empty((len(paths), size, size, 3), dtype=np.uint8)
    for place, path in enumerate(paths):
        try:
            with Image.open(path) as picture:
                pictures[place] = np.asarray(picture.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            if path.is_file():
                files.refuse_pointer(path)
            raise DatasetError(f"{path} is not a whole picture: {error or type(error).__name__}") from None
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()


class Pixels(nn.Module):
    """Bytes (N, 3, H, W) to float32: ``(x / 255 − mean) / std`` per channel, ImageNet's by default."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs.float() / 255 - self.mean) / self.std
