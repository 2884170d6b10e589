"""A network at the start of its training, the same for every method under one seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from traceback import extract_tb
from typing import Any

import torch

from mtlbench import architectures, methods, regularisers, tasks
from mtlbench.errors import InputError
from mtlbench.methods.method import Method
from mtlbench.sections import SINGLE_TASK, Cell
from mtlbench.tasks.checks import check_splits
from mtlbench.tasks.dataset import DatasetError, MultiTaskDataset, Split, Splits, Task
from mtlbench.training.audit import Audit
from mtlbench.training.loop import Recipe, State
from mtlbench.training.objectives import Primary
from mtlbench.training.prior import prior_losses
from mtlbench.training.seeding import Streams, initialise, seed_global
from mtlbench.training.step_size import StepSize

MANY_TASKS = 64
"""Above so many tasks the gradients of all shared parameters, K times their number, are not formed unless asked for."""


def recipe_of(cell: Cell, dataset: MultiTaskDataset) -> Recipe:
    """The cell's numbers where it gives them, else those of the dataset's protocol."""
    protocol = dataset.protocol
    return Recipe(
        epochs=cell.epochs or protocol.epochs,
        batch_size=cell.batch_size or protocol.batch_size,
        optimizer=cell.optimizer or protocol.optimizer,
        learning_rate=cell.learning_rate or protocol.learning_rate,
        weight_decay=protocol.weight_decay if cell.weight_decay is None else cell.weight_decay,
        momentum=protocol.momentum,
        precision=cell.precision,
        step_size_adapter=cell.step_size_adapter,
    )


def load_data(cell: Cell, dataset: MultiTaskDataset, streams: Streams, data_dir: Path | None) -> Splits:
    """The data of one run, on the CPU.

    Raises :class:`~mtlbench.tasks.DatasetError` where they cannot be had or cannot be right, and
    :class:`~mtlbench.errors.InputError` where they do not fill one batch, or are fewer than ``training_samples``.
    """
    try:
        splits = dataset.load(streams.seed("data", bits=32), data_dir)
    except (DatasetError, MemoryError):
        raise
    except Exception as error:  # a loader may be anybody's, and what it trips over is a file of the user's
        said = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
        raise DatasetError(f"{cell.dataset}: its data cannot be loaded{_place(error)}: {said}") from error
    wanted, there = cell.training_samples, len(splits.train)
    if wanted is not None:
        if wanted > there:
            raise InputError(
                f"{cell.dataset}: training_samples is {wanted}, but the training split has {there} samples"
            )
        splits = replace(splits, train=spread(splits.train, wanted))
    check_splits(dataset, splits)
    batch_size = recipe_of(cell, dataset).batch_size
    if batch_size > len(splits.train):
        raise InputError(
            f"{cell.dataset}: batch_size is {batch_size}, but the training split has {len(splits.train)} samples"
        )
    return splits


def _place(error: Exception) -> str:
    """``(heating.py, line 27)``: how far a loader came in its own file."""
    frames = extract_tb(error.__traceback__)
    own = next((frame.filename for frame in frames if str(Path(frame.filename).parent) in tasks.__path__), None)
    lines = [frame.lineno for frame in frames if frame.filename == own]
    return f" ({Path(own).name}, line {lines[-1]})" if own else ""


def spread(split: Split, count: int) -> Split:
    """At most ``count`` samples, evenly spread over ``split``: the same ones in every run."""
    if count >= len(split):
        return split
    rows = torch.arange(count) * len(split) // count
    sources = None if split.sources is None else split.sources[rows]
    return Split(split.inputs[rows], {name: target[rows] for name, target in split.targets.items()}, sources)


def task_groups(cell: Cell, dataset: MultiTaskDataset) -> list[tuple[Task, ...]]:
    """The networks of a cell: one with every task, or one for each task alone in ``single_task``."""
    return [(task,) for task in dataset.tasks] if cell.method == SINGLE_TASK else [dataset.tasks]


def primary_of(cell: Cell, group: Sequence[Task]) -> Primary | None:
    """What a network does for the primary task's sake; None where it has none. One task alone is not regularised."""
    if cell.primary is None or group[0].name != cell.primary:
        return None
    entries = [] if cell.method == SINGLE_TASK else cell.auxiliary.regularisers
    return Primary(group[0], regularisers.read(entries), cell.auxiliary.flooding)


