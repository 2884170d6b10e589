"""Which method to try first: a page of sentences, each drawn from the numbers of one benchmark.

    python -m mtlbench.report.advice results/methods > docs/which-method.md

For every dataset the methods are sorted into those that cannot be told from the best one (the 95 % paired interval of
the difference of Delta-m does not exclude 0), and, among the others, those better than, like, and worse than equal
weighting.
Nothing on the page is an opinion, and nothing on it holds beyond the datasets it was measured on; it says so.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from mtlbench.analysis import load
from mtlbench.analysis.leaderboard import EQUAL, SINGLE_TASK, alike, leaderboard
from mtlbench.arena import GROUP, Arena
from mtlbench.errors import InputError
from mtlbench.report.format import with_interval
from mtlbench.report.tables import costs, spent_in


class Group(NamedTuple):
    """Methods that the numbers do not order among themselves."""

    title: str
    rows: list[dict[str, Any]]


def page(results: Path) -> Iterator[str]:
    """The lines of the page. Raises :class:`~mtlbench.errors.InputError` naming a file of ``results`` that is cut."""
    records = load.read(results)
    table = load.table(records)
    board, cost = leaderboard(table), costs(results)
    seeds = sorted({run.seed for run in records})
    yield "# Which method should I try first?"
    yield ""
    yield f"What the benchmark `{results.resolve().name}` measured, in words: {len(records)} runs, {len(seeds)} seeds."
    yield f"This page is written by `python -m mtlbench.report.advice results/{results.resolve().name}`; it holds"
    yield "for the datasets below, at their learning rates, and nowhere else. Δm is the mean relative change against"
    yield "single-task networks in percent, lower is better; ± is half the 95 % paired interval over seeds; the cost"
    yield "is the time of a step over that of equal weighting. Nothing is corrected for looking at many methods: of"
    yield "twenty that are like equal weighting, one looks better or worse by chance."
    for key, part in board.groupby(GROUP, sort=True):
        arena = Arena.of(key)
        own = arena.among(table)
        spent = spent_in(arena, cost)
        yield from _dataset(arena.title, part, own, None if spent is None else spent["seconds_per_step_median"])


def _dataset(name: str, board: pd.DataFrame, table: pd.DataFrame, seconds: pd.Series | None) -> Iterator[str]:
    yield ""
    yield f"## {name}"
    yield ""
    whole = board[(board["label"] != SINGLE_TASK) & (board["done"] == board["runs"]) & board["delta_m"].notna()]
    if whole.empty:
        yield "No method ran to its end with a single-task reference beside it: nothing can be said."
        return
    relative = {} if seconds is None or EQUAL not in seconds.index else (seconds / seconds[EQUAL]).to_dict()
    rows = [row | {"times": relative.get(row["label"])} for row in whole.sort_values("delta_m").to_dict("records")]
    best = rows[0]
    same, unknown = alike(table, best["label"], [row["label"] for row in rows])
    groups = _groups(rows, {best["label"], *same})
    first = groups[0].rows
    yield f"- Lowest Δm: `{best['label']}`, {_change(best)}."
    if len(first) > 1:
        others = ", ".join(f"`{row['label']}`" for row in first[1:])
        yield f"- Not to be told from it over these seeds: {others}."
    if unknown:
        alone = ", ".join(f"`{label}`" for label in unknown)
        yield f"- Fewer than two seeds in common with it, so there is no interval and nothing can be told: {alone}."
    timed = [row for row in first if row["times"]]
    if timed:
        cheapest = min(timed, key=lambda row: (round(row["times"], 1), row["delta_m"]))
        yield f"- The cheapest step among these: `{cheapest['label']}`, {cheapest['times']:.1f} x equal weighting."
    equal = next((row for row in rows if row["label"] == EQUAL), None)
    if equal is not None:
        worse = sum(row["delta_m_vs_equal"] > row["delta_m_vs_equal_half_width"] for row in rows)
        better = sum(row["delta_m_vs_equal"] < -row["delta_m_vs_equal_half_width"] for row in rows)
        yield (
            f"- Equal weighting: {_change(equal)}. Of the {len(rows) - 1} other methods {better} came out better, "
            f"{worse} worse, and {len(rows) - 1 - better - worse} cannot be told from it."
        )
    broken = board[(board["label"] != SINGLE_TASK) & (board["done"] < board["runs"])]
    if not broken.empty:
        yield "- Runs that diverged or failed: " + ", ".join(f"`{label}`" for label in broken["label"]) + "."
    yield ""
    yield "| | method | Δm (%) | Δm − equal (%) | cost |"
    yield "|---|---|--:|--:|--:|"
    for group in groups:
        for place, row in enumerate(group.rows):
            times = "–" if row["times"] is None else f"{row['times']:.1f}"
            against = with_interval(row["delta_m_vs_equal"], row["delta_m_vs_equal_half_width"])
            change = with_interval(row["delta_m"], row["delta_m_half_width"])
            yield f"| {'' if place else group.title} | `{row['label']}` | {change} | {against} | {times} |"


def _groups(rows: list[dict[str, Any]], like_the_best: set[str]) -> list[Group]:
    def group(row: dict[str, Any]) -> str:
        if row["label"] in like_the_best:
            return "like the best"
        mean, half = row["delta_m_vs_equal"], row["delta_m_vs_equal_half_width"]
        if row["label"] == EQUAL or not abs(mean) > half:
            return "like equal"
        return "better than equal" if mean < 0 else "worse than equal"

    titles = ("like the best", "better than equal", "like equal", "worse than equal")
    found = [Group(title, [row for row in rows if group(row) == title]) for title in titles]
    return [part for part in found if part.rows]


def _change(row: dict[str, Any]) -> str:
    return f"Δm {with_interval(row['delta_m'], row['delta_m_half_width'])} %"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("mtlbench: name the results: python -m mtlbench.report.advice results/methods")
    try:
        print("\n".join(page(Path(sys.argv[1]))))
    except InputError as error:
        print(f"mtlbench: {error}", file=sys.stderr)
        sys.exit(2)
