"""A made-up dataset with an output at every pixel, for the architectures of dense prediction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from mtlbench.tasks.dataset import Metric, MultiTaskDataset, Protocol, Source, Split, Splits, Task


def _accuracy(target: np.ndarray, prediction: np.ndarray) -> float:
    return float((prediction.argmax(axis=1) == target).mean())


def _error(target: np.ndarray, prediction: np.ndarray) -> float:
    return float(((target - prediction) ** 2).mean())


class Dense(MultiTaskDataset):
    """Pictures of a bright rectangle on noise, 8 by 12: is a pixel inside, and how bright is the rectangle there."""

    name = "dense"
    summary = "for tests"
    tasks = (
        Task("inside", 2, cross_entropy, (Metric("accuracy", _accuracy, True, ""),)),
        Task("brightness", 1, mse_loss, (Metric("error", _error, False, ""),)),
    )
    protocol = Protocol(epochs=3, batch_size=16, optimizer="adam", learning_rate=1e-2)
    source = Source((), "", "", "")

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        rng = np.random.default_rng(seed)
        return Splits.of(*(self._split(rng, count) for count in (160, 40, 40)))

    def _split(self, rng: np.random.Generator, count: int) -> Split:
        rows, columns = np.arange(8)[None, :, None], np.arange(12)[None, None, :]
        top, left = (rng.integers(0, high, (count, 1, 1)) for high in (4, 6))
        inside = (rows >= top) & (rows < top + 4) & (columns >= left) & (columns < left + 6)
        brightness = inside * rng.uniform(1, 2, (count, 1, 1))
        pictures = brightness[:, None] + 0.3 * rng.normal(size=(count, 3, 8, 12))
        return Split(
            torch.from_numpy(pictures.astype(np.float32)),
            {
                "inside": torch.from_numpy(inside.astype(np.int64)),
                "brightness": torch.from_numpy(brightness[:, None].astype(np.float32)),
            },
        )

    def encoder(self) -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())

    def head(self, task: Task) -> nn.Module:
        return nn.Conv2d(4, task.outputs, 1)


class Words(MultiTaskDataset):
    """Inputs that are indices: an embedding has to read them."""

    name = "words"
    summary = "for tests"
    tasks = (Task("a", 1, mse_loss, (Metric("error", _error, False, ""),)),)
    protocol = Dense.protocol
    source = Source((), "", "", "")

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        raise NotImplementedError

    def encoder(self) -> nn.Module:
        return nn.Sequential(nn.Embedding(7, 3), nn.Flatten())

    def head(self, task: Task) -> nn.Module:
        return nn.Linear(6, task.outputs)
