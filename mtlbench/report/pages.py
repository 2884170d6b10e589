"""The pages inside the report: one per dataset and one per row of the leaderboards, each with an address of its own.

``#/dataset/multi_digits`` and ``#/method/mgda`` are ids of sections, so the links work without the page's script too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from mtlbench import methods, tasks
from mtlbench.analysis.leaderboard import SINGLE_TASK
from mtlbench.analysis.load import Run
from mtlbench.arena import GROUP, Arena, slug
from mtlbench.errors import InputError
from mtlbench.report import audits, formula, trials
from mtlbench.report.appendix import varying
from mtlbench.report.columns import Row, present
from mtlbench.report.literature import Beside, beside
from mtlbench.report.svg import inline, natural_width
from mtlbench.report.tables import Table, across_arenas, of_label

PER_ARENA = {
    "curves": "Learning curves",
    "conflict": "Conflict over training",
    "trials": "What more trials would have bought",
}
"""The pictures of one arena: the first part of their file names, and the titles."""


@dataclass(frozen=True)
class Figure:
    """A picture ready for the page."""

    name: str
    svg: Markup
    width: float | None


@dataclass(frozen=True)
class ArenaPart:
    """What the page of a dataset shows of one of its arenas."""

    arena: Arena
    summary: list[str]
    table: Table
    details: Table
    audit: Table
    figures: dict[str, Figure]

    @property
    def has_details(self) -> bool:
        """Whether some metric is not in the leaderboard's own table."""
        return not {column.name for column in self.details.columns} <= {column.name for column in self.table.columns}


@dataclass(frozen=True)
class DatasetPage:
    """A dataset: what it is, how the literature trains on it, and its arenas; ``beside``: an arena's title and what
    the literature reports beside its rows.
    """

    name: str
    about: dict[str, Any] | None
    metrics: list[dict[str, Any]]
    recipes: list[str]
    arenas: list[ArenaPart] = field(default_factory=list)
    beside: list[tuple[str, Beside]] = field(default_factory=list)


@dataclass(frozen=True)
class MethodPage:
    """A row of the leaderboards: what its method says and promises, and everything it did."""

    label: str
    about: dict[str, Any] | None
    text: Markup
    options: list[tuple[str, list[str]]]
    passes: list[tuple[str, float]]
    broken: list[Run]
    results: Table
    audit: Table
    trials: Table | None

    @property
    def summary(self) -> str:
        """One line."""
        if self.label == SINGLE_TASK:
            return "the reference: one network per task, trained alone"
        return self.about["summary"] if self.about else "(not installed here)"


def addresses(kind: str, names: Iterable[str]) -> dict[str, str]:
    """The id of every ``kind/name``, as ``/method/mgda-solver=frank_wolfe``; names that look alike are numbered."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(set(names)):
        base = address = f"/{kind}/{slug(name) or 'unnamed'}"
        number = 1
        while address in taken:
            number += 1
            address = f"{base}-{number}"
        taken.add(address)
        found[f"{kind}/{name}"] = address
    return found


def pictures(folder: Path) -> dict[str, Figure]:
    """Every picture in ``folder`` by its name."""
    found = {}
    for number, path in enumerate(sorted(folder.glob("*.svg"))):
        found[path.stem] = Figure(path.stem, inline(path, f"f{number}-", path.stem), natural_width(path))
    return found


def of_datasets(
    records: list[Run],
    described: pd.DataFrame,
    arenas: Mapping[Arena, ArenaPart],
    board: pd.DataFrame,
) -> list[DatasetPage]:
    """A page per dataset, its arenas in the leaderboard's order; ``board`` is the leaderboard with all metrics."""
    pages = {}
    for run in records:
        if run.dataset not in pages:
            own = described[described["dataset"] == run.dataset].drop_duplicates(["task", "metric"])
            about = _dataset(run.dataset, run.dataset_parameters)
            pages[run.dataset] = DatasetPage(run.dataset, about, own.to_dict("records"), _recipes(run.dataset, records))
    rows = {Arena.of(key): part.to_dict("records") for key, part in board.groupby(GROUP)}
    for arena, part in arenas.items():
        page = pages[arena.dataset]
        page.arenas.append(part)
        if page.about is not None:
            page.beside.extend((arena.title, found) for found in beside(page.about["reported"], rows[arena]))
    return [pages[name] for name in sorted(pages)]


