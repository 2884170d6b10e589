"""What a benchmark will run and cost, from a few measured steps of every cell, before anything runs.

The time of a run is

    load + steps · step + audits · (audited step − step) + epochs · validation + test

over all networks of the run; a cell adds the start of its process. Cells are dealt to the cores as they become free, in
the order of the file, as the pipeline does.
"""

from __future__ import annotations

import heapq
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import groupby
from math import ceil
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import psutil

from mtlbench import primary
from mtlbench.analysis import csv_files
from mtlbench.arena import Arena
from mtlbench.config import Benchmark, Cell
from mtlbench.errors import InputError
from mtlbench.report.format import duration, listing, plural
from mtlbench.report.tables import COST_COLUMNS, COST_GROUP
from mtlbench.runs import identity
from mtlbench.training import cost
from mtlbench.training.pace import CALLS, Pace, paces

ROW = [*COST_GROUP, "label"]
WARMUP = 2


class Forecast(NamedTuple):
    """One cell: its pace, what a step costs and where that is known from, and the seconds of all its runs."""

    cell: Cell
    pace: Pace
    step: float
    passes: int
    memory: float
    source: str
    seconds: float

    @property
    def trials(self) -> int:
        """The runs of the trials of a tuned row."""
        tuning = self.cell.tuning
        return tuning.trials * tuning.seeds if tuning else 0

    @property
    def runs(self) -> int:
        """All runs, those of trials among them."""
        return len(self.cell.seeds) + self.trials

    @property
    def steps(self) -> int:
        """The steps of all networks of all runs."""
        return self.runs * self.pace.networks * self.pace.epochs * self.pace.steps


