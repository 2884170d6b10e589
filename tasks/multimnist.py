"""multimnist: two overlaid MNIST digits on a 36x36 canvas; read the left one and the right one.

As in S. Sabour, N. Frosst, G. Hinton, "Dynamic routing between capsules", NeurIPS 2017, in the form of O. Sener,
V. Koltun, "Multi-task learning as multi-objective optimization", NeurIPS 2018: one digit in the top left corner,
the other in the bottom right one, the brighter pixel wins. One fixed set, generated from the four canonical files.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from . import data_directory, files
from .dataset import DatasetError, MultiTaskDataset, Protocol, Source, SourceFile, Split, Splits, Task
from .metrics import ACCURACY
from .overlay import overlay, pairs

ROUNDS = {"60k": 1, "120k": 2}  # how often every digit stands in each place
SHIFT = 8  # 28 + 8 = 36
HELD_OUT = 6  # every sixth digit of the training file belongs to validation
FEATURES = 50
TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"
_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_FILES = (
    (TRAIN_IMAGES, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9_912_422),
    (TRAIN_LABELS, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28_881),
    (TEST_IMAGES, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1_648_877),
    (TEST_LABELS, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4_542),
)


class MultiMNIST(MultiTaskDataset):
    """Two tasks of 10 classes on (1, 36, 36) float32 pictures with values in [0, 1].

    ``size="60k"``: 50,000 train, 10,000 validation, 10,000 test pictures; ``"120k"``: 100,000, 20,000, 20,000.
    Train and validation use disjoint digits of the training file, test those of the test file.
    """

    name = "multimnist"
    summary = "two overlaid MNIST digits on a 36x36 canvas, 2 classification tasks"
    tasks = tuple(Task(side, 10, cross_entropy, (ACCURACY,)) for side in ("left", "right"))
    # The papers: batches of 256, Adam at 1e-3 to 1e-2, 100 epochs. A CPU has time for 5, which reach 97 %.
    protocol = Protocol(epochs=5, batch_size=256, optimizer="adam", learning_rate=2e-3)
    source = Source(
        files=tuple(SourceFile(name, sha256, size, _URL + name) for name, sha256, size in _FILES),
        home="the MNIST database of handwritten digits",
        licence="CC BY-SA 3.0",
        citation=(
            "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner. Gradient-based learning applied to document "
            "recognition. Proc. IEEE 86(11), 1998. O. Sener, V. Koltun. Multi-task learning as multi-objective "
            "optimization. NeurIPS 2018"
        ),
        folder="mnist",
    )

    def __init__(self, *, size: str = "60k") -> None:
        if size not in tuple(ROUNDS):
            raise DatasetError(f"multimnist: size is {size!r} but must be one of {', '.join(ROUNDS)}")
        self.size = size

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The pictures and labels, the same for every ``seed``; built from ``<data_dir>/mnist/`` once per process."""
        return _build(self.source, (data_directory(data_dir) / self.source.folder).absolute(), ROUNDS[self.size])

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
def _build(source: Source, folder: Path, rounds: int) -> Splits:
    images, labels, training = _digits(source, folder)
    # Digits are numbered through: first those of the training file, then those of the test file.
    number = np.arange(len(labels))
    held_out = number % HELD_OUT == HELD_OUT - 1
    rng = np.random.default_rng(0)
    members = (number[training & ~held_out], number[training & held_out], number[~training])
    return Splits.of(*(_split(images, labels, pairs(rng, m, rounds * len(m))) for m in members))


def _digits(source: Source, folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pictures (N, 28, 28) and labels (N,), and which of them come from the training file."""
    paths = files.locate(source, folder)
    train_images, train_labels = _read(paths[TRAIN_IMAGES], paths[TRAIN_LABELS])
    test_images, test_labels = _read(paths[TEST_IMAGES], paths[TEST_LABELS])
    files.verify(source, paths)
    labels = np.concatenate([train_labels, test_labels]).astype(np.int64)
    return np.concatenate([train_images, test_images]), labels, np.arange(len(labels)) < len(train_labels)


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
