"""multi_digits: two overlaid 8x8 handwritten digits on a 12x12 canvas; read the left one and the right one.

A small relative of MultiMNIST that needs no download: the 1,797 digits come with scikit-learn.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from .dataset import MultiTaskDataset, Protocol, Source, Split, Splits, Task
from .metrics import ACCURACY
from .overlay import overlay, pairs

SHIFT = 4  # of the right digit, in pixels, to the right and down: a quarter of each 8x8 picture is shared
DIGITS = (1197, 300, 300)  # source digits of train, validation and test: two thirds, one sixth, one sixth
PAIRS = (3072, 1000, 1000)
FEATURES = 48


class MultiDigits(MultiTaskDataset):
    """Two tasks of 10 classes on (1, 12, 12) float32 pictures with values in [0, 1].

    The seed draws which digits belong to which split, then which digits meet; no digit serves two splits.
    """

    name = "multi_digits"
    summary = "two overlaid 8x8 handwritten digits on a 12x12 canvas, 2 classification tasks, no download"
    tasks = tuple(Task(side, 10, cross_entropy, (ACCURACY,)) for side in ("left", "right"))
    # Chosen here: single-task training reaches about 96 % on either side, in 0.1 s per epoch on one CPU core.
    protocol = Protocol(epochs=10, batch_size=256, optimizer="adam", learning_rate=5e-3)
    source = Source(
        files=(),
        home="UCI Machine Learning Repository, Optical Recognition of Handwritten Digits, bundled with scikit-learn",
        licence="CC BY 4.0",
        citation=(
            "E. Alpaydin, C. Kaynak. Optical Recognition of Handwritten Digits. UCI Machine Learning Repository, "
            "1998. doi:10.24432/C50P49"
        ),
    )

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The pictures and labels of trial ``seed``; ``data_dir`` is not used."""
        images, labels = _digits()
        rng = np.random.default_rng(seed)
        members = np.split(rng.permutation(len(labels)), np.cumsum(DIGITS)[:-1])
        return Splits.of(
            *(_split(images, labels, pairs(rng, m, count)) for m, count in zip(members, PAIRS, strict=True))
        )

    def encoder(self) -> nn.Module:
        """A small LeNet: two convolutions, the first in steps of two, and a full layer, to (batch, 48)."""
        return nn.Sequential(
            nn.Conv2d(1, 16, 4, stride=2),
            nn.ReLU(),
            nn.Conv2d(16, 20, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(20 * 3 * 3, FEATURES),
            nn.ReLU(),
        )

    def head(self, task: Task) -> nn.Module:
        """One full layer, 48 to one output per class."""
        return nn.Linear(FEATURES, task.outputs)


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return (bunch.images / 16).astype(np.float32), bunch.target.astype(np.int64)


def _split(images: np.ndarray, labels: np.ndarray, members: np.ndarray) -> Split:
    left, right = members.T
    return Split(
        inputs=torch.from_numpy(overlay(images[left], images[right], SHIFT)).unsqueeze(1),
        targets={"left": torch.from_numpy(labels[left]), "right": torch.from_numpy(labels[right])},
        sources=torch.from_numpy(members),
    )