def of_methods(records: list[Run], board: pd.DataFrame, tried: pd.DataFrame) -> list[MethodPage]:
    """A page per label, sorted; ``board`` is the leaderboard with costs."""
    runs: dict[str, list[Run]] = {}
    rows: dict[str, list[Row]] = {}
    for run in records:
        runs.setdefault(run.label, []).append(run)
    for row in board.sort_values(GROUP, kind="stable").to_dict("records"):
        rows.setdefault(row["label"], []).append(row)
    trials_of = dict(iter(tried.groupby("label")))
    return [_method(label, runs[label], rows.get(label, []), trials_of.get(label)) for label in sorted(runs)]


def _method(label: str, runs: list[Run], rows: list[Row], tried: pd.DataFrame | None) -> MethodPage:
    about, text = _about(runs[0].method)
    return MethodPage(
        label=label,
        about=about,
        text=text,
        options=varying((run.arena.title, _options(run)) for run in runs),
        passes=sorted({(run.dataset, run.backward_passes) for run in runs if run.backward_passes is not None}),
        broken=[run for run in runs if run.status != "done"],
        results=of_label(label, rows),
        audit=across_arenas(f"Audit of {label}", present(audits.COLUMNS, rows), rows),
        trials=None if tried is None else trials.of_label(label, tried),
    )


def _options(run: Run) -> dict[str, Any]:
    """What the run's method was run with; its seed is the run's."""
    rate = run.configuration.get("step_size_adapter")
    options = run.options | ({"step_size_adapter": rate} if rate else {})
    return {name: value for name, value in options.items() if name != "seed"}


def _about(name: str) -> tuple[dict[str, Any] | None, Markup]:
    """What a method says of itself, or None where the runs come from one that is not installed here."""
    if name == SINGLE_TASK or name not in methods.names():
        return None, Markup()
    method = methods.get(name)
    about = {
        "summary": method.summary,
        "source": method.source,
        "needs": method.needs.replace("_", " "),
        "level": method.level,
        "batches": method.batches,
        "inner_problem": method.inner_problem,
        "promises": _promises(method),
    }
    return about, formula.of(method)


def _promises(method: methods.Method) -> list[tuple[str, str]]:
    """The declared promises in words."""
    p = method.promises
    scale = "no such law" if p.common_scale is None else f"the weights scale with c to the power {p.common_scale:g}"
    answers = {
        "invariant": "u stays as it is",
        "direction": "u keeps its direction",
        "linear": "u is linear in the factors",
        "none": "no such law",
    }
    return [
        ("No task's loss rises to first order", "yes, whatever the gradients" if p.non_conflicting else "no"),
        ("All losses times c", "the weights stay as they are" if p.common_scale == 0 else scale),
        ("Each loss times its own c_i", answers[p.task_scale]),
        ("The order of the tasks does not matter", "yes" if p.permutation else "no"),
        ("Unique", "the weights" if p.unique == "weights" else "the direction u alone"),
    ]


def _dataset(name: str, parameters: dict[str, Any]) -> dict[str, Any] | None:
    """What a dataset says of itself; None where it is not installed here, or not with these parameters."""
    if tasks.file_name(name) not in tasks.names():
        return None
    try:
        dataset = tasks.get(name, **parameters)
    except (InputError, ValueError):
        return None
    return {
        "summary": dataset.summary,
        "protocol": asdict(dataset.protocol),
        "source": dataset.source,
        "reported": dataset.reported,
        "outputs": {task.name: task.outputs for task in dataset.tasks},
    }


def _recipes(name: str, records: list[Run]) -> list[str]:
    """How the runs were trained, each way once: ``10 epochs, seeds 0 to 9``."""
    found: dict[int, set[int]] = {}
    for run in records:
        if run.dataset == name:
            found.setdefault(run.epochs, set()).add(run.seed)
    return [
        f"{epochs} epochs, {len(seeds)} seed{'s' if len(seeds) > 1 else ''} ({', '.join(map(str, sorted(seeds)))})"
        for epochs, seeds in sorted(found.items())
    ]
