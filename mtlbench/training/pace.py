"""Seconds of what a run does besides its plain steps: reading the data, evaluating, the audit.

Measured in a few calls each, for an estimate beforehand; :mod:`mtlbench.training.cost` measures the steps themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

import torch

from mtlbench import primary
from mtlbench.config import SINGLE_TASK, Cell
from mtlbench.tasks.dataset import Split
from mtlbench.training.audit import Audit
from mtlbench.training.devices import held
from mtlbench.training.evaluation import evaluate
from mtlbench.training.loop import Recipe, State, epoch_batches, train_step
from mtlbench.training.runtime import session
from mtlbench.training.seeding import Streams
from mtlbench.training.start import load_data, new_state, recipe_of, task_groups, to_device

CALLS = 3


class Pace(NamedTuple):
    """Of one run of a cell: steps of one network in an epoch, epochs, networks, and seconds.

    ``load``: the data; ``validation`` and ``test``: an evaluation of all networks; ``audited``: one audited step, 0
    where the cell has no audit.
    """

    steps: int
    epochs: int
    networks: int
    load: float
    validation: float
    test: float
    audited: float


def paces(cells: Sequence[Cell], data_dir: Path | None) -> list[Pace]:
    """The pace of every cell; all share a dataset and its parameters. Raises what training raises for wrong input."""
    first = cells[0]
    dataset = primary.dataset_of(first)
    streams = Streams(first.benchmark_seed, first.seeds[0])
    began = perf_counter()
    splits = load_data(first, dataset, streams, data_dir)
    load = perf_counter() - began
    found = []
    with held(first.device, first.cells_per_gpu) as device, session(device, first.threads, first.precision):
        train, validation, test = (to_device(part, device) for part in (splits.train, splits.validation, splits.test))
        for cell in cells:
            groups = task_groups(cell, dataset)
            states = [
                new_state(cell, dataset, group, streams, device, train=splits.train, audit=False) for group in groups
            ]
            recipe = recipe_of(cell, dataset)
            found.append(
                Pace(
                    steps=len(splits.train) // recipe.batch_size,
                    epochs=recipe.epochs,
                    networks=len(groups),
                    load=load,
                    validation=_evaluation(states, validation, recipe, device),
                    test=_evaluation(states, test, recipe, device),
                    audited=_audited(states[0], train, recipe, device) if _has_audit(cell) else 0.0,
                )
            )
    return found


def _has_audit(cell: Cell) -> bool:
    return cell.audit_interval > 0 and cell.method != SINGLE_TASK


def _evaluation(states: Sequence[State], split: Split, recipe: Recipe, device: torch.device) -> float:
    return _seconds(lambda: [evaluate(s.model, split, s.tasks, recipe.precision) for s in states], device)


def _audited(state: State, train: Split, recipe: Recipe, device: torch.device) -> float:
    state.audit = Audit(1)
    # A step takes as long at rate zero, where no method can leave the finite numbers.
    for parameters in state.optimizer.param_groups:
        parameters["lr"] = 0.0
    batches = next(epoch_batches(state, train, recipe))
    return _seconds(lambda: train_step(state, batches, recipe), device)


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    """The median duration of a few calls, after one that warms up."""
    times = []
    for _ in range(1 + CALLS):
        began = perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(perf_counter() - began)
    return median(times[1:])
