"""The tuned track: every row of a table gets the same number of trials, drawn alike, and keeps its best one.

    trials      n points (learning rate, weight decay, the method's own ``search`` parameters) of a scrambled Halton
                sequence; trial t has the same learning rate and weight decay for every method
    selection   the smallest validation Delta-m against single-task networks, the mean over the trial's seeds
    report      fresh seeds with the selected point: trials are trained under seeds from :data:`FIRST_SEED` on, which no
                benchmark reports, and never look at the test split

Delta-m of a trial is taken against the selected trial of ``single_task`` under the same seeds; the trials of
``single_task`` itself against their own median, metric by metric, which only says how its tasks are weighed against
each other. A trial that diverged or failed is never selected, unless there is no other. Where no score is defined,
because the reference has none, the first trial that ended is. See ``docs/tuning.md``.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import qmc

from mtlbench import methods, primary, runs
from mtlbench.analysis.statistics import change
from mtlbench.arena import TUNED
from mtlbench.errors import CheckFailed, InputError
from mtlbench.files import digest, write_json
from mtlbench.search import Log, Range
from mtlbench.sections import SINGLE_TASK, Cell, TuningSection

FIRST_SEED = 10_000
FOLDER = "trials"
SELECTION = "selection.json"
SCALAR = "validation Δm against single-task networks in percent, mean over the trial's seeds; lower is better"


def trial_cells(cell: Cell) -> list[Cell]:
    """The trials of a cell of the tuned track, in the order of the sequence."""
    tuning = _tuning(cell)
    points = draw(cell, primary.objectives(cell))
    seeds = tuple(range(FIRST_SEED, FIRST_SEED + tuning.seeds))
    # Only reported runs are audited. A trial is its point and its seeds: more trials leave the first ones as they are.
    common = {"seeds": seeds, "audit_interval": 0, "paper_mode": False, "tuning": None}
    return [cell.model_copy(update=point | common | {"trial": number}) for number, point in enumerate(points)]


def draw(cell: Cell, count: int) -> list[dict[str, Any]]:
    """The points of all trials for ``count`` tasks: learning_rate, weight_decay and ``tuned``, the method's own.

    The first two coordinates of a Halton sequence do not depend on how many follow: methods are paired in them. A
    parameter that the benchmark file gives to the method, or a weight decay that it compares, is not drawn.
    """
    tuning = _tuning(cell)
    own = {} if cell.method == SINGLE_TASK else methods.get(cell.method, **cell.method_parameters).search
    own = {name: found for name, found in own.items() if name not in cell.method_parameters}
    sizes = {name: found.dimensions(count) for name, found in own.items()}
    sequence = qmc.Halton(d=2 + sum(sizes.values()), scramble=True, rng=np.random.default_rng(cell.benchmark_seed))
    points = []
    for uniform in sequence.random(tuning.trials).tolist():
        rate, decay, rest = uniform[:1], uniform[1:2], uniform[2:]
        tuned = {}
        for name, found in own.items():
            tuned[name], rest = found.at(rest[: sizes[name]], count), rest[sizes[name] :]
        points.append(
            {
                "learning_rate": _between(tuning.learning_rate).at(rate, count),
                "weight_decay": _between(tuning.weight_decay).at(decay, count)
                if cell.weight_decay is None
                else cell.weight_decay,
                "tuned": tuned,
            }
        )
    return points


def select(cell: Cell, results: Path) -> Cell:
    """Compare the trials of ``cell``, keep the comparison as ``selection.json``, and return the cell to report.

    Raises :class:`~mtlbench.errors.CheckFailed` when a trial, or the selection of ``single_task``, is not there.
    """
    trials = trial_cells(cell)
    records = [_records(trial, results) for trial in trials]
    scores = _scores(cell, records, results)
    status = [_status(own) for own in records]
    best = min(range(len(trials)), key=lambda number: (status[number] != "done", scores[number], number))
    rows = [
        {
            "trial": number,
            "learning_rate": trial.learning_rate,
            "weight_decay": trial.weight_decay,
            "parameters": trial.tuned,
            "seeds": len(trial.seeds),
            "status": status[number],
            "score": scores[number] if math.isfinite(scores[number]) else None,
            "chosen": number == best,
        }
        for number, trial in enumerate(trials)
    ]
    arena = {name: getattr(cell, name) for name in ("dataset", "track", "setting", "label")}
    arena["architecture"] = cell.architecture_label
    edge = _edge(rows, best) if math.isfinite(scores[best]) else ""
    scalar = SCALAR if cell.primary is None else f"{SCALAR}; of the task {cell.primary} alone"
    content = arena | {"scalar": scalar, "edge": edge, "trials": rows, "runs": _vouched(cell, results)}
    write_json(results / FOLDER / cell.folder / SELECTION, content)
    return _reported(cell, trials[best])


def selected(cell: Cell, results: Path) -> Cell | None:
    """The cell to report, as :func:`select` found it; None where there is no selection of the present trials."""
    best = _best(cell, results)
    return None if best is None else _reported(cell, best)


def failed(cell: Cell, results: Path) -> bool:
    """Whether a trial crashed, by the selection that is there: it is tried again, and the selection made again."""
    return any(row["status"] == "failed" for row in read(results / FOLDER / cell.folder / SELECTION)["trials"])


def read(path: Path) -> dict[str, Any]:
    """The content of a ``selection.json``; raises :class:`~mtlbench.errors.CheckFailed` where it is missing or cut."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if any(row["chosen"] for row in content["trials"]) and isinstance(content["runs"], dict):
            return content
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise CheckFailed(f"{path} is missing, cut off or not a selection: run the pipeline again")


