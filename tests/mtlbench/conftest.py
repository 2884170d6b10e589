"""A dataset so small that a whole training takes milliseconds, with everything that could break a promise in it."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bundles
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from mtlbench import tasks
from mtlbench.sections import Cell
from mtlbench.tasks.dataset import Metric, MultiTaskDataset, Protocol, Source, Split, Splits, Task

BATCH = 16
SIZES = {"train": 70, "validation": 31, "test": 29}  # told apart by their lengths; 70 is not a multiple of 16


@dataclass
class Tiny:
    """What a test may ask of the tiny dataset, and what it saw."""

    nan_task: str = ""
    nan_at: int = -1  # the training call of that task's loss which gives NaN
    interrupt_at: int = -1  # the validation which raises KeyboardInterrupt, counted over all tasks
    error_at: int = -1  # the validation which raises a ZeroDivisionError
    batch_losses: Counter[str] = field(default_factory=Counter)
    judged: Counter[int] = field(default_factory=Counter)  # how often a split of that length met a metric

    def loss(self, name: str, function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
        def compute(output: Tensor, target: Tensor) -> Tensor:
            value = function(output, target)
            if len(target) == BATCH and torch.is_grad_enabled():  # the audit looks again, after the step
                self.batch_losses[name] += 1
                if name == self.nan_task and self.batch_losses[name] == self.nan_at:
                    return value * torch.nan
            return value

        return compute

    def metric(self, target: np.ndarray, prediction: np.ndarray) -> float:
        self.judged[len(target)] += 1
        if len(target) == SIZES["validation"]:
            if self.judged[len(target)] == self.interrupt_at:
                raise KeyboardInterrupt
            if self.judged[len(target)] == self.error_at:
                raise ZeroDivisionError("an error for the test")
        return float(np.mean((target.reshape(len(target), -1)[:, 0] - prediction[:, 0]) ** 2))


class TinyDataset(MultiTaskDataset):
    """Two regressions of different scale and one classification; normalisation and dropout in the encoder."""

    name = "tiny"
    summary = "for tests"
    protocol = Protocol(epochs=4, batch_size=BATCH, optimizer="adam", learning_rate=1e-2, weight_decay=1e-3)
    source = Source((), "", "", "")

    def __init__(self, tiny: Tiny) -> None:
        error = Metric("error", tiny.metric, higher_is_better=False, unit="square")
        self.tasks = tuple(
            Task(name, outputs, tiny.loss(name, function), (error,))
            for name, outputs, function in (("a", 1, mse_loss), ("b", 1, mse_loss), ("c", 3, cross_entropy))
        )

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        stream = torch.Generator().manual_seed(seed)
        splits = []
        for size in SIZES.values():
            inputs = torch.randn(size, 6, generator=stream)
            splits.append(Split(inputs, {"a": inputs[:, :1], "b": 30 * inputs[:, 1:2], "c": (inputs[:, 2] > 0).long()}))
        return Splits.of(*splits)

    def encoder(self) -> nn.Module:
        return nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Dropout(0.2), nn.Linear(12, 8))

    def head(self, task: Task) -> nn.Module:
        return nn.Linear(8, task.outputs)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """The dataset ``tiny`` for the length of a test."""
    control = Tiny()
    real = tasks.get

    def get(name: str, **parameters: Any) -> MultiTaskDataset:
        return TinyDataset(control) if name == "tiny" else real(name, **parameters)

    monkeypatch.setattr(tasks, "get", get)
    return control


@pytest.fixture
def tiny_cell() -> Callable[..., Cell]:
    """Cells on the tiny dataset: ``tiny_cell("mgda", epochs=2)``."""

    def build(method: str = "equal", **changes: Any) -> Cell:
        settings: dict[str, Any] = {"benchmark": "b", "dataset": "tiny", "seeds": (0,), "audit_interval": 3}
        return Cell(**(settings | {"device": "cpu", "method": method} | changes))

    return build


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small results folder that was really trained, with its bundle; tests only read it."""
    results = tmp_path_factory.mktemp("trained") / "small"
    bundles.train(results)
    return results


@pytest.fixture
def small(trained: Path, tmp_path: Path) -> Path:
    """A copy of :func:`trained` that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "small"))
