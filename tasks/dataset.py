"""The contract of a multi-task dataset: its tasks, metrics, splits, networks, protocol and source.

A dataset is one file in this folder that defines one :class:`MultiTaskDataset`. Nothing here imports torch when it
is loaded, so that the names of the datasets can be listed at once.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal
from typing import Protocol as Interface

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn


UNLABELLED = -100  # a class target without a label; a float target has NaN there


def labelled(target: Tensor) -> Tensor:
    """Which entries of ``target`` have a label: a boolean tensor of its shape."""
    return ~target.isnan() if target.is_floating_point() else target != UNLABELLED


class DatasetError(ValueError):
    """A dataset cannot be had as asked; the message is one sentence: what, where, and what would be right."""


@dataclass(frozen=True)
class Metric:
    """One number that judges a task.

    ``compute(target, prediction)`` takes a whole split as two arrays of N samples, averages over the samples and
    raises ``ValueError`` where the prediction, the raw output of the task's head, is not finite. ``unit`` is what
    the report prints beside the number. ``two_classes``: it is not defined where all labels of a split are equal.
    """

    name: str
    compute: Callable[[np.ndarray, np.ndarray], float]
    higher_is_better: bool
    unit: str
    two_classes: bool = False


class Running(Interface):
    """The loss and the metrics of a split, collected part by part and each computed once, over all of its samples."""

    def add(self, target: Tensor, output: Tensor) -> None:
        """Take in some samples; raises ``ValueError`` where an output is not finite."""

    def values(self) -> dict[str, float]:
        """``{"loss": ..., metric: ...}`` over the samples taken in so far."""


@dataclass(frozen=True)
class Task:
    """One task: ``outputs`` is the width of its head, ``loss(output, target)`` what training lowers.

    Names are lower case letters, digits and underscores. The first metric is the task's main metric. ``running`` is
    given where the outputs of a whole split would not fit into memory, as those for every pixel: it makes a new
    :class:`Running`, and evaluation keeps no outputs.
    """

    name: str
    outputs: int
    loss: Callable[[Tensor, Tensor], Tensor]
    metrics: tuple[Metric, ...]
    running: Callable[[], Running] | None = None


@dataclass(frozen=True)
class Protocol:
    """How the literature trains on a dataset, or a stated choice; ``protocol_version`` grows with every change."""

    epochs: int
    batch_size: int
    optimizer: Literal["sgd", "adam", "adamw"]
    learning_rate: float
    weight_decay: float = 0.0
    momentum: float = 0.0
    protocol_version: int = 1


@dataclass(frozen=True)
class Reported:
    """The range, from ``low`` to ``high``, in which the test values of a metric lie that ``source`` reports."""

    task: str
    metric: str
    low: float
    high: float
    source: str


@dataclass(frozen=True)
class SourceFile:
    """One file as its home distributes it: canonical name, sha256 in hexadecimal, size in bytes, address.

    ``name`` may begin with a subfolder of the source's folder. ``mirrors`` are other addresses of the same bytes.
    ``member``: the file comes inside a zip or tar archive, which is what the addresses name, under this path.
    ``unpack``: the file is itself such an archive, and the members that match these patterns are unpacked beside it.
    """

    name: str
    sha256: str
    bytes: int
    url: str
    mirrors: tuple[str, ...] = ()
    member: str = ""
    unpack: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """Where the data come from: no files when they are generated or come with a library.

    ``folder`` is the subfolder of the data folder that holds the files. ``layout`` names the files and folders,
    relative to it, whose checksums are not stated here: of these only the format is checked.
    """

    files: tuple[SourceFile, ...]
    home: str
    licence: str
    citation: str
    folder: str = ""
    layout: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Split:
    """The samples of one split: ``inputs`` (N, ...) and ``targets[task name]`` (N, ...), tensors on the CPU.

    A sample without a label of a task has NaN there, in a class target :data:`UNLABELLED`.
    ``sources`` (N, items), where samples are put together from other items, says which ones, so that anybody can
    check that two splits share none. Raises :class:`DatasetError` where the lengths differ.
    """

    inputs: Tensor
    targets: Mapping[str, Tensor]
    sources: Tensor | None = None

    def __post_init__(self) -> None:
        for name, target in self.targets.items():
            if len(target) != len(self.inputs):
                raise DatasetError(f"{len(self.inputs)} inputs have {len(target)} targets of task {name!r}")

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True, eq=False)
class Splits:
    """The three splits and their ``digest``: sha256 over names, types, shapes, bytes of inputs and targets."""

    train: Split
    validation: Split
    test: Split
    digest: str

    @classmethod
    def of(cls, train: Split, validation: Split, test: Split) -> Splits:
        """Put the three together and compute their digest."""
        total = hashlib.sha256()
        for name, split in (("train", train), ("validation", validation), ("test", test)):
            for field, tensor in (("inputs", split.inputs), *sorted(split.targets.items())):
                total.update(f"{name}/{field} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
                total.update(tensor.contiguous().numpy().data)
        return cls(train, validation, test, total.hexdigest())


class MultiTaskDataset(ABC):
    """One dataset; its parameters, if it has any, are keyword-only arguments of the constructor with defaults.

    ``name`` equals the name of the file; ``summary`` is one line. ``tasks``, ``protocol`` and ``source`` are set by the
    class or its constructor. A dataset that has ``variants`` takes one of them as its parameter ``variant``, and
    ``NAME:VARIANT`` names it wherever a dataset is named. The report holds its rows against what is ``reported``.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    variants: ClassVar[tuple[str, ...]] = ()
    tasks: tuple[Task, ...]
    protocol: Protocol
    source: Source
    reported: tuple[Reported, ...] = ()

    @abstractmethod
    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The data of one trial: the same bytes for the same seed, the global random state untouched.

        A dataset with one fixed set of data ignores ``seed``. ``data_dir`` is the folder of dataset files,
        ``None`` for :func:`data_directory`. Raises :class:`DatasetError` where a file is missing or not the right one.
        """

    def check_files(self, data_dir: Path | None = None) -> None:
        """Raise :class:`DatasetError` where a source file is missing; nothing is read or loaded."""
        # Both modules import this one.
        from . import data_directory
        from .files import locate

        if self.source.files or self.source.layout:
            locate(self.source, data_directory(data_dir) / self.source.folder)

    def true_front(self, points: int) -> np.ndarray | None:
        """Where the Pareto front is known: the expected main metrics of ``points`` networks spread over what holds it.

        Float64 (points, tasks), the same on every call; some points may be dominated by others. ``None`` elsewhere.
        """
        return None

    def stem(self) -> nn.Module | None:
        """What any encoder stands on where the inputs are codes rather than measurements, without parameters."""
        return None

    @abstractmethod
    def encoder(self) -> nn.Module:
        """A new network from inputs (batch, ...) to the representation (batch, features).

        Standard layers only: training gives each its initial weights through ``reset_parameters``.
        """

    @abstractmethod
    def head(self, task: Task) -> nn.Module:
        """A new network from the representation to the output of ``task``, (batch, ``task.outputs``)."""
