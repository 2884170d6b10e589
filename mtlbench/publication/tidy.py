"""The documented table of numbers from elsewhere: read in full, or refused in one sentence with its line."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pandas as pd

from mtlbench.arena import GROUP, OUT_OF_THE_BOX
from mtlbench.errors import InputError, unknown_name

REQUIRED = ["dataset", "method", "seed", "task", "metric", "value"]
OPTIONAL = {"architecture": "hard_sharing", "track": OUT_OF_THE_BOX, "setting": "", "status": "done"}
STATUSES = ("done", "diverged", "failed")


def read(path: Path, described: pd.DataFrame) -> pd.DataFrame:
    """The table at ``path``: GROUP, method, seed, task, metric, value, status, and ``whole``.

    ``described``: the metrics of our arenas (:func:`mtlbench.analysis.leaderboard.metrics`), which say what may stand
    in the table. ``whole``: the seed has a value for every metric of the arena. Raises
    :class:`~mtlbench.errors.InputError`.
    """
    frame = _frame(path)
    for column in frame.columns:
        if column not in (*REQUIRED, *OPTIONAL):
            raise unknown_name("column", column, [*REQUIRED, *OPTIONAL], str(path))
    for column in REQUIRED:
        if column not in frame.columns:
            raise InputError(f"{path} lacks the column {column!r}: a table has {', '.join(REQUIRED)}")
    for column, default in OPTIONAL.items():
        frame[column] = frame[column].replace("", default) if column in frame.columns else default
    for index, row in frame.iterrows():
        _check(row, described, f"{path}, line {index}")
    frame["seed"] = frame["seed"].astype(int)
    frame["value"] = frame["value"].map(_number).where(frame["status"] == "done")
    key = [*GROUP, "method", "seed"]
    if (again := frame.duplicated([*key, "task", "metric"])).any():
        row = frame[again].iloc[0]
        raise InputError(f"{path}, line {again.idxmax()}: {_said(row)} is given twice")
    _check_seeds(frame, path)
    asked = described.groupby(GROUP).size().rename("asked")
    given = frame[frame["value"].notna()].groupby(key).size().rename("given")
    frame = frame.join(given, on=key).join(asked, on=GROUP)
    return frame.assign(whole=frame["given"] == frame["asked"]).drop(columns=["given", "asked"])


def _frame(path: Path) -> pd.DataFrame:
    """The file as text, nothing guessed about it, and the number of each line as the index."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, skipinitialspace=True, strict=True)
            head = next(reader, [])
            lines = [(reader.line_num, fields) for fields in reader if fields]
    except FileNotFoundError:
        raise InputError(f"the table {path} does not exist") from None
    except (OSError, UnicodeError, csv.Error) as error:
        raise InputError(f"{path} is not a readable CSV file: {error}") from None
    if twice := [name for name in head if head.count(name) > 1]:
        raise InputError(f"{path}: the column {twice[0]!r} stands twice")
    for line, fields in lines:
        if len(fields) != len(head):
            raise InputError(f"{path}, line {line}: {len(fields)} fields, but the head names {len(head)} columns")
    if not lines:
        raise InputError(f"{path} holds no rows")
    return pd.DataFrame.from_dict(dict(lines), orient="index", columns=head)


def _check(row: pd.Series, described: pd.DataFrame, where: str) -> None:
    """One row: its arena, task and metric are ours, its numbers are numbers."""
    found = described
    for column in (*GROUP, "task", "metric"):
        valid = found[column].unique()
        if row[column] not in valid:
            raise unknown_name(column, row[column], map(str, valid), where)
        found = found[found[column] == row[column]]
    if not row["method"].strip() or not row["method"].isprintable():
        raise InputError(f"{where}: the method is {row['method']!r}, which is no name")
    if not (row["seed"].isascii() and row["seed"].isdecimal() and len(row["seed"]) < 19):
        raise InputError(f"{where}: seed is {row['seed']!r}, but must be a whole number that is not negative")
    if row["status"] not in STATUSES:
        raise unknown_name("status", row["status"], STATUSES, where)
    if row["status"] == "done" and not math.isfinite(_number(row["value"])):
        raise InputError(f"{where}: value is {row['value']!r}, but must be a finite number where the run is done")


def _check_seeds(frame: pd.DataFrame, path: Path) -> None:
    """Every seed of a method is one run, which ended in one way, and all that are done have the same metrics.

    A mean over some seeds here and others there compares nothing.
    """
    for (*arena, method, seed), statuses in frame.groupby([*GROUP, "method", "seed"])["status"]:
        if statuses.nunique() > 1:
            raise InputError(
                f"{path}: {arena[0]}, {method}: seed {seed} is {' and '.join(statuses.unique())}: choose one"
            )
    for (*arena, method), rows in frame[frame["status"] == "done"].groupby([*GROUP, "method"]):
        seeds = sorted(rows["seed"].unique())
        for (task, metric), part in rows.groupby(["task", "metric"]):
            if missing := sorted(set(seeds) - set(part["seed"])):
                raise InputError(
                    f"{path}: {arena[0]}, {method}: seed {missing[0]} has no {task} {metric}, "
                    f"but seed {part['seed'].iloc[0]} has: give every seed the same metrics"
                )


def _number(text: str) -> float:
    """The number that ``text`` writes, NaN where it writes none; 1_000 is one to Python alone."""
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


def _said(row: pd.Series) -> str:
    return f"{row['dataset']}, {row['method']}, seed {row['seed']}, {row['task']} {row['metric']}"