def method_of(cell: Cell, streams: Streams, known: Mapping[str, Callable[[], Any]] | None = None) -> Method:
    """A new method; options that only a run can know are filled in where the cell says nothing.

    These are the ``seed`` of a stochastic method, which then draws from the run's own stream, and what is
    ``known`` besides: functions by the option's name.
    """
    if cell.method == SINGLE_TASK:
        # One task: its loss with weight one.
        return methods.get("equal")
    method = methods.get(cell.method, **cell.options)
    known = {"seed": lambda: streams.seed("method"), **(known or {})}
    if "representation" not in getattr(method, "levels", ()):
        known.pop("level", None)
    wanted = [option for option in known if option in method.parameters() and option not in cell.options]
    if not wanted:
        return method
    return methods.get(cell.method, **cell.options, **{option: known[option]() for option in wanted})


def new_state(
    cell: Cell,
    dataset: MultiTaskDataset,
    group: Sequence[Task],
    streams: Streams,
    device: torch.device,
    *,
    train: Split | None = None,
    audit: bool = True,
) -> State:
    """The network for the tasks of ``group`` with its initial weights, ready for the first step.

    From the training split ``train`` comes what a method may want to know beforehand: ``prior``, the losses of
    the best constant outputs, and ``period``, the steps of an epoch. Above :data:`MANY_TASKS` tasks a Gramian method
    compares them at the representation, unless the cell says at which ``level`` or has regularisers.

    Seeds the global random state for dropout: call inside :func:`~mtlbench.training.runtime.session`.
    """
    recipe, primary = recipe_of(cell, dataset), primary_of(cell, group)
    architecture = architectures.get(cell.architecture, **cell.architecture_parameters)
    model = architecture.build(dataset, group, None if train is None else train.inputs[:1])
    initialise(model, streams)
    model.to(device).train()
    known: dict[str, Callable[[], Any]] = {}
    if train is not None:
        for regulariser in primary.regularisers if primary else ():
            regulariser.check(dataset.name, train.inputs)
        # A penalty has no best constant output.
        if primary is None or not primary.regularisers:
            known["prior"] = lambda: prior_losses(group, train)
        known["period"] = lambda: len(train) // recipe.batch_size
    # A regulariser reaches the parameters past the representation.
    if len(group) > MANY_TASKS and architecture.one_representation and not (primary and primary.regularisers):
        known["level"] = lambda: "representation"
    method = method_of(cell, streams, known)
    method.check_tasks(len(group) + (len(primary.regularisers) if primary else 0))
    seed_global(streams.seed("dropout"), device)
    return State(
        tasks=group,
        primary=primary,
        model=model,
        method=method,
        optimizer=_optimizer(model, recipe),
        batches=[streams.generator(f"batches/{i}") for i in range(1, method.batches)] + [streams.generator("batches")],
        step_size=StepSize(recipe.step_size_adapter) if recipe.step_size_adapter else None,
        audit=Audit(cell.audit_interval if audit and cell.method != SINGLE_TASK else 0),
    )


def to_device(split: Split, device: torch.device) -> Split:
    """A split whose tensors lie on ``device``."""
    return Split(split.inputs.to(device), {name: target.to(device) for name, target in split.targets.items()})


def _optimizer(model: torch.nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), lr=rate, momentum=recipe.momentum, weight_decay=decay)
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    return kinds[recipe.optimizer](model.parameters(), lr=rate, weight_decay=decay)
