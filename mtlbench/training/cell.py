"""Train the seeds of a cell that are not done yet, and record each as a folder of files.

    run_cell(cell, runs)          every seed of a cell, as the pipeline's job does
    run_seed(cell, seed, folder)  one of them

A run that diverges or crashes is recorded with its reason, the other seeds go on, and it is tried again next
time.
"""

from __future__ import annotations

import json
import logging
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from mtlbench import primary, provenance
from mtlbench.errors import InputError
from mtlbench.runs import RUN, current, identity
from mtlbench.sections import SINGLE_TASK, Cell
from mtlbench.tasks.dataset import DatasetError, MultiTaskDataset, Split
from mtlbench.training import checkpoint, paper_mode, run_files
from mtlbench.training.devices import device_name, held
from mtlbench.training.evaluation import Diverged, Metrics, evaluate
from mtlbench.training.loop import State, train
from mtlbench.training.progress import Reporter
from mtlbench.training.runtime import session
from mtlbench.training.seeding import Streams
from mtlbench.training.start import load_data, method_of, new_state, recipe_of, spread, task_groups, to_device

log = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 30.0


def run_cell(
    cell: Cell,
    runs: Path,
    data_dir: Path | None = None,
    progress: bool = False,
    *,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> list[str]:
    """Train the seeds of ``cell`` that are not done into ``runs/<cell.folder>/seed-<n>``.

    Returns the status of every seed, in the cell's order. A run is done when its files are whole, its status
    is ``done``, and configuration and code are the present ones. An operating-system lock on the cell's
    folder keeps a second process waiting, which then finds the work done. Raises
    :class:`~mtlbench.errors.InputError` or :class:`~mtlbench.tasks.DatasetError` for what the user must mend.
    """
    folder = runs / cell.folder
    with run_files.locked(folder):
        folders = {seed: folder / f"seed-{seed}" for seed in cell.seeds}
        return [record["status"] for record in _train(cell, folders, data_dir, progress, checkpoint_seconds)]


def run_seed(
    cell: Cell,
    seed: int,
    folder: Path,
    *,
    data_dir: Path | None = None,
    progress: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> dict[str, Any]:
    """Train one seed of ``cell`` into ``folder``, unless it is done there; return its ``run.json``."""
    if (folder / RUN).exists() and not _is_record(folder / RUN):
        raise InputError(f"{folder / RUN} is not a run of mtlbench and would be overwritten: choose another folder")
    with run_files.locked(folder):
        return _train(cell, {seed: folder}, data_dir, progress, checkpoint_seconds)[0]


def record_death(cell: Cell, runs: Path, reason: str) -> list[str]:
    """Record every seed of ``cell`` that has no present record as failed, after its process ended without a word.

    Returns the status of every seed. A process that is killed from outside (out of memory, a crash in compiled code)
    cannot write its own record; the pipeline must still show the cell.
    """
    folder, here = runs / cell.folder, identity(cell)
    dataset = primary.dataset_of(cell)
    statuses = []
    with run_files.locked(folder):
        for seed in cell.seeds:
            record = current(cell, seed, folder / f"seed-{seed}", here)
            if record is None:
                run = _Run(cell, seed, folder / f"seed-{seed}", dataset, torch.device("cpu"), here, CHECKPOINT_SECONDS)
                record = run.write(
                    "failed", reason, {}, "", {"started": _now(), "seconds": 0.0, "seconds_per_epoch": []}
                )
            statuses.append(str(record["status"]))
    return statuses


def _train(
    cell: Cell, folders: dict[int, Path], data_dir: Path | None, progress: bool, checkpoint_seconds: float
) -> list[dict[str, Any]]:
    """The records of all seeds, old ones where they are done; the device is held only where there is work."""
    here = identity(cell)
    records = {seed: _done(cell, seed, folder, here) for seed, folder in folders.items()}
    waiting = [seed for seed, record in records.items() if record is None]
    if waiting:
        dataset = primary.dataset_of(cell)
        epochs = recipe_of(cell, dataset).epochs * len(task_groups(cell, dataset))
        with (
            held(cell.device, cell.cells_per_gpu) as device,
            Reporter(f"{cell.dataset} {cell.label}", epochs * len(waiting), progress) as reporter,
        ):
            for seed in waiting:
                run = _Run(cell, seed, folders[seed], dataset, device, here, checkpoint_seconds)
                records[seed] = run.train(data_dir, reporter)
    for folder in folders.values():
        run_files.sweep(folder)
    return [record for record in records.values() if record is not None]


@dataclass
class _Run:
    """One seed of a cell being trained."""

    cell: Cell
    seed: int
    folder: Path
    dataset: MultiTaskDataset
    device: torch.device
    here: dict[str, Any]
    checkpoint_seconds: float
    states: list[State] = field(default_factory=list)
    trained: Metrics = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.streams = Streams(self.cell.benchmark_seed, self.seed)
        self.recipe = recipe_of(self.cell, self.dataset)

    def train(self, data_dir: Path | None, reporter: Reporter) -> dict[str, Any]:
        """Train the run's networks, write its files, return its record."""
        started, began = _now(), perf_counter()
        test: Metrics = {}
        status, reason, digest = "done", None, ""
        with session(self.device, self.cell.threads, self.cell.precision):
            try:
                splits = load_data(self.cell, self.dataset, self.streams, data_dir)
                digest = splits.digest
                data, validation = (
                    to_device(splits.train, self.device),
                    to_device(splits.validation, self.device),
                )
                peeked = to_device(splits.test, self.device) if self.cell.paper_mode else None
                for group in task_groups(self.cell, self.dataset):
                    state = new_state(self.cell, self.dataset, group, self.streams, self.device, train=splits.train)
                    self.states.append(state)
                    self._train_network(state, data, validation, peeked, digest, reporter)
                # A trial has no business with the test split.
                if self.cell.trial is None:
                    test = self._look("test", splits.test)
                    if self.cell.evaluate_training:
                        with suppress(Diverged):  # a run is judged by its test split
                            self.trained = self._look("training", spread(splits.train, len(splits.test)))
            except Diverged as error:
                status, reason = "diverged", str(error)
            except (InputError, DatasetError):
                raise
            except Exception as error:
                log.exception("%s %s seed %d failed", self.cell.dataset, self.cell.label, self.seed)
                status, reason = "failed", f"{type(error).__name__}: {error}"
        seconds = perf_counter() - began
        per_epoch = [sum(parts) for parts in zip_longest(*(s.seconds for s in self.states), fillvalue=0.0)]
        timing = {"started": started, "seconds": seconds, "seconds_per_epoch": per_epoch}
        record = self.write(status, reason, test, digest, timing)
        reporter.line(f"seed {self.seed}: {_sentence(record)} ({seconds:.1f} s)")
        return record

    def write(
        self, status: str, reason: str | None, test: Metrics, digest: str, timing: dict[str, Any]
    ) -> dict[str, Any]:
        """Write the run's files as they stand and return its record; ``digest`` is that of the data."""
        return run_files.write(
            self.folder,
            self._record(status, reason, test, digest),
            curves=[curve for state in self.states for curve in state.curves],
            audit=self.states[0].audit if self.states else None,
            tasks=self.states[0].objectives if self.states else [],
            timing=timing | {"host": platform.node()},
        )

    def _train_network(
        self, state: State, data: Split, validation: Split, test: Split | None, digest: str, reporter: Reporter
    ) -> None:
        names = [task.name for task in state.tasks]
        identity = json.dumps(
            [self.cell.run_configuration(), self.seed, self.here, digest, names, self.device.type],
            sort_keys=True,
        )
        path = self.folder / checkpoint.name(names[0] if self.cell.method == SINGLE_TASK else "all")
        if checkpoint.resume(path, state, identity, self.device):
            reporter.line(f"seed {self.seed}: goes on after epoch {state.epoch}")
            reporter.epochs(state.epoch)
        keep = checkpoint.keeper(path, identity, self.device, self.checkpoint_seconds)

        def after_epoch(state: State) -> None:
            keep(state)
            reporter.epochs(1)

        train(state, data, validation, self.recipe, after_epoch, test)

    def _look(self, name: str, split: Split) -> Metrics:
        """The one look at a split, such as test, with the weights of the epoch that validation chose."""
        found: Metrics = {}
        split = to_device(split, self.device)
        for state in self.states:
            state.model.load_state_dict(state.best_weights)
            try:
                found |= evaluate(state.model, split, state.tasks, self.recipe.precision)
            except Diverged as error:
                raise Diverged(f"on {name} with the weights of epoch {state.best_epoch}, {error}") from None
        return found

    def _record(self, status: str, reason: str | None, test: Metrics, data: str) -> dict[str, Any]:
        cell = self.cell
        method = self.states[0].method if self.states else method_of(cell, self.streams)
        count, single = len(self.dataset.tasks), cell.method == SINGLE_TASK
        count += 0 if single else len(cell.auxiliary.regularisers)
        best = {task.name: state.best_epoch for state in self.states for task in state.tasks if state.best_epoch}
        validation = {name: values for state in self.states for name, values in state.best_validation.items()}
        audit = None if single or not self.states else self.states[0]
        return {
            "benchmark": cell.benchmark,
            "dataset": cell.dataset,
            "dataset_parameters": cell.dataset_parameters,
            "architecture": cell.architecture_label,
            "track": cell.track,
            "setting": cell.setting,
            "method": cell.method,
            "method_parameters": cell.method_parameters,
            "tuned": cell.tuned,
            "trial": cell.trial,
            "label": cell.label,
            "seed": self.seed,
            "epochs": self.recipe.epochs,
            "status": status,
            "reason": reason,
            "best_epoch": next(iter(best.values())) if len(set(best.values())) == 1 and not single else None,
            "best_epochs": best,
            "validation": self._declared(validation),
            "test": self._declared(test),
            **self._of_training(),
            "paper": self._paper(),
            "metrics": {
                task.name: {
                    metric.name: {"higher_is_better": metric.higher_is_better, "unit": metric.unit}
                    for metric in task.metrics
                }
                for task in self.dataset.tasks
            },
            "audit": None
            if audit is None
            else audit.audit.summary(audit.method.zero_task_events, audit.method.stationary_events),
            "options": {} if single else method.options(),
            "backward_passes": count if single else method.cost(count),
            # How far the adapter has brought each network's step sizes from where they began.
            "step_size_scales": [s.step_size.scale for s in self.states if s.step_size is not None] or None,
            "recipe": asdict(self.recipe) | {"protocol_version": self.dataset.protocol.protocol_version},
            "configuration": cell.run_configuration(),
            "provenance": provenance.collect(
                torch_cpu_capability=torch.backends.cpu.get_cpu_capability(),
                device=device_name(self.device),
                cuda=torch.version.cuda if self.device.type == "cuda" else None,
                deterministic_algorithms=self.device.type == "cuda",
                threads=cell.threads,
                precision=cell.precision,
                data=data,
                code=self.here["code"],
            ),
        }

    def _of_training(self) -> dict[str, Any]:
        """What ``evaluate_training`` asks for: the metrics on training samples, and the size of what was trained.

        ``parameters``: all of the network at inference, those of its heads, and those dropped after training.
        """
        if not self.cell.evaluate_training or self.cell.trial is not None:
            return {}
        models = [state.model for state in self.states]
        auxiliary = sum(_size(model.auxiliary) for model in models if model.auxiliary is not None)
        parameters = {
            "network": sum(map(_size, models)) - auxiliary,
            "heads": sum(_size(model.heads) for model in models),
            "auxiliary": auxiliary,
        }
        return {"train": self._declared(self.trained), "parameters": parameters}

    def _paper(self) -> dict[str, Metrics] | None:
        found = paper_mode.summary([(state.tasks, state.tested) for state in self.states])
        return None if found is None else {name: self._declared(metrics) for name, metrics in found.items()}

    def _declared(self, found: Metrics) -> Metrics:
        """The metrics that the tasks declare, in their order, without the loss."""
        names = {task.name: [metric.name for metric in task.metrics] for task in self.dataset.tasks}
        return {task: {name: found[task][name] for name in names[task]} for task in names if task in found}


def _size(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _is_record(path: Path) -> bool:
    """Whether ``path`` looks like a ``run.json``, perhaps a cut one."""
    return path.read_bytes().lstrip()[:60].startswith(b'{\n "benchmark"')


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _done(cell: Cell, seed: int, folder: Path, here: dict[str, Any]) -> dict[str, Any] | None:
    """The record in ``folder`` if it is this run's, done, and made on the kind of device that is there now."""
    record = current(cell, seed, folder, here)
    # That a trial diverges says what its point is worth: there is nothing to try again.
    ended = ("done",) if cell.trial is None else ("done", "diverged")
    if record is None or record.get("status") not in ended:
        return None
    on_cpu = cell.device == "cpu" or not torch.cuda.is_available()
    return record if (record["provenance"].get("device") == "cpu") == on_cpu else None


def _sentence(record: dict[str, Any]) -> str:
    if record["status"] != "done":
        return f"{record['status']}: {record['reason']}"
    split = "test" if record["trial"] is None else "validation"
    main = {task: next(iter(metrics.items())) for task, metrics in record[split].items()}
    return f"done, {split} {', '.join(f'{task} {name} {value:.4g}' for task, (name, value) in main.items())}"