def reference(cell: Cell) -> Cell:
    """The cell of the single-task networks that the trials of ``cell`` are measured against."""
    return cell.model_copy(update={"method": SINGLE_TASK, "method_parameters": {}})


def _best(cell: Cell, results: Path) -> Cell | None:
    """The trial that was selected among those that lie there now."""
    try:
        content = read(results / FOLDER / cell.folder / SELECTION)
        if content["runs"] != _vouched(cell, results):
            return None
    except CheckFailed:
        return None
    return trial_cells(cell)[next(row["trial"] for row in content["trials"] if row["chosen"])]


def _tuning(cell: Cell) -> TuningSection:
    if cell.track != TUNED or cell.tuning is None:
        raise InputError(f"{cell.dataset}, {cell.label}: only a cell of the tuned track has trials")
    return cell.tuning


def _reported(cell: Cell, trial: Cell) -> Cell:
    chosen = ("learning_rate", "weight_decay", "tuned")
    return cell.model_copy(update={name: getattr(trial, name) for name in chosen} | {"trial": None})


def _between(bounds: tuple[float, float]) -> Range:
    return Log(*bounds)


def _records(trial: Cell, results: Path) -> list[dict[str, Any]]:
    """The records of one trial, one per seed."""
    here = runs.identity(trial)
    found = []
    for seed in trial.seeds:
        folder = results / FOLDER / trial.folder / f"seed-{seed}"
        record = runs.current(trial, seed, folder, here)
        if record is None:
            raise CheckFailed(f"{folder / runs.RUN} is missing or not of this benchmark: run the pipeline again")
        found.append(record)
    return found


def _vouched(cell: Cell, results: Path) -> dict[str, str]:
    """The digests of all that a selection was made of: the trials' records, and the selection of ``single_task``."""
    paths = [results / FOLDER / t.folder / f"seed-{seed}" / runs.RUN for t in trial_cells(cell) for seed in t.seeds]
    if cell.method != SINGLE_TASK:
        paths.append(results / FOLDER / reference(cell).folder / SELECTION)
    try:
        return {path.relative_to(results).as_posix(): digest(path) for path in paths}
    except FileNotFoundError as error:
        raise CheckFailed(f"{error.filename} is missing: run the pipeline again") from None


def _status(records: list[dict[str, Any]]) -> str:
    """What happened to a trial: the worst of its seeds."""
    found = {record["status"] for record in records}
    return next(status for status in ("failed", "diverged", "done") if status in found)


def _scores(cell: Cell, records: list[list[dict[str, Any]]], results: Path) -> list[float]:
    """The selection scalar of every trial; infinite where it is not defined."""
    done = {number: _wide(own) for number, own in enumerate(records) if _status(own) == "done"}
    if not done:
        return [math.inf] * len(records)
    if cell.method == SINGLE_TASK:
        base = pd.concat(done.values()).groupby(level="seed").median()
    else:
        single = _best(reference(cell), results)
        if single is None:
            raise CheckFailed(f"{results}: the trials of {reference(cell).folder} are not done: run the pipeline again")
        its = _records(single, results)
        if _status(its) != "done":
            return [math.inf] * len(records)
        base = _wide(its)
    any_record = next(own[0] for own in records if _status(own) == "done")
    higher = pd.Series(
        {
            (task, metric): about["higher_is_better"]
            for task, metrics in any_record["metrics"].items()
            for metric, about in metrics.items()
        }
    )
    scores = {number: float(change(own, base, higher).mean()) for number, own in done.items()}
    return [value if math.isfinite(value := scores.get(n, math.inf)) else math.inf for n in range(len(records))]


def _wide(records: list[dict[str, Any]]) -> pd.DataFrame:
    """The validation metrics of some runs, of the primary task alone where there is one: seeds by (task, metric)."""
    rows = {
        record["seed"]: {
            (task, metric): value
            for task, metrics in record["validation"].items()
            if task == record["configuration"].get("primary", task)
            for metric, value in metrics.items()
        }
        for record in records
    }
    frame = pd.DataFrame.from_dict(rows, orient="index").sort_index(axis=1)
    frame.columns = pd.MultiIndex.from_tuples(list(frame.columns), names=["task", "metric"])
    return frame.rename_axis("seed").astype(float)


def _edge(rows: list[dict[str, Any]], best: int) -> str:
    """The drawn numbers in which the best trial is the extreme one: the optimum may lie beyond all that was tried."""
    drawn = [
        {"learning_rate": row["learning_rate"], "weight_decay": row["weight_decay"]} | row["parameters"] for row in rows
    ]
    found = []
    for name, value in drawn[best].items():
        values = [point[name] for point in drawn]
        if isinstance(value, float) and len(set(values)) > 1 and value in (min(values), max(values)):
            found.append(f"{name} {'low' if value == min(values) else 'high'}")
    return ", ".join(found)
