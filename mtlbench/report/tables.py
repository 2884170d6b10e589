"""The leaderboard as a table for readers: the same columns for Markdown, LaTeX and HTML."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mtlbench.analysis.leaderboard import EQUAL, SINGLE_TASK, metrics
from mtlbench.analysis.load import csv
from mtlbench.arena import GROUP, Arena
from mtlbench.atlas import End, joined
from mtlbench.report.format import NOTHING, duration, number, with_interval

COST_GROUP = ["dataset", "architecture", "setting"]
COST_COLUMNS = [*COST_GROUP, "label", "seconds_per_step_median", "peak_memory_mib"]
SAME = "≈"
EQUIVALENT = "≡"


@dataclass(frozen=True)
class Column:
    """A column: its title, what it means in one sentence, and its title in LaTeX."""

    title: str
    help: str
    tex: str
    unit: str = ""


@dataclass(frozen=True)
class Entry:
    """One cell: its text, the number it is sorted by (None: no number), its CSS class, and bounds to draw."""

    text: str
    value: float | None = None
    kind: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Table:
    """The table of one arena."""

    arena: Arena
    columns: list[Column]
    rows: list[list[Entry]]
    notes: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.arena.title


def costs(results: Path) -> pd.DataFrame | None:
    """``cost.csv`` of the results, or None where step times have not been measured."""
    path = results / "cost.csv"
    if not path.exists():
        return None
    # pandas reads the empty setting of a benchmark with one only as a missing number.
    frame = csv(path, COST_COLUMNS, key="peak_memory_mib")
    return frame.assign(setting=frame["setting"].astype(object).fillna(""))


def spent_in(arena: Arena, cost: pd.DataFrame | None) -> pd.DataFrame | None:
    """What the rows of ``arena`` cost, by label; a step costs the same in every track."""
    if cost is None:
        return None
    return cost[(cost[COST_GROUP] == [getattr(arena, name) for name in COST_GROUP]).all(axis=1)].set_index("label")


def tables(table: pd.DataFrame, board: pd.DataFrame, cost: pd.DataFrame | None) -> list[Table]:
    """One :class:`Table` per dataset, from the runs' table, the leaderboard made of it, and the cost."""
    described = metrics(table)
    result = []
    for key, part in board.groupby(GROUP, sort=True):
        arena = Arena.of(key)
        own, runs = arena.among(described), arena.among(table)
        spent = spent_in(arena, cost)
        joined = _joined(runs, own["task"].nunique())
        result.append(_table(arena, part, own, spent, sorted(set(runs["step_size_adapter"]) - {0}), joined))
    return result


def _joined(runs: pd.DataFrame, tasks: int) -> list[tuple[str, str, str]]:
    """(label, label, relation) of the rows that are one method under two names."""
    rows = runs[runs["status"] == "done"].drop_duplicates("label")
    ends = {row["label"]: End(row["method"], row["options"]) for row in rows.to_dict("records")}
    return [(one, other, edge.relation) for one, other, edge in joined(ends, tasks)]


def _table(
    arena: Arena,
    board: pd.DataFrame,
    described: pd.DataFrame,
    cost: pd.DataFrame | None,
    rates: list[float],
    equivalent: list[tuple[str, str, str]],
) -> Table:
    shown = [
        metric for metric in described.itertuples(index=False) if f"{metric.task}.{metric.metric}" in board.columns
    ]
    columns = [
        Column("method", "The method and the parameters it was run with.", "method"),
        Column("Δm", "Mean relative change against single-task networks; lower is better.", r"$\Delta_m$", "%"),
        Column(
            "Δm − equal",
            "Difference of Δm to equal weighting, paired by seed; ≈ where the interval holds 0.",
            r"$\Delta_m - \Delta_m^{\mathrm{equal}}$",
            "%",
        ),
        Column("mean rank", "Mean rank over the tasks' main metrics; 1 is best, ties share.", "mean rank"),
    ]
    for metric in shown:
        arrow, tex_arrow = ("↑", r"$\uparrow$") if metric.higher_is_better else ("↓", r"$\downarrow$")
        name = f"{metric.task} {metric.metric}"
        better = "higher" if metric.higher_is_better else "lower"
        unit = f" [{metric.unit}]" if metric.unit else ""
        help_text = f"{metric.metric}{unit} of task {metric.task} on the test split; {better} is better."
        columns.append(Column(f"{name} {arrow}", help_text, f"{tex(name)} {tex_arrow}"))
    columns += [
        Column(
            "conflict",
            "Share of task pairs whose gradients conflict, above the noise floor (the share among "
            "gradients of the same task on two halves of a batch).",
            "conflict",
        ),
        Column("ascent", "Share of the audited steps whose update makes some task worse to first order.", "ascent"),
        Column(
            "stationarity",
            "Distance from Pareto stationarity, ‖u*‖² / min Gᵢᵢ, median over a run: 0 is stationary.",
            "stationarity",
        ),
        Column("worst gap", "Largest certified gap of the inner solver, relative to min Gᵢᵢ.", "worst gap"),
    ]
    if cost is not None:
        columns += [
            Column("step", "Median time of one training step, measured apart from training.", "step"),
            Column("memory", "Peak memory while stepping.", "memory", "MiB"),
        ]
    columns.append(Column("runs", "Runs that ended, of those started.", "runs"))
    best = _best(board, shown)
    marked = {label for one, other, _ in equivalent for label in (one, other)}
    rows = [_row(row, shown, cost, best, row["label"] in marked) for row in board.to_dict("records")]
    notes = _notes(board, rates)
    if equivalent:
        pairs = ", ".join(f"{one} and {other} ({relation})" for one, other, relation in equivalent)
        notes.append(f"{EQUIVALENT}: one method under two names, by the atlas of equivalences: {pairs}.")
    return Table(arena, columns, rows, notes)


