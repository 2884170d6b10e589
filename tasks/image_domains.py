"""Folders of pictures by domain and class: what ``office31`` and ``office_home`` share. Each domain is a task."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from torch import nn

from . import data_directory, files
from .dataset import DatasetError, MultiTaskDataset, Splits, Task
from .domains import domain_splits
from .images import SUFFIXES, Pixels, read_images
from .resnet import resnet18


class ImageDomains(MultiTaskDataset):
    """One classification task per domain on uint8 pictures (3, size, size), with disjoint data.

    Each class of each domain is split 60/20/20, once and for all. ``size`` is the papers' 224, to which every picture
    is resized; ``width`` the channels of ResNet-18's first stage. The papers start from weights learnt on ImageNet,
    which do not come with mtlbench: here the network starts from nothing, so its accuracy is not theirs.
    """

    folders: ClassVar[dict[str, str]]  # task: folder of the domain
    inner: ClassVar[str] = ""  # a folder between the domain and its classes
    classes: ClassVar[int]

    def __init__(self, *, size: int = 224, width: int = 64) -> None:
        for name, value, least in (("size", size, 32), ("width", width, 1)):
            if type(value) is not int or value < least:
                raise DatasetError(f"{self.name}: {name} is {value!r} but must be a whole number of at least {least}")
        self.size, self.width = size, width

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The pictures and labels, the same for every ``seed``; class numbers follow the sorted folder names."""
        paths = files.locate(self.source, data_directory(data_dir) / self.source.folder)
        domains, known = {}, None
        for task, name in self.folders.items():
            folder = paths[name] / self.inner
            found = _classes(folder)
            if known is None and len(found) != self.classes:
                raise DatasetError(
                    f"{folder} holds {len(found)} folders with pictures, but there are {self.classes} classes"
                )
            known = known or list(found)
            if list(found) != known:
                odd = sorted(set(found) ^ set(known))[0]
                raise DatasetError(f"{folder} and the first domain have different classes: {odd!r} is in one only")
            pictures = [path for members in found.values() for path in members]
            labels = np.repeat(np.arange(len(found)), [len(members) for members in found.values()])
            domains[task] = (read_images(pictures, self.size), labels)
        return domain_splits(domains)

    def encoder(self) -> nn.Module:
        """ResNet-18, to (batch, 8 width)."""
        return nn.Sequential(Pixels(), *resnet18(self.width))

    def head(self, task: Task) -> nn.Module:
        """One full layer, to one output per class."""
        return nn.Linear(8 * self.width, task.outputs)


def _classes(folder: Path) -> dict[str, list[Path]]:
    """The pictures of every class, sorted; a folder without pictures is no class."""
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder of classes")
    found = {
        entry.name: sorted(path for path in entry.iterdir() if path.suffix.lower() in SUFFIXES)
        for entry in sorted(folder.iterdir())
        if entry.is_dir()
    }
    return {name: pictures for name, pictures in found.items() if pictures}
