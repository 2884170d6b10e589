"""``report.html``: one file that opens offline, with everything a reader needs to judge the benchmark."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from mtlbench import methods
from mtlbench.analysis.leaderboard import SINGLE_TASK, leaderboard
from mtlbench.analysis.load import Run
from mtlbench.errors import InputError
from mtlbench.files import write_atomically
from mtlbench.report import audits, chapter, story, study, summary, together
from mtlbench.report.leaderboard import FOOT
from mtlbench.report.svg import inline, natural_width
from mtlbench.report.tables import costs, tables
from mtlbench.report.template import render

# The pictures of this report; whatever else lies in plots/ was drawn by the referee.
OWN = ("leaderboard", "curves-", "conflict-", "toy", "atlas", "story", "study")
TITLES = {
    "solvers_gap": "Duality gap against iterations",
    "solvers_bound": "Distance from the optimum against iterations, with the theory's bounds",
    "solvers_time": "Duality gap against time",
    "profile": "Profile of the times of one solve: the share of problems solved within τ times the fastest's time",
}


@dataclass(frozen=True)
class Figure:
    """A picture ready for the page."""

    name: str
    title: str
    svg: Markup
    width: float | None


def write(results: Path, records: list[Run], table: pd.DataFrame, board: pd.DataFrame) -> Path:
    """Write ``report.html`` from runs, leaderboard, ``cost.csv``, ``solvers/`` and the SVGs in ``plots/``."""
    cost = costs(results)
    found = chapter.verdict(results)
    families, recorded = chapter.accuracy(results)
    timing = chapter.timing(results)
    figures = _figures(results / "plots")
    page = render(
        "report.html.j2",
        benchmark=results.resolve().name,
        summary=summary.sentences(table, board),
        overall=together.tables(table),
        tables=tables(table, board, cost),
        audits=audits.tables(board),
        details=tables(table, leaderboard(table, all_metrics=True), None),
        foot=FOOT,
        figures=figures,
        story=story.PANELS,
        verdict=found,
        promises=chapter.promises(found) if found else [],
        accuracy=families,
        recorded=recorded,
        study=study.chapter(results),
        afterwards=chapter.afterwards(results),
        timing=timing,
        broken=[run for run in records if run.status != "done"],
        methods=_methods(records),
        facts=_facts(records),
        provenance=_provenance(records),
        configuration=_configuration(results),
        counts=_counts(records),
    )
    path = results / "report.html"
    write_atomically(path, page)
    return path


def _figures(folder: Path) -> dict[str, list[Figure]]:
    """The pictures by chapter, each chapter sorted by file name."""
    chapters: dict[str, list[Figure]] = {name: [] for name in (*OWN, "solvers")}
    for number, path in enumerate(sorted(folder.glob("*.svg"))):
        name = next(
            (own for own in OWN if path.stem == own or (own.endswith("-") and path.stem.startswith(own))),
            "solvers",
        )
        title = TITLES.get(path.stem) or path.stem.removeprefix(name if name.endswith("-") else "")
        title = title.removesuffix("-hard_sharing")
        svg = inline(path, f"f{number}-", title)
        chapters[name].append(Figure(path.stem, title, svg, natural_width(path)))
    return chapters


def _methods(records: Iterable[Run]) -> list[dict[str, Any]]:
    """Every label: what its method says of itself, the options it ran with, what it needs and costs."""
    rows: dict[str, dict[str, Any]] = {}
    for run in records:
        row = rows.setdefault(run.label, {"label": run.label, "options": {}, "passes": set(), "about": None})
        row["options"] |= run.options
        if rate := run.configuration.get("step_size_adapter"):
            row["options"]["step_size_adapter"] = rate
        if run.backward_passes is not None:
            row["passes"].add((run.dataset, run.backward_passes))
        if row["about"] is None and run.method != SINGLE_TASK:
            row["about"] = _about(run.method)
    for row in rows.values():
        row["passes"] = sorted(row["passes"])
    return [rows[label] for label in sorted(rows)]


def _about(name: str) -> dict[str, str] | None:
    """What a method says of itself, or None where the runs come from one that is not installed here."""
    if name not in methods.names():
        return None
    method = methods.get(name)
    needs = method.needs.replace("_", " ")
    return {"summary": method.summary, "source": method.source, "needs": needs, "level": method.level}


def _facts(records: list[Run]) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """What was recorded with the runs, a row per fact: its value, or its values and the datasets of each."""
    sections = []
    for title, attribute in (
        ("Software and hardware", "provenance"),
        ("Configuration of the cells", "configuration"),
    ):
        values: dict[str, dict[str, set[str]]] = {}
        for run in records:
            for key, value in _flat(getattr(run, attribute)):
                values.setdefault(key, {}).setdefault(value, set()).add(run.dataset)
        rows = []
        for key, having in sorted(values.items()):
            several = [f"{value} ({', '.join(sorted(where))})" for value, where in sorted(having.items())]
            rows.append((key, list(having) if len(having) == 1 else several))
        sections.append((title, rows))
    return sections


def _flat(value: Any, prefix: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _provenance(records: list[Run]) -> dict[str, Any]:
    """Commits, the dirty flag and when the runs were made."""
    commits = sorted({str(run.provenance.get("commit")) for run in records if run.provenance.get("commit")})
    started = sorted(time for run in records if (time := _started(run.folder / "run.time.json")))
    return {
        "commits": commits,
        "dirty": any(run.provenance.get("dirty") for run in records),
        "first": started[0] if started else None,
        "last": started[-1] if started else None,
    }


def _started(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        started = json.loads(path.read_text(encoding="utf-8"))["started"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is cut off or does not say when the run started: {error}") from None
    return str(started)


def _configuration(results: Path) -> str | None:
    """The benchmark's configuration as the pipeline kept it."""
    path = results / "config.json"
    return path.read_text(encoding="utf-8") if path.exists() else None


def _counts(records: list[Run]) -> dict[str, int]:
    return {
        "runs": len(records),
        "seeds": len({run.seed for run in records}),
        "datasets": len({run.dataset for run in records}),
        "methods": len({run.label for run in records} - {SINGLE_TASK}),
    }
