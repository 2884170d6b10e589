"""Datasets of two overlaid pictures, each from the MNIST family: one in the top left corner, one in the bottom right.

As in S. Sabour, N. Frosst, G. Hinton, "Dynamic routing between capsules", NeurIPS 2017, in the form of O. Sener,
V. Koltun, "Multi-task learning as multi-objective optimization", NeurIPS 2018: a 36x36 canvas, the brighter pixel wins.
One fixed set, generated from the canonical files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from . import data_directory, files
from .cache import cached
from .dataset import DatasetError, MultiTaskDataset, Protocol, Source, SourceFile, Split, Splits, Task
from .metrics import ACCURACY
from .overlay import crossed, overlay, pairs

ROUNDS = {"60k": 1, "120k": 2}  # how often every picture stands in each place it is meant for
SHIFT = 8  # 28 + 8 = 36
HELD_OUT = 6  # every sixth picture of the training file belongs to validation
FEATURES = 50
TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"

MNIST_HOME = "the MNIST database of handwritten digits"
MNIST_LICENCE = "CC BY-SA 3.0"
MNIST_CITATION = (
    "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner. Gradient-based learning applied to document recognition. "
    "Proc. IEEE 86(11), 1998"
)
FASHION_HOME = "zalandoresearch/fashion-mnist"
FASHION_LICENCE = "MIT"
FASHION_CITATION = (
    "H. Xiao, K. Rasul, R. Vollgraf. Fashion-MNIST: a novel image dataset for benchmarking machine learning "
    "algorithms. arXiv:1708.07747, 2017"
)
PARETO_CITATION = "X. Lin, H.-L. Zhen, Z. Li, Q. Zhang, S. Kwong. Pareto multi-task learning. NeurIPS 2019"
_MNIST = (
    (TRAIN_IMAGES, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9_912_422),
    (TRAIN_LABELS, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28_881),
    (TEST_IMAGES, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1_648_877),
    (TEST_LABELS, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4_542),
)
_FASHION = (
    (TRAIN_IMAGES, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26_421_880),
    (TRAIN_LABELS, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29_515),
    (TEST_IMAGES, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4_422_102),
    (TEST_LABELS, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5_148),
)


def mnist(folder: str = "") -> tuple[SourceFile, ...]:
    """The four files of MNIST, under ``folder`` of the source's folder."""
    return _family(
        _MNIST,
        folder,
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )


def fashion(folder: str = "") -> tuple[SourceFile, ...]:
    """The four files of Fashion-MNIST, under ``folder`` of the source's folder."""
    return _family(
        _FASHION,
        folder,
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    )


def _family(known: tuple[tuple[str, str, int], ...], folder: str, home: str, *mirrors: str) -> tuple[SourceFile, ...]:
    return tuple(
        SourceFile(folder + name, sha256, size, home + name, tuple(mirror + name for mirror in mirrors))
        for name, sha256, size in known
    )


