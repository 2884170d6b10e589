"""A primary task and what stands beside it: the dataset that a cell trains on, once one task is named ``primary``.

The primary task is the first; then come the auxiliary tasks that stay, then regularisers, which stand in
:mod:`mtlbench.regularisers`. Validation chooses the epoch by the primary task alone. Nothing of this is there unless a
benchmark file names a primary task. Importing this module does not import torch.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtlbench import regularisers, tasks
from mtlbench.entries import named
from mtlbench.errors import InputError, unknown_name
from mtlbench.sections import Auxiliaries, Cell, DatasetEntry
from mtlbench.tasks.dataset import MultiTaskDataset, Split, Splits, Task, labelled

if TYPE_CHECKING:
    from torch import Tensor, nn

    from mtlbench.methods.method import Method


def check(entry: DatasetEntry, place: str, installed: bool) -> None:
    """Raise :class:`~mtlbench.errors.InputError` for what a section says that can make no sense on any dataset."""
    for auxiliary in entry.auxiliary:
        if entry.primary is None and auxiliary != Auxiliaries():
            raise InputError(f"{place}: auxiliary says what stands beside the primary task: name that one as primary")
        if auxiliary.label_noise and auxiliary.tasks == []:
            raise InputError(f"{place}: auxiliary: label_noise is that of auxiliary tasks, and tasks: [] leaves none")
        for entry_of in auxiliary.regularisers if installed else ():
            name = named(entry_of, "a regulariser")["name"]
            if name not in regularisers.names():
                raise unknown_name("regulariser", name, regularisers.names(), f"{place}: auxiliary")


def dataset_of(cell: Cell) -> MultiTaskDataset:
    """The dataset of a cell, as its section wants it.

    Raises :class:`~mtlbench.errors.InputError`, offering the nearest name, for a task that it has not.
    """
    dataset = tasks.get(cell.dataset, **cell.dataset_parameters)
    return dataset if cell.primary is None else Beside(dataset, cell.primary, cell.auxiliary)


def data(cell: Cell) -> tuple[str, str, str]:
    """What cells have in common that train on the same data: the dataset first."""
    beside = "" if cell.primary is None else f"{cell.primary} {cell.auxiliary}"
    return cell.dataset, str(cell.dataset_parameters), beside


def objectives(cell: Cell) -> int:
    """How many objectives the cell's methods balance: its tasks, and the regularisers beside them."""
    return len(dataset_of(cell).tasks) + len(cell.auxiliary.regularisers)


def check_level(cell: Cell, method: Method) -> None:
    """Raise :class:`~mtlbench.errors.InputError` where ``method`` compares objectives at a place some do not reach."""
    if cell.auxiliary.regularisers and method.level != "shared":
        raise InputError(
            f"{method.name} compares the tasks at the level {method.level!r}, and a regulariser reaches the parameters "
            'past it: give the method the level "shared", or leave the regularisers out'
        )


class Beside(MultiTaskDataset):
    """``dataset`` with the task ``primary`` first and those that ``auxiliary`` keeps after it, their labels noisy."""

    def __init__(self, dataset: MultiTaskDataset, primary: str, auxiliary: Auxiliaries) -> None:
        by_name = {task.name: task for task in dataset.tasks}
        others = [name for name in by_name if name != primary]
        kept = others if auxiliary.tasks is None else auxiliary.tasks
        if primary not in by_name:
            raise unknown_name("primary task", primary, by_name, dataset.name)
        for name in kept:
            if name not in others:
                raise unknown_name("auxiliary task", name, others, dataset.name)
        self.name = dataset.name  # type: ignore[misc]
        self.tasks = tuple(by_name[name] for name in (primary, *(name for name in others if name in kept)))
        self.protocol, self.source = dataset.protocol, dataset.source
        self._dataset, self._noise = dataset, auxiliary.label_noise

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The data of the trial; only the training labels of auxiliary tasks may differ from the dataset's own."""
        splits = self._dataset.load(seed, data_dir)
        train, validation, test = (
            Split(part.inputs, {task.name: part.targets[task.name] for task in self.tasks}, part.sources)
            for part in (splits.train, splits.validation, splits.test)
        )
        if self._noise:
            names = [task.name for task in self.tasks[1:]]
            noise = {name: noisy(train.targets[name], self._noise, seed, name) for name in names}
            train = Split(train.inputs, {**train.targets, **noise}, train.sources)
        return Splits.of(train, validation, test)

    def stem(self) -> nn.Module | None:
        return self._dataset.stem()

    def encoder(self) -> nn.Module:
        return self._dataset.encoder()

    def head(self, task: Task) -> nn.Module:
        return self._dataset.head(task)


def noisy(target: Tensor, rate: float, seed: int, task: str) -> Tensor:
    """``target`` (N, ...) in which a share ``rate`` of the labelled samples have exchanged their labels among them.

    Which samples is drawn anew for every seed and task, and a higher rate adds to those of a lower one. Exchanged
    labels are distributed as they were, whatever they are (classes, numbers, pictures), but say nothing of their
    samples; an exchanged class may by chance be the right one. A missing label stays missing.
    """
    import torch

    digest = hashlib.sha256(f"{seed}/label noise/{task}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8]))
    samples = np.flatnonzero(labelled(target).reshape(len(target), -1).any(dim=1).numpy())
    chosen = torch.from_numpy(rng.permutation(samples)[: round(rate * len(samples))])
    result = target.clone()
    # One place further along a random order: nobody keeps his own.
    result[chosen] = target[chosen.roll(1)]
    return result
