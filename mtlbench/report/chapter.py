"""The solver chapter: what the referee found, read from ``solvers/`` of the results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from mtlbench.analysis import csv_files
from mtlbench.errors import CheckFailed

RECORDED = ("collection", "recorded")
ACCURACY_COLUMNS = ["family", "size", "algorithm", "iterations", "converged", "relative_gap"]
INNER_COLUMNS = [
    *("dataset", "label", "problems", "worst_relative_gap"),
    *("worst_distance", "worst_moved_weight", "median_distance"),
]
TIMING_COLUMNS = ["algorithm", "family", "size", "median_us"]


def verdict(results: Path) -> dict[str, Any] | None:
    """``verdict.json``: passed, algorithms, families, environment; None where nothing was validated.

    Raises :class:`~mtlbench.errors.CheckFailed` when the file is cut or is not a verdict.
    """
    path = results / "solvers" / "verdict.json"
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckFailed(f"{path} is cut off or is not JSON: {error}") from None
    algorithms = content.get("algorithms") if isinstance(content, dict) else None
    whole = isinstance(algorithms, dict) and "passed" in content and all(map(_judged, algorithms.values()))
    if not whole:
        raise CheckFailed(f"{path} is not a verdict of mtlbench: it lacks 'passed' or 'algorithms'")
    return content


def _judged(result: Any) -> bool:
    """Whether an algorithm's part of the verdict has what the chapter shows."""
    keys = {"promise", "family", "checked", "broken", "worst", "detail"}
    entries = result.get("promises") if isinstance(result, dict) else None
    return isinstance(entries, list) and all(isinstance(entry, dict) and keys <= set(entry) for entry in entries)


def promises(found: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per algorithm and promise, families added up: checked, broken, the worst and where."""
    rows = []
    for algorithm, result in sorted(found["algorithms"].items()):
        entries = pd.DataFrame(result["promises"])
        if entries.empty:
            continue
        for promise, part in entries.groupby("promise", sort=False):
            # A multiple of None is an infinite one.
            severity = part["worst"].astype(float).fillna(float("inf"))
            worst = part.loc[severity.idxmax()]
            rows.append(
                {
                    "algorithm": algorithm,
                    "promise": promise,
                    "checked": int(part["checked"].sum()),
                    "broken": int(part["broken"].sum()),
                    "worst": float(severity.max()),
                    "family": worst["family"],
                    "details": [text for text in part["detail"] if text],
                }
            )
    return rows


def accuracy(results: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The accuracy of each algorithm on the problem families, and on Gramians recorded in training."""
    path = results / "solvers" / "accuracy.csv"
    if not path.exists():
        return [], []
    frame = csv_files.read(path, ACCURACY_COLUMNS, key="algorithm")
    recorded = frame["family"].isin(RECORDED)
    return _accuracy(frame[~recorded]), _accuracy(frame[recorded])


def afterwards(results: Path) -> list[dict[str, Any]]:
    """The weights of the runs beside those of ``exact``, a row per dataset and label, the worst over its seeds."""
    path = results / "solvers" / "inner_weights.csv"
    if not path.exists():
        return []
    frame = csv_files.read(path, INNER_COLUMNS, key="problems")
    keys = ["dataset", "label"]
    found = frame.groupby(keys, sort=True)[["worst_relative_gap", "worst_distance", "worst_moved_weight"]].max()
    found["median_distance"] = frame.groupby(keys)["median_distance"].median()
    found["problems"] = frame.groupby(keys)["problems"].sum()
    return found.reset_index().to_dict("records")


def timing(results: Path) -> pd.DataFrame | None:
    """Microseconds per solve: algorithms as rows, sizes K as columns; None where nothing was timed.

    Each entry is the median over the timed families of their median times.
    """
    path = results / "solvers" / "timing.csv"
    if not path.exists():
        return None
    frame = csv_files.read(path, TIMING_COLUMNS, key="algorithm")
    return frame.pivot_table(index="algorithm", columns="size", values="median_us", aggfunc="median")


def _accuracy(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows = []
    for algorithm, part in frame.groupby("algorithm", sort=True):
        gaps = part["relative_gap"]
        # A solver that gave no answer has no gap: that is worse than any gap.
        answered = gaps.dropna()
        converged = part["converged"].fillna(False).astype(bool)
        rows.append(
            {
                "algorithm": algorithm,
                "problems": len(part),
                "answered": len(answered),
                "converged": float(converged.mean()),
                "median_gap": float(answered.median()) if len(answered) else None,
                "worst_gap": float(answered.max()) if len(answered) else None,
                "worst_family": part.loc[answered.idxmax(), "family"] if len(answered) else "",
                "median_iterations": float(part["iterations"].median()),
            }
        )
    return rows