def slots(benchmark: Benchmark, cores: int | None, gpus: int) -> int:
    """How many cells train at once: as many as there are cores for their threads, and room on the GPUs."""
    on_cores = max(1, (cores or os.cpu_count() or 1) // benchmark.threads)
    return min(on_cores, gpus * benchmark.cells_per_gpu) if gpus else on_cores


def measured(cells: Sequence[Cell], data_dir: Path | None, earlier: Path | None, steps: int) -> list[Forecast]:
    """Measure ``steps`` steps and a few evaluations of every cell; ``earlier``: a cost.csv that has some of them."""
    known = _earlier(earlier) if earlier else pd.DataFrame()
    found: list[Forecast] = []
    for (dataset, *_), part in groupby(cells, key=primary.data):
        group = list(part)
        new = [cell for cell in group if _row(cell) not in known.index]
        print(f"measuring {dataset}: {plural(len(group), 'cell')}, step times of {len(new)}", file=sys.stderr)
        start = _start(group[-1], data_dir)
        rows = pd.concat([known, _measure(new, data_dir, steps)]) if new else known
        for cell, pace in zip(group, paces(group, data_dir), strict=True):
            row = rows.loc[_row(cell)]
            step = float(row["seconds_per_step_median"])
            source = "measured now" if cell in new else str(earlier)
            passes, memory = int(row["trunk_backward_passes"]), float(row["peak_memory_mib"])
            line = Forecast(cell, pace, step, passes, memory, source, start)
            # A trial is not audited and never looks at the test split.
            trial = pace._replace(audited=0.0, test=0.0)
            own = len(cell.seeds) * _run(cell, pace, step) + line.trials * _run(cell, trial, step)
            found.append(line._replace(seconds=start + own))
    return found


def _start(cell: Cell, data_dir: Path | None) -> float:
    """The seconds that a cell's process takes beyond its warm runs.

    A process of its own comes up, loads the libraries and calls everything once that a run calls, which on the first
    call loads more; what the calls themselves take is not counted.
    """
    code = "import sys; from mtlbench.publication.plan import cold; cold(*sys.argv[1:])"
    command = [sys.executable, "-P", "-c", code, cell.model_dump_json(), *([str(data_dir)] if data_dir else [])]
    began = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return time.perf_counter() - began - float(done.stdout)


def cold(cell: str, data_dir: str | None = None) -> None:
    """Do once what a cell's process does, and print the seconds of the calls that were timed."""
    own = Cell.model_validate_json(cell)
    identity(own)
    (pace,) = paces([own], Path(data_dir) if data_dir else None)
    print(CALLS * (pace.validation + pace.test + pace.audited))


def _run(cell: Cell, pace: Pace, step: float) -> float:
    """The seconds of one run; ``step`` is one step of every network of the cell."""
    steps = pace.epochs * pace.steps
    audits = ceil(steps / cell.audit_interval) if pace.audited else 0
    extra = audits * max(0.0, pace.audited - step)
    return pace.load + steps * step + extra + pace.epochs * pace.validation + pace.test


def _measure(cells: list[Cell], data_dir: Path | None, steps: int) -> pd.DataFrame:
    with tempfile.TemporaryDirectory(prefix="mtlbench-plan-") as folder:
        out = Path(folder) / "cost.csv"
        cost.measure(cells, data_dir, out, steps=steps, warmup=WARMUP)
        return _table(out)


def _earlier(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"--cost {path} does not exist: give the cost.csv of an earlier run, or leave it out")
    table = _table(path)
    if (twice := table.index.duplicated()).any():
        raise InputError(f"--cost {path}: {', '.join(filter(None, table.index[twice][0]))} stands twice: keep one line")
    return table


def _table(path: Path) -> pd.DataFrame:
    frame = csv_files.read(path, [*COST_COLUMNS, "trunk_backward_passes"], key="peak_memory_mib")
    # pandas reads the empty setting of a benchmark with one only as a missing number.
    return frame.assign(setting=frame["setting"].astype(object).fillna("")).set_index(ROW).sort_index()


def _row(cell: Cell) -> tuple[str, ...]:
    return (cell.dataset, cell.architecture_label, cell.setting, cell.label)


def makespan(seconds: Sequence[float], slots: int) -> float:
    """When the last job ends, if each job goes to the slot that is free first."""
    free = [0.0] * slots
    for own in seconds:
        heapq.heappush(free, heapq.heappop(free) + own)
    return max(free)


def sentences(benchmark: Benchmark, lines: Sequence[Forecast], slots: int) -> list[str]:
    """The table of cells and what they come to."""
    rows = [
        {
            "arena": Arena(cell.dataset, cell.architecture_label, cell.track, cell.setting).title,
            "method": cell.label,
            "trials": line.trials,
            "runs": line.runs,
            "networks": line.runs * line.pace.networks,
            "steps": line.steps,
            "backward passes": line.runs * line.pace.epochs * line.pace.steps * line.passes,
            "step": duration(line.step),
            "evaluation": duration(line.pace.validation),
            "MiB": round(line.memory),
            "time": _time(line.seconds),
        }
        for line in lines
        for cell in [line.cell]
    ]
    frame = pd.DataFrame(rows)
    if not frame["trials"].any():
        frame = frame.drop(columns="trials")
    total = frame[["runs", "networks", "steps", "backward passes"]].sum()
    wall, alone = makespan([line.seconds for line in lines], slots), sum(line.seconds for line in lines)
    process, step = psutil.Process().memory_info().rss / 2**20, max(line.memory for line in lines)
    counts = [plural(len(lines), "cell"), *(f"{count:,} {name}" for name, count in total.items())]
    return [
        frame.to_string(index=False),
        "",
        f"{benchmark.name}: {listing(counts)}.",
        f"Training takes about {_time(wall)}, {plural(slots, 'cell')} at a time ({_time(alone)} one after the other), "
        "with evaluations, audits and the start of each process.",
        f"Memory: about {process:,.0f} MiB for a cell's process and {step:,.0f} MiB for a step on its device; "
        f"{(process + step) * slots:,.0f} MiB for {plural(slots, 'cell')}.",
        f"Step times: {listing(sorted({line.source for line in lines}))}; evaluations and audited steps: measured now.",
        "Not in it: the validation of the solvers, the timing for cost.csv, the report.",
    ]


def _time(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
