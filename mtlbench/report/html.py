"""``report.html``: one file that opens offline, with everything a reader needs to judge the benchmark."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mtlbench.analysis import load
from mtlbench.analysis.leaderboard import is_ranked, metrics
from mtlbench.analysis.load import Run
from mtlbench.analysis.overall import overall
from mtlbench.arena import GROUP, Arena
from mtlbench.files import write_atomically
from mtlbench.report import appendix, audits, chapter, comparison, pages, story, study, summary, together, trials
from mtlbench.report.leaderboard import FOOT
from mtlbench.report.tables import MANY_TASKS, costs, details, tables, with_costs
from mtlbench.report.template import render

TITLES = {
    "solvers_gap": "Duality gap against iterations",
    "solvers_bound": "Distance from the optimum against iterations, with the theory's bounds",
    "solvers_time": "Duality gap against time",
    "profile": "Profile of the times of one solve: the share of problems solved within τ times the fastest's time",
}
OWN = {"leaderboard", "toy", "atlas", "story", "study", comparison.PROFILE, comparison.RANKS}


def write(results: Path, records: list[Run], table: pd.DataFrame, board: pd.DataFrame, curves: pd.DataFrame) -> Path:
    """Write ``report.html`` from runs, leaderboard, ``cost.csv``, ``solvers/`` and the SVGs in ``plots/``.

    ``board`` is the leaderboard with all metrics, ``curves`` the learning curves of the runs.
    """
    tried = load.trials(results)
    board = with_costs(board, costs(results), (table, curves))
    edges = trials.edges(tried)
    found = chapter.verdict(results)
    families, recorded = chapter.accuracy(results)
    pictures = pages.pictures(results / "plots")
    said = summary.sentences(table, board, edges)
    shown = tables(table, board, edges)
    own = zip(said, shown, details(table, board), audits.tables(board), strict=True)
    arenas = {
        t.arena: pages.ArenaPart(t.arena, sentences, t, detail, audit, _of_arena(t.arena, pictures))
        for (_, sentences), t, detail, audit in own
        if t.arena is not None
    }
    page = render(
        "report.html.j2",
        benchmark=results.resolve().name,
        across=summary.across(board),
        summary=said,
        ranked=is_ranked(board),
        overall=together.tables(overall(table)) if is_ranked(board) else [],
        arenas=list(arenas.values()),
        datasets=pages.of_datasets(records, metrics(table), arenas, board),
        methods=pages.of_methods(records, board, tried),
        addresses=pages.addresses("method", board["label"]) | pages.addresses("dataset", board["dataset"]),
        foot=FOOT,
        pictures=pictures,
        solver_pictures=_solver_pictures(pictures),
        titles=TITLES,
        arena_titles=pages.PER_ARENA,
        story=story.PANELS,
        verdict=found,
        promises=chapter.promises(found) if found else [],
        accuracy=families,
        recorded=recorded,
        study=study.chapter(results),
        afterwards=chapter.afterwards(results),
        timing=chapter.timing(results),
        broken=[run for run in records if run.status != "done"],
        many_tasks=MANY_TASKS,
        facts=appendix.facts(records),
        provenance=appendix.provenance(records),
        configuration=appendix.configuration(results),
        counts=appendix.counts(records) | {"arenas": board.groupby(GROUP).ngroups},
    )
    path = results / "report.html"
    write_atomically(path, page)
    return path


def _of_arena(arena: Arena, pictures: dict[str, pages.Figure]) -> dict[str, pages.Figure]:
    """The pictures of an arena by what they show."""
    names = {kind: f"{kind}-{arena.slug}" for kind in pages.PER_ARENA}
    return {kind: pictures[name] for kind, name in names.items() if name in pictures}


def _solver_pictures(pictures: dict[str, pages.Figure]) -> list[pages.Figure]:
    """Whatever lies in ``plots/`` that no other chapter shows was drawn by the referee."""
    parts = tuple(f"{kind}-" for kind in pages.PER_ARENA)
    return [figure for name, figure in pictures.items() if name not in OWN and not name.startswith(parts)]
