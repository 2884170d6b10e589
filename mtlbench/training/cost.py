"""Seconds and memory of one training step, measured apart from the training runs.

All cells of a dataset are made ready and warmed up, then their steps are taken in turns, so that a slow
moment of the machine hits every method alike. A step is what the training loop does: forward, gradients,
weights, update; no audit. For ``single_task`` it is one step of every task's own network.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from mtlbench import primary
from mtlbench.files import write_atomically
from mtlbench.sections import SINGLE_TASK, Cell
from mtlbench.tasks.dataset import Split
from mtlbench.training.devices import device_name, held
from mtlbench.training.loop import Recipe, State, epoch_batches, train_step
from mtlbench.training.runtime import session
from mtlbench.training.seeding import Streams
from mtlbench.training.start import load_data, new_state, recipe_of, task_groups, to_device

COLUMNS = (
    "dataset",
    "architecture",
    "setting",
    "method",
    "label",
    "seconds_per_step_median",
    "seconds_per_step_q25",
    "seconds_per_step_q75",
    "steps",
    "trunk_backward_passes",
    "peak_memory_mib",
    "peak_gpu_memory_mib",
    "device",
)


def measure(cells: Sequence[Cell], data_dir: Path | None, out: Path, *, steps: int = 30, warmup: int = 5) -> None:
    """Time ``steps`` steps of every cell after ``warmup`` untimed ones and write the table ``out``, a CSV.

    Seconds are wall-clock times with the device synchronised: median and quartiles. ``peak_memory_mib`` is the most
    memory of the host that a step holds beyond what was there before it (weights, optimizer state and data, no
    gradients), in MiB of 2**20 bytes, ``peak_gpu_memory_mib`` that of the GPU; ``trunk_backward_passes`` is counted
    from the method's declaration. Raises what training raises for wrong input.
    """
    lines: list[tuple[object, ...]] = []
    # A step costs the same in every track: once is enough.
    alike = {(cell.dataset, cell.architecture_label, cell.setting, cell.label): cell for cell in reversed(cells)}
    distinct = [cell for cell in cells if any(cell is kept for kept in alike.values())]
    for _, group in groupby(distinct, key=primary.data):
        lines += _measure_dataset(list(group), data_dir, steps, warmup)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(lines)
    write_atomically(out, text.getvalue())


class _Contestant:
    """The networks of one cell, and where their batches come from."""

    def __init__(self, states: list[State], data: Split, recipe: Recipe) -> None:
        self.states, self.recipe, self.device = states, recipe, data.inputs.device
        self._batches = [_endless(state, data, recipe) for state in states]

    def step(self) -> None:
        """One step of every network, the device's work included."""
        for state, batches in zip(self.states, self._batches, strict=True):
            train_step(state, next(batches), self.recipe)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self) -> float:
        """The duration of one step."""
        began = perf_counter()
        self.step()
        return perf_counter() - began


class Peak(NamedTuple):
    """The most memory that a step holds at one time, beyond what was there before it, in bytes; ``gpu`` 0 without
    one."""

    host: int
    gpu: int


def peak_memory(step: Callable[[], object], device: torch.device) -> Peak:
    """The :class:`Peak` of ``step()``; torch's tensors on the host, and on ``device`` where it is a GPU."""
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    with _silent(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        kept = step()
    del kept
    return Peak(_peak_of_trace(profiler), torch.cuda.max_memory_allocated(device) - before if on_gpu else 0)


@contextmanager
def _silent() -> Iterator[None]:
    """Keep from standard error the lines that the profiler writes past Python whenever it starts and stops."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _endless(state: State, data: Split, recipe: Recipe) -> Iterator[list[Split]]:
    while True:
        yield from epoch_batches(state, data, recipe)


def _peak_of_trace(profiler: profile) -> int:
    """The largest running sum of the host's allocations (positive) and releases (negative) in a profile, in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    host = [e for e in events if e["name"] == "[memory]" and e["args"].get("Device Type", 0) == 0]
    memory = sorted((e["ts"], i, e["args"]["Bytes"]) for i, e in enumerate(host))
    return max(0, int(np.cumsum([size for _, _, size in memory]).max(initial=0)))


def _measure_dataset(cells: list[Cell], data_dir: Path | None, steps: int, warmup: int) -> list[tuple[object, ...]]:
    first = cells[0]
    dataset = primary.dataset_of(first)
    streams = Streams(first.benchmark_seed, first.seeds[0])
    train_split = load_data(first, dataset, streams, data_dir).train
    with (
        held(first.device, first.cells_per_gpu) as device,
        session(device, first.threads, first.precision),
    ):
        data = to_device(train_split, device)
        contestants = []
        # A step takes as long at rate zero, where no method can leave the finite numbers.
        for cell in cells:
            groups = task_groups(cell, dataset)
            states = [
                new_state(cell, dataset, group, streams, device, train=train_split, audit=False) for group in groups
            ]
            for parameters in (group for state in states for group in state.optimizer.param_groups):
                parameters["lr"] = 0.0
            contestants.append(_Contestant(states, data, recipe_of(cell, dataset)))
        for contestant in contestants:
            for _ in range(warmup):
                contestant.step()
        seconds: list[list[float]] = [[] for _ in contestants]
        for turn in range(steps):
            # Rotated, so that nobody always runs in the wake of the same other method.
            for place in range(len(contestants)):
                index = (turn + place) % len(contestants)
                seconds[index].append(contestants[index].seconds())
        lines: list[tuple[object, ...]] = []
        for cell, contestant, times in zip(cells, contestants, seconds, strict=True):
            low, median, high = np.quantile(times, [0.25, 0.5, 0.75])
            count = primary.objectives(cell)
            passes = count if cell.method == SINGLE_TASK else contestant.states[0].method.cost(count)
            for state in contestant.states:
                state.optimizer.zero_grad(set_to_none=True)
            memory = peak_memory(contestant.step, device)
            names = (cell.dataset, cell.architecture_label, cell.setting, cell.method, cell.label)
            numbers = (
                *(f"{value:.6g}" for value in (median, low, high)),
                steps,
                passes,
                *(f"{size / 2**20:.2f}" for size in memory),
            )
            lines.append((*names, *numbers, device_name(device)))
        return lines