class TwoPictures(MultiTaskDataset):
    """Two tasks of 10 classes on (1, 36, 36) float32 pictures with values in [0, 1].

    ``size="60k"``: 50,000 train, 10,000 validation, 10,000 test pictures; ``"120k"``: 100,000, 20,000, 20,000.
    Train and validation use disjoint pictures of the training files, test those of the test files.
    """

    # Where in the source's folder the files of the left and of the right pictures lie: empty, or ending in a slash.
    folders: ClassVar[tuple[str, str]] = ("", "")
    tasks = tuple(Task(side, 10, cross_entropy, (ACCURACY,)) for side in ("left", "right"))
    # The papers: batches of 256, Adam at 1e-3 to 1e-2, 100 epochs. A CPU has time for 5.
    protocol = Protocol(epochs=5, batch_size=256, optimizer="adam", learning_rate=2e-3)

    def __init__(self, *, size: str = "60k") -> None:
        if size not in tuple(ROUNDS):
            raise DatasetError(f"{self.name}: size is {size!r} but must be one of {', '.join(ROUNDS)}")
        self.size = size

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The pictures and labels, the same for every ``seed``; built once, then read from the cache."""
        folder = (data_directory(data_dir) / self.source.folder).absolute()
        return _load(self.name, self.source, folder, self.folders, ROUNDS[self.size])

    def encoder(self) -> nn.Module:
        """The LeNet of the literature: convolutions of 10 and 20 channels, a full layer, to (batch, 50)."""
        # Pooling before the rectifier gives the same numbers for a quarter of the work. With channels last in
        # memory a CPU needs half the time for 10 and 20 of them.
        layers = nn.Sequential(
            nn.Conv2d(1, 10, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(10, 20, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(20 * 6 * 6, FEATURES),
            nn.ReLU(),
        )
        return nn.utils.convert_conv2d_weight_memory_format(layers, torch.channels_last)

    def head(self, task: Task) -> nn.Module:
        """One full layer, 50 to one output per class."""
        return nn.Linear(FEATURES, task.outputs)


@lru_cache(maxsize=1)
def _load(name: str, source: Source, folder: Path, folders: tuple[str, str], rounds: int) -> Splits:
    paths = files.locate(source, folder)
    return cached(name, source, paths, {"rounds": rounds}, lambda: _build(source, paths, folders, rounds))


def _build(source: Source, paths: Mapping[str, Path], folders: tuple[str, str], rounds: int) -> Splits:
    families = [_pictures(paths, folder) for folder in dict.fromkeys(folders)]
    files.verify(source, paths)
    images = np.concatenate([part for training, test in families for part in (training[0], test[0])])
    labels = np.concatenate([part for training, test in families for part in (training[1], test[1])]).astype(np.int64)
    rng = np.random.default_rng(0)
    numbers = _numbers([(len(training[0]), len(test[0])) for training, test in families])
    return Splits.of(*(_split(images, labels, _meet(rng, members, rounds)) for members in numbers))


def _numbers(counts: Sequence[tuple[int, int]]) -> list[list[np.ndarray]]:
    """For train, validation and test: the numbers of the pictures of each family.

    All pictures are numbered through: family by family, first those of its training file, then those of its test file.
    """
    start, parts = 0, []
    for training, test in counts:
        number = np.arange(training + test)
        of_training, held_out = number < training, number % HELD_OUT == HELD_OUT - 1
        masks = (of_training & ~held_out, of_training & held_out, ~of_training)
        parts.append([start + number[mask] for mask in masks])
        start += len(number)
    return [list(members) for members in zip(*parts, strict=True)]


def _meet(rng: np.random.Generator, members: Sequence[np.ndarray], rounds: int) -> np.ndarray:
    """Which pictures meet, (N, 2): two of one family, or one of each of two."""
    count = rounds * len(members[0])
    return pairs(rng, members[0], count) if len(members) == 1 else crossed(rng, members[0], members[1], count)


def _pictures(paths: Mapping[str, Path], folder: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pictures (N, 28, 28) and labels (N,) of the training files and of the test files in ``folder``."""
    pairs_of_files = ((TRAIN_IMAGES, TRAIN_LABELS), (TEST_IMAGES, TEST_LABELS))
    return [_read(paths[folder + images], paths[folder + labels]) for images, labels in pairs_of_files]


def _read(images_path: Path, labels_path: Path) -> tuple[np.ndarray, np.ndarray]:
    images, labels = files.read_idx(images_path, 3), files.read_idx(labels_path, 1)
    if images.shape[1:] != (28, 28):
        raise DatasetError(
            f"{images_path} holds pictures of {images.shape[1]} x {images.shape[2]} pixels instead of 28 x 28"
        )
    if len(images) != len(labels):
        raise DatasetError(f"{images_path} holds {len(images)} images, but {labels_path} {len(labels)} labels")
    if labels.max(initial=0) > 9:
        raise DatasetError(f"{labels_path} holds the label {labels.max()}, but labels lie between 0 and 9")
    return images, labels


def _split(images: np.ndarray, labels: np.ndarray, members: np.ndarray) -> Split:
    left, right = members.T
    inputs = torch.empty(len(members), 1, 28 + SHIFT, 28 + SHIFT)
    # In portions, so that the bytes never lie in memory beside all the floats.
    for start in range(0, len(members), 4096):
        part = slice(start, start + 4096)
        drawn = torch.from_numpy(overlay(images[left[part]], images[right[part]], SHIFT))
        torch.div(drawn.unsqueeze(1), 255, out=inputs[part])
    return Split(
        inputs=inputs,
        targets={"left": torch.from_numpy(labels[left]), "right": torch.from_numpy(labels[right])},
        sources=torch.from_numpy(members),
    )
