"""Read the runs of a benchmark into tidy tables, and refuse what is cut, half-written or not a run.

Diverged and failed runs are results: they stay in every table, with their reason and without scores.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mtlbench import config, tuning
from mtlbench.analysis import csv_files, versions
from mtlbench.arena import GROUP, OUT_OF_THE_BOX, TUNED, Arena
from mtlbench.errors import CheckFailed, InputError, one_line
from mtlbench.files import digest

KEYS = [*GROUP, "label", "method", "seed"]
AUDIT = [
    "conflict_rate",
    "noise_floor",
    "excess_conflict",
    "update_conflict_rate",
    "predicted_rise_rate",
    "realised_rise_rate",
    "smallest_cosine",
    "worst_gap",
    "median_stationarity",
    "zero_task_events",
    "inner_solves",
    "inner_solves_outside",
]
CURVE_COLUMNS = ["epoch", "split", "task", "metric", "value"]
AUDIT_COLUMNS = [
    "step",
    "epoch",
    "conflict",
    "same_task_conflict",
    "cross_half_conflict",
    "relative_gap",
    "stationarity",
]


TRIAL_COLUMNS = [
    *GROUP,
    "label",
    "trial",
    "learning_rate",
    "weight_decay",
    "parameters",
    "seeds",
    "status",
    "score",
    "chosen",
    "edge",
]


class MetricInfo(BaseModel):
    """Direction and unit of one metric."""

    model_config = ConfigDict(frozen=True)
    higher_is_better: bool
    unit: str = ""


class Audit(BaseModel):
    """The summary of a run's audit; ``worst_gap`` is relative to min G_ii, ``None`` without an inner
    problem.
    """

    interval: int
    steps: int
    conflict_rate: float | None = None
    noise_floor: float | None = None
    excess_conflict: float | None = None
    update_conflict_rate: float | None = None
    predicted_rise_rate: float | None = None
    realised_rise_rate: float | None = None
    smallest_cosine: float | None = None
    worst_gap: float | None = None
    median_stationarity: float | None = None
    zero_task_events: int | None = None
    inner_solves: int | None = None
    inner_solves_outside: int | None = None


class Run(BaseModel):
    """One run file, checked; ``folder`` is where it lies."""

    folder: Path
    benchmark: str
    dataset: str
    dataset_parameters: dict[str, Any] = Field(default_factory=dict)
    architecture: str
    track: str = OUT_OF_THE_BOX
    setting: str = ""
    method: str
    label: str
    seed: int
    epochs: int
    status: Literal["done", "diverged", "failed"]
    reason: str | None = None
    best_epoch: int | None = None
    validation: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    test: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    train: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    parameters: dict[str, int] = Field(default_factory=dict)
    paper: dict[str, dict[str, dict[str, float | None]]] | None = None
    metrics: dict[str, dict[str, MetricInfo]] = Field(default_factory=dict)
    audit: Audit | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    backward_passes: float | None = None
    recipe: dict[str, Any] = Field(default_factory=dict)
    configuration: dict[str, Any] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict)

    @property
    def arena(self) -> Arena:
        """The leaderboard that it stands in."""
        return Arena(self.dataset, self.architecture, self.track, self.setting)

    @property
    def keys(self) -> dict[str, Any]:
        """What identifies the run in every table."""
        return {key: getattr(self, key) for key in KEYS}


def read(results: Path) -> list[Run]:
    """Every run under ``results/runs``, in the order of :data:`KEYS`.

    Raises :class:`~mtlbench.errors.InputError`, one sentence naming the file, when there is no run, when
    a file is cut off, half-written or not a run, when a run is there twice, when one dataset was run
    with two sets of parameters (such runs cannot be compared), or when versions are mixed
    (:func:`mtlbench.analysis.versions.check`).
    """
    if not results.is_dir():
        raise InputError(f"the results folder {results} does not exist")
    found = [_read_one(path) for path in _paths(results)]
    if not found:
        raise InputError(f"{results} holds no runs: no run.json lies under {results / 'runs'}")
    seen: dict[tuple[Any, ...], Run] = {}
    parameters: dict[tuple[str, str], Run] = {}
    for run in found:
        twin = seen.setdefault(tuple(run.keys.values()), run)
        if twin is not run:
            raise InputError(
                f"{run.folder / 'run.json'} and {twin.folder / 'run.json'} are the same run "
                f"({run.dataset}, {run.label}, seed {run.seed}): keep one"
            )
        first = parameters.setdefault((run.dataset, run.architecture), run)
        if first.dataset_parameters != run.dataset_parameters:
            raise InputError(
                f"{run.folder / 'run.json'}: {run.dataset} was run with the parameters "
                f"{run.dataset_parameters}, but with {first.dataset_parameters} in "
                f"{first.folder / 'run.json'}; such runs do not compare"
            )
    versions.check(found)
    return sorted(found, key=lambda run: tuple(run.keys.values()))


def _paths(results: Path) -> list[Path]:
    """The run files that the benchmark's ``config.json`` asks for, or all where there is none."""
    listed = config.listed_runs(results)
    if listed is None:
        return sorted((results / "runs").glob("**/run.json"))
    paths = [folder / "run.json" for folder in listed]
    missing = [path for path in paths if not path.is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise CheckFailed(f"{missing[0]}{more} is missing: run the pipeline again to train what is not there")
    return paths


def runs(results: Path) -> pd.DataFrame:
    """The tidy table of a benchmark's runs: :func:`table` of :func:`read`."""
    return table(read(results))


def table(records: Iterable[Run]) -> pd.DataFrame:
    """One row per (run, split, task, metric): :data:`KEYS`, split, task, metric, value, direction, unit,
    main, status, reason, the method's options, the audit's summary and the rate of the step size's adapter.

    Every run has a row for every metric of its dataset; the value is NaN where the run did not get that far. Beside
    the splits validation and test stand last_10_epochs and best_test_epoch where the benchmark ran in paper mode
    (see :mod:`mtlbench.training.paper_mode`), and train where it asked for ``evaluate_training``. ``main`` marks the
    first metric of each task, the one that ranks are taken on.
    """
    records = list(records)
    described: dict[tuple[str, ...], dict[str, dict[str, MetricInfo]]] = {}
    for run in records:
        # A setting may have tasks of its own.
        known = described.setdefault((run.dataset, run.architecture, run.setting), {})
        for task, metrics in run.metrics.items():
            known.setdefault(task, {}).update(metrics)
    rows = []
    for run in records:
        audit = run.audit.model_dump() if run.audit else {}
        common = {
            **run.keys,
            "status": run.status,
            "reason": run.reason,
            **{key: audit.get(key) for key in AUDIT},
            "options": run.options,
            "step_size_adapter": run.configuration.get("step_size_adapter", 0.0),
        }
        for task, metrics in described[run.dataset, run.architecture, run.setting].items():
            for position, (metric, info) in enumerate(metrics.items()):
                splits = {"validation": run.validation, "test": run.test} | (run.paper or {})
                splits |= {"train": run.train} if run.train else {}
                for split, scores in splits.items():
                    rows.append(
                        {
                            **common,
                            "split": split,
                            "task": task,
                            "metric": metric,
                            "value": scores.get(task, {}).get(metric) if run.status == "done" else None,
                            "higher_is_better": info.higher_is_better,
                            "unit": info.unit,
                            "main": position == 0,
                        }
                    )
    if not rows:
        raise InputError("no run states its metrics: every run failed before its dataset was loaded")
    return pd.DataFrame(rows).astype(dict.fromkeys(["value", *AUDIT], float))


def curves(records: Iterable[Run]) -> pd.DataFrame:
    """The learning curves of all runs: :data:`KEYS`, epoch, split, task, metric, value."""
    return _concatenate(records, "curves.csv", CURVE_COLUMNS)


def audits(records: Iterable[Run]) -> pd.DataFrame:
    """The audited steps of all runs: :data:`KEYS` and the columns of ``audit.csv``."""
    audited = [run for run in records if run.audit is not None]
    return _concatenate(audited, "audit.csv", AUDIT_COLUMNS)


def trials(results: Path) -> pd.DataFrame:
    """Every trial of the tuned track, one row each: :data:`TRIAL_COLUMNS`; empty where nothing was tuned.

    ``score`` is the scalar that trials are selected by (see :mod:`mtlbench.tuning`), NaN where a run of the trial
    did not end; ``parameters`` are the method's own, as JSON; ``edge`` names the numbers in which the selected trial
    is the extreme of all. Raises :class:`~mtlbench.errors.CheckFailed` naming a selection that is missing or cut.
    """
    listed = config.listed_cells(results)
    if listed is None:
        paths = sorted((results / tuning.FOLDER).glob(f"**/{tuning.SELECTION}"))
    else:
        tuned = [cell for cell in listed if cell.track == TUNED]
        paths = [results / tuning.FOLDER / cell.folder / tuning.SELECTION for cell in tuned]
    rows = []
    for path in paths:
        content = tuning.read(path)
        arena = {name: content[name] for name in (*GROUP, "label")}
        for trial in content["trials"]:
            own = {"parameters": json.dumps(trial["parameters"]), "edge": content["edge"] if trial["chosen"] else ""}
            rows.append(arena | trial | own)
    return pd.DataFrame(rows, columns=TRIAL_COLUMNS).astype({"score": float})


def _concatenate(records: Iterable[Run], name: str, columns: list[str]) -> pd.DataFrame:
    # A run that broke down may have left no curve; a finished one always has.
    found = [(run, run.folder / name) for run in records if run.status == "done" or (run.folder / name).exists()]
    if not found:
        return pd.DataFrame(columns=[*KEYS, *columns])
    whole = csv_files.read_all([path for _, path in found], columns)
    if whole is None:  # one of them is not as it should be: read them one by one, so that it is named
        frames = [csv_files.read(path, columns, key=columns[1]) for _, path in found]
        whole = pd.concat(frames, ignore_index=True), [len(frame) for frame in frames]
    table, lengths = whole
    keys = pd.DataFrame([run.keys for run, _ in found])
    return pd.concat([table, keys.loc[np.repeat(keys.index, lengths)].reset_index(drop=True)], axis=1)


def _read_one(path: Path) -> Run:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: {one_line(error)}") from None
    except ValueError as error:  # a character cut in the middle is one too
        raise CheckFailed(f"{path} is cut off or is not JSON: {one_line(error)}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a run of mtlbench: not a JSON object")
    if content.get("complete") is not True:
        raise CheckFailed(f"{path} is half-written or not a run of mtlbench: its mark of completeness is missing")
    try:
        run = Run.model_validate({**content, "folder": path.parent})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{path} is not a run of mtlbench: {place}: {one_line(first['msg'])}") from None
    for name, expected in content.get("files", {}).items():
        if not (path.parent / name).is_file():
            raise CheckFailed(f"{path.parent / name} is missing, but run.json beside it lists it")
        if digest(path.parent / name) != expected:
            raise CheckFailed(f"{path.parent / name} was changed: its sha256 is not the one in run.json beside it")
    scores = [run.test.get(task, {}).get(metric) for task, found in run.metrics.items() for metric in found]
    if run.status == "done" and (not scores or any(score is None or not math.isfinite(score) for score in scores)):
        raise CheckFailed(f"{path} says done, but a test score is missing or not a number")
    return run
