"""celeba: 40 attributes of a face, from a picture; each attribute is a yes-or-no task.

The folder ``celeba/`` holds ``list_attr_celeba.txt``, ``list_eval_partition.txt`` and ``img_align_celeba/`` with the
202,599 aligned and cropped pictures. Resized to 64x64 and kept as bytes they take 2.5 GB of memory.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from . import data_directory, files
from .dataset import DatasetError, MultiTaskDataset, Protocol, Source, Split, Splits, Task
from .images import Pixels, read_images
from .metrics import BINARY_ACCURACY, F1

ATTRIBUTE_FILE, PARTITION_FILE, PICTURES = "list_attr_celeba.txt", "list_eval_partition.txt", "img_align_celeba"
_NAMES = """
5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair Blurry
Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male
Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks
Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace
Wearing_Necktie Young
"""
ATTRIBUTES = tuple(_NAMES.split())
SIZE = 64
LAYERS = 4  # pairs of convolutions, each pair followed by pooling


class CelebA(MultiTaskDataset):
    """40 binary tasks on uint8 pictures (3, 64, 64), with the official split: 162,770 + 19,867 + 19,962.

    ``width`` is the number of channels of the first pair of convolutions.
    """

    name = "celeba"
    summary = "40 attributes of faces from 64x64 pictures, 40 binary tasks"
    tasks = tuple(Task(name.lower(), 1, binary_cross_entropy_with_logits, (F1, BINARY_ACCURACY)) for name in ATTRIBUTES)
    # FAMO's (B. Liu, Y. Feng, P. Stone, Q. Liu. NeurIPS 2023) and its followers'.
    protocol = Protocol(epochs=15, batch_size=256, optimizer="adam", learning_rate=3e-4)
    source = Source(
        files=(),
        layout=(ATTRIBUTE_FILE, PARTITION_FILE, PICTURES),
        home="CelebA, aligned and cropped pictures, https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        licence="for non-commercial research; no redistribution",
        citation="Z. Liu, P. Luo, X. Wang, X. Tang. Deep learning face attributes in the wild. ICCV 2015",
        folder="celeba",
    )

    def __init__(self, *, width: int = 64) -> None:
        if type(width) is not int or width < 1:
            raise DatasetError(f"celeba: width is {width!r} but must be a whole number of at least 1")
        self.width = width

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The pictures and attributes, the same for every ``seed``."""
        paths = files.locate(self.source, data_directory(data_dir) / self.source.folder)
        names, attributes = _attributes(paths[ATTRIBUTE_FILE])
        partition = _partition(paths[PARTITION_FILE], names)
        parts = [np.flatnonzero(partition == part) for part in range(3)]
        if not all(len(part) for part in parts):
            raise DatasetError(f"{paths[PARTITION_FILE]} leaves one of train (0), validation (1) and test (2) empty")

        def split(part: np.ndarray) -> Split:
            pictures = read_images([paths[PICTURES] / names[i] for i in part], SIZE)
            columns = torch.from_numpy(attributes[part]).split(1, dim=1)
            return Split(pictures, {task.name: c.clone() for task, c in zip(self.tasks, columns, strict=True)})

        return Splits.of(*map(split, parts))

    def encoder(self) -> nn.Module:
        """Nine layers: four pairs of 3x3 convolutions with pooling, and a full one, to (batch, 8 width)."""
        layers: list[nn.Module] = [Pixels()]
        channels = 3
        for after in (self.width * 2**pair for pair in range(LAYERS)):
            for before in (channels, after):
                layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
            channels = after
        features = channels * (SIZE // 2**LAYERS) ** 2
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 8 * self.width), nn.ReLU())

    def head(self, task: Task) -> nn.Module:
        """One full layer, to the logit."""
        return nn.Linear(8 * self.width, task.outputs)


def _attributes(path: Path) -> tuple[list[str], np.ndarray]:
    """The names of the pictures and their attributes as 0 and 1, float32 (N, 40)."""
    count, header, rows = _lines(path)
    if tuple(header.split()) != ATTRIBUTES:
        raise DatasetError(f"{path}: its second line does not name the {len(ATTRIBUTES)} attributes of CelebA")
    if not count.strip().isdigit() or int(count) != len(rows):
        raise DatasetError(f"{path} is cut or damaged: it says {count.strip()!r} pictures and lists {len(rows)}")
    fields = [row.split() for row in rows]
    wrong = [row for row in fields if len(row) != 1 + len(ATTRIBUTES) or not {"1", "-1"}.issuperset(row[1:])]
    if wrong:
        raise DatasetError(f"{path}: the row of {wrong[0][0]} does not hold {len(ATTRIBUTES)} values of 1 or -1")
    values = np.array([row[1:] for row in fields], dtype=np.int8)
    return [row[0] for row in fields], (values > 0).astype(np.float32)


def _partition(path: Path, names: list[str]) -> np.ndarray:
    """The part of every picture: 0 train, 1 validation, 2 test."""
    first, second, rest = _lines(path)
    fields = [row.split() for row in (first, second, *rest) if row]
    if [row[0] for row in fields] != names:
        raise DatasetError(f"{path} does not list the {len(names)} pictures of {ATTRIBUTE_FILE} in their order")
    wrong = [row for row in fields if len(row) != 2 or row[1] not in ("0", "1", "2")]
    if wrong:
        raise DatasetError(f"{path}: the row of {wrong[0][0]} does not end in 0, 1 or 2")
    return np.array([int(row[1]) for row in fields])


def _lines(path: Path) -> tuple[str, str, list[str]]:
    try:
        first, second, *rest = path.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read as lines of text: {error}") from None
    return first, second, [row for row in rest if row.strip()]
