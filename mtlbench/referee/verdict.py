"""The verdict: the parts of all algorithms put together.

``accuracy.csv`` (one row per problem and algorithm), ``traces.csv`` and ``verdict.json`` depend on the
problems only and come out byte by byte the same on the same machine; seconds are in ``traces.time.csv``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtlbench.errors import InputError
from mtlbench.files import write_atomically, write_json
from mtlbench.referee import problems
from mtlbench.referee.families import FAMILIES
from mtlbench.referee.problems import Problem
from mtlbench.solvers import min_norm

ACCURACY = (
    *("family", "size", "problem", "algorithm", "iterations", "converged"),
    *("relative_gap", "objective_error", "direction_distance"),
)
TRACES = ("family", "size", "algorithm", "iteration", "relative_gap", "objective_error", "bound")
TIMES = ("family", "size", "algorithm", "iteration", "seconds")

_RECORDED = {
    problems.COLLECTION: "Gramians of real training, from the collection that comes with mtlbench.",
    problems.RECORDED: "Gramians that training runs recorded.",
}


@dataclass(frozen=True)
class Verdict:
    """What ``verdict.json`` holds: per algorithm every promise, times checked and broken, the worst."""

    passed: bool
    algorithms: Mapping[str, Any]
    families: Mapping[str, Any]
    environment: Mapping[str, Any]

    def broken(self) -> list[str]:
        """One sentence per broken promise, the algorithm first."""
        return [
            f"{name}: {entry['promise']} ({entry['broken']} of {entry['checked']} broken): {entry['detail']}"
            for name, result in self.algorithms.items()
            for entry in result["promises"]
            if entry["broken"]
        ]

    def sentence(self) -> str:
        """The verdict in words: one line when every promise is kept, one more for each that is not."""
        checked = sum(entry["checked"] for result in self.algorithms.values() for entry in result["promises"])
        count = sum(family["problems"] for family in self.families.values())
        judged = f"{len(self.algorithms)} algorithms on {count} problems"
        if problems.RECORDED in self.families:
            judged += f" ({self.families[problems.RECORDED]['problems']} of them recorded in training)"
        notes = [f"{name}: {note}" for name, result in self.algorithms.items() for note in result.get("notes", ())]
        broken = self.broken()
        if not broken:
            return "\n".join([*notes, f"every promise is kept: {judged}, {checked} checks"])
        return "\n".join([*notes, f"{len(broken)} promises are broken: {judged}, {checked} checks", *broken])


def part(folder: Path, algorithm: str) -> Path:
    """Where the reproducible part of an algorithm's judgement lies."""
    return folder / "parts" / f"{algorithm}.json"


def time_part(folder: Path, algorithm: str) -> Path:
    """Where the seconds of an algorithm's traces lie."""
    return folder / "parts" / f"{algorithm}.time.json"


def merge(
    folder: Path,
    environment: Mapping[str, Any] | None = None,
    algorithms: Sequence[str] | None = None,
    packages: Sequence[str] = (),
) -> Verdict:
    """Put the parts of ``algorithms`` (default: all) in ``folder`` together and write the verdict's files
    there.

    ``packages`` promise nothing: they have rows in ``accuracy.csv`` and no place in the verdict.
    Raises :class:`~mtlbench.errors.InputError` where a part is missing, cut, or made on other problems.
    """
    names = tuple(algorithms or min_norm.ALGORITHMS)
    given = problems.load(folder)
    parts = {name: read(part(folder, name), given.digest) for name in (*names, *packages)}
    times = [read(time_part(folder, name), given.digest)["seconds"] for name in names]

    rows = [[row.get(column) for column in ACCURACY] for judged in parts.values() for row in judged["rows"]]
    write_atomically(folder / "accuracy.csv", _csv(ACCURACY, rows))
    write_atomically(folder / "traces.csv", _csv(TRACES, (row for name in names for row in parts[name]["traces"])))
    write_atomically(folder / "traces.time.csv", _csv(TIMES, (row for rows in times for row in rows)))

    judged = {
        name: {
            "passed": not any(entry["broken"] for entry in parts[name]["promises"]),
            "problems": len(parts[name]["rows"]),
            "promises": parts[name]["promises"],
            **({"notes": parts[name]["notes"]} if "notes" in parts[name] else {}),
        }
        for name in names
    }
    families = {name: _family(name, given.problems) for name in given.families}
    passed = all(result["passed"] for result in judged.values())
    verdict = Verdict(passed, judged, families, dict(environment or {}))
    write_json(
        folder / "verdict.json",
        {"passed": passed, "algorithms": judged, "families": families, "environment": verdict.environment},
    )
    return verdict


def _family(name: str, drawn: Sequence[Problem]) -> dict[str, Any]:
    own = [problem for problem in drawn if problem.family == name]
    summary = _RECORDED.get(name) or (FAMILIES[name].__doc__ or "").strip().splitlines()[0]
    return {"problems": len(own), "sizes": sorted({problem.size for problem in own}), "summary": summary}


def read(path: Path, source: str) -> dict[str, Any]:
    """The part at ``path``, made on the problems whose digest is ``source``; raises like :func:`merge`."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: judge {path.name.split('.')[0]!r} first") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON ({error}): judge the algorithm again") from None
    if content.get("problems") != source:
        raise InputError(f"{path} was made on other problems than {problems.FILE} holds: judge the algorithm again")
    return content


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table as CSV: numbers with 9 significant digits, an undefined or infinite value as an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([f"{value:.9g}" if isinstance(value, float) else value for value in row])
    return buffer.getvalue()