def _row(
    row: dict[str, Any], shown: list[Any], cost: pd.DataFrame | None, best: dict[str, float], equivalent: bool
) -> list[Entry]:
    reference = row["label"] == SINGLE_TASK
    name = f"{row['label']} {EQUIVALENT}" if equivalent else row["label"]
    change = "0 (reference)" if reference and row["seeds"] else ""
    entries = [
        Entry(name, None, "reference" if reference else "equal" if row["label"] == EQUAL else ""),
        _interval(row, "delta_m", best, change),
        _against_equal(row),
        _interval(row, "mean_rank", best),
    ]
    entries += [_interval(row, f"{metric.task}.{metric.metric}", best) for metric in shown]
    entries += [
        _interval(row, "excess_conflict", {}),
        *(
            Entry(number(row[name], 2), known(row[name]))
            for name in ("update_conflict_rate", "median_stationarity", "worst_gap")
        ),
    ]
    if cost is not None:
        entries += _cost(row["label"], cost)
    text = f"{row['done']}/{row['runs']}"
    broken = [f"{row[kind]} {kind}" for kind in ("diverged", "failed") if row[kind]]
    entries.append(Entry(f"{text} ({', '.join(broken)})" if broken else text, row["done"], "broken" if broken else ""))
    return entries


def _interval(row: dict[str, Any], name: str, best: dict[str, float], text: str = "") -> Entry:
    mean, half = row[name], row[f"{name}_half_width"]
    kind = "best" if row["label"] != SINGLE_TASK and best.get(name) == mean else ""
    bounds = (None, None) if math.isnan(half) else (mean - half, mean + half)
    return Entry(text or with_interval(mean, half), known(mean), kind, *bounds)


def _against_equal(row: dict[str, Any]) -> Entry:
    mean, half = row["delta_m_vs_equal"], row["delta_m_vs_equal_half_width"]
    text = with_interval(mean, half)
    if math.isnan(half):
        return Entry(text, known(mean))
    if abs(mean) <= half:
        return Entry(f"{SAME} {text}", mean, "same", mean - half, mean + half)
    return Entry(text, mean, "better" if mean < 0 else "worse", mean - half, mean + half)


def _cost(label: str, cost: pd.DataFrame) -> list[Entry]:
    if label not in cost.index:
        return [Entry(NOTHING), Entry(NOTHING)]
    row = cost.loc[label]
    seconds, memory = float(row["seconds_per_step_median"]), float(row["peak_memory_mib"])
    return [Entry(duration(seconds), known(seconds)), Entry(number(memory), known(memory))]


def _best(board: pd.DataFrame, shown: list[Any]) -> dict[str, float]:
    """The best mean of each column among the multi-task methods whose runs all ended."""
    whole = board[(board["method"] != SINGLE_TASK) & (board["done"] == board["runs"])]
    best = {name: whole[name].min() for name in ("delta_m", "mean_rank")}
    for metric in shown:
        name = f"{metric.task}.{metric.metric}"
        best[name] = whole[name].max() if metric.higher_is_better else whole[name].min()
    return best


def _notes(board: pd.DataFrame, rates: list[float]) -> list[str]:
    """What a reader must know before comparing the rows of this table."""
    notes = [
        f"The step size was adapted during training, by exponentiated gradient at rate {rate:g} (docs/mathematics.md)."
        for rate in rates
    ]
    labels = set(board["label"])
    if SINGLE_TASK not in labels:
        notes.append("No single-task networks were trained here, so Δm is not defined.")
    elif board["delta_m"].isna().all():
        notes.append("Δm is not defined: no seed is whole, or a single-task metric is exactly 0.")
    if EQUAL not in labels:
        notes.append("Equal weighting was not run here, so there is no difference to it.")
    if (board["runs"] == 1).all():
        notes.append("One seed only: there is no spread to estimate, so no interval is given.")
    elif board["runs"].nunique() > 1:
        notes.append("The methods have run different numbers of seeds; ranks are over the seeds all have run.")
    if board["mean_rank"].isna().all() and labels - {SINGLE_TASK}:
        notes.append("No seed has been run by every method, so there are no ranks.")
    broken = board[board["done"] < board["runs"]]
    if not broken.empty:
        notes.append(
            "Runs that diverged or failed count as worst in ranks; means of metrics are over the runs that ended."
        )
    return notes


def known(value: float) -> float | None:
    """``value``, or None where there is no number."""
    return None if math.isnan(value) else float(value)


def tex(text: str) -> str:
    """``text`` safe inside a LaTeX table."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    special |= {character: "\\" + character for character in "&%$#_{}"}
    special |= {"<": r"\textless{}", ">": r"\textgreater{}", "±": r"$\pm$", "−": "$-$", "≈": r"$\approx$"}
    special |= {"≡": r"$\equiv$", "–": "--", "µ": r"\textmu{}", "Δ": r"$\Delta$", "∞": r"$\infty$"}
    return "".join(special.get(character, character) for character in text)
