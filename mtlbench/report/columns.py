"""The columns of the leaderboard, one entry each: to show another, add it to :data:`QUALITY`,
:data:`AUDIT` or :data:`COST`.

A column is shown where the leaderboard has its numbers. Tables for readers (HTML, Markdown, LaTeX) are all made
from these; in HTML those that are not ``main`` stay behind a control, and LaTeX leaves them out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

from mtlbench.analysis.leaderboard import EQUAL, SINGLE_TASK
from mtlbench.arena import Arena
from mtlbench.report.format import NOTHING, duration, number, tex, with_interval

Row = Mapping[str, Any]
HIGHEST = 1e308
SAME, EQUIVALENT, EDGE = "≈", "≡", "⇥"


@dataclass(frozen=True)
class Entry:
    """One cell: its text, the number it is sorted by (None: no number), its CSS class, bounds to draw, a page.

    ``link``: ``method/mgda`` or ``dataset/multi_digits``, a key of :func:`mtlbench.report.pages.addresses`.
    """

    text: str
    value: float | None = None
    kind: str = ""
    low: float | None = None
    high: float | None = None
    link: str = ""


def interval(row: Row, name: str) -> Entry:
    """The mean ``row[name]`` with the half width beside it, drawn where there is one."""
    mean, half = row[name], row.get(f"{name}_half_width", math.nan)
    bounds = (None, None) if math.isnan(half) else (mean - half, mean + half)
    return Entry(with_interval(mean, half), known(mean), "", *bounds)


def change(row: Row, name: str) -> Entry:
    """As :func:`interval`; the reference is 0 by definition."""
    if row["method"] == SINGLE_TASK and row["seeds"]:
        return Entry("0 (reference)", 0.0)
    return interval(row, name)


def against_equal(row: Row, name: str) -> Entry:
    """As :func:`interval`, marked where the interval holds 0, coloured where it does not."""
    entry, verdict = interval(row, name), row["against_equal"]
    return replace(entry, text=f"{SAME} {entry.text}" if verdict == "same" else entry.text, kind=verdict or "")


def plain(row: Row, name: str) -> Entry:
    """The number alone."""
    return Entry(number(row[name], 2), known(row[name]))


def percent(row: Row, name: str) -> Entry:
    """A share in percent."""
    return Entry(number(100 * row[name], 2), known(100 * row[name]))


def count(row: Row, name: str) -> Entry:
    """A whole number."""
    return Entry(NOTHING if pd.isna(row[name]) else f"{row[name]:.0f}", known(row[name]))


def time(row: Row, name: str) -> Entry:
    """Seconds in the unit that reads best."""
    return Entry(duration(row[name]), known(row[name]))


def ended(row: Row, name: str) -> Entry:
    """``9/10 (1 diverged)``."""
    broken = [f"{row[kind]} {kind}" for kind in ("diverged", "failed") if row[kind]]
    text = f"{row['done']}/{row['runs']}"
    return Entry(f"{text} ({', '.join(broken)})" if broken else text, row["done"], "broken" if broken else "")


@dataclass(frozen=True)
class Column:
    """A column: its title, what it means in one sentence, its title in LaTeX, its unit.

    ``name``: the leaderboard's column that it shows, by ``show(row, name)``. ``best``: which mean of the methods
    whose runs all ended is set in bold. ``main``: whether a reader sees it without asking.
    """

    title: str
    help: str
    tex: str
    unit: str = ""
    name: str = ""
    show: Callable[[Row, str], Entry] = interval
    best: Literal["", "lowest", "highest"] = ""
    main: bool = True


QUALITY = (
    Column(
        "Δm",
        "Mean relative change against single-task networks; lower is better.",
        r"$\Delta_m$",
        "%",
        "delta_m",
        change,
        "lowest",
    ),
    Column(
        "Δm − equal",
        "Difference of Δm to equal weighting, paired by seed; ≈ where the interval holds 0.",
        r"$\Delta_m - \Delta_m^{\mathrm{equal}}$",
        "%",
        "delta_m_vs_equal",
        against_equal,
    ),
    Column(
        "better than equal",
        "Share of seeds on which Δm is below equal weighting's; a run that broke is a loss.",
        "better than equal",
        name="probability_of_improvement",
        show=plain,
        best="highest",
        main=False,
    ),
    *(
        Column(f"{title} Δm", f"{what} of the changes of (task, seed).", rf"{title} $\Delta_m$", "%", name, main=False)
        for title, what, name in (
            ("median", "Median", "delta_m_median"),
            ("trimmed", "Trimmed mean", "delta_m_trimmed"),
            ("IQM", "Mean of the middle half", "delta_m_iqm"),
        )
    ),
    Column(
        "Δm by metric",
        "Mean change over all metrics, each counting the same, whatever its task.",
        r"$\Delta_m$ by metric",
        "%",
        "delta_m_by_metric",
        change,
        main=False,
    ),
    Column(
        "Δm, last 10 epochs",
        "As many papers report: the mean of the last ten epochs on test. The test split was used to choose.",
        r"$\Delta_m$ (last 10 epochs, on test)",
        "%",
        "delta_m_last_10_epochs",
        change,
    ),
    Column(
        "Δm, best test epoch",
        "As some papers report: the epoch that is best on test. The test split was used to choose.",
        r"$\Delta_m$ (best test epoch)",
        "%",
        "delta_m_best_test_epoch",
        change,
    ),
    Column(
        "mean rank",
        "Mean rank over the tasks' main metrics; 1 is best, ties share.",
        "mean rank",
        "",
        "mean_rank",
        best="lowest",
    ),
)

AUDIT = (
    Column(
        "conflict",
        "Share of task pairs whose gradients conflict, above the noise floor (the share among "
        "gradients of the same task on two halves of a batch).",
        "conflict",
        name="excess_conflict",
    ),
    Column(
        "ascent",
        "Share of the audited steps whose update makes some task worse to first order.",
        "ascent",
        name="update_conflict_rate",
        show=plain,
        main=False,
    ),
    Column(
        "stationarity",
        "Distance from Pareto stationarity, ‖u*‖² / min Gᵢᵢ, median over a run: 0 is stationary.",
        "stationarity",
        name="median_stationarity",
        show=plain,
        main=False,
    ),
    Column(
        "worst gap",
        "Largest certified gap of the inner solver, relative to min Gᵢᵢ.",
        "worst gap",
        name="worst_gap",
        show=plain,
    ),
)

COST = (
    Column(
        "step",
        "Median time of one training step, measured apart from training.",
        "step",
        name="seconds_per_step_median",
        show=time,
        main=False,
    ),
    Column(
        "× equal",
        "Time of one training step over that of equal weighting.",
        r"$\times$ equal",
        name="times_equal",
        show=plain,
    ),
    Column("memory", "Peak memory of the host while stepping.", "memory", "MiB", "peak_memory_mib", plain, main=False),
    Column(
        "GPU memory",
        "Peak memory of the GPU while stepping.",
        "GPU memory",
        "MiB",
        "peak_gpu_memory_mib",
        plain,
        main=False,
    ),
    Column(
        "backward passes",
        "Passes through the trunk in one step, as the method declares.",
        "backward passes",
        name="trunk_backward_passes",
        show=count,
        main=False,
    ),
    Column(
        "time to equal",
        "Time to equal weighting's best validation Δm of the same seed, over equal weighting's training time; "
        "median over seeds, ∞ where half of them never arrive.",
        "time to equal",
        name="time_to_equal",
        show=plain,
    ),
    Column(
        "Δm at equal time",
        "Best validation Δm within the time of equal weighting's whole training.",
        r"$\Delta_m$ at equal time",
        "%",
        "delta_m_at_equal_time",
        best="lowest",
        main=False,
    ),
    Column(
        "rank at equal time",
        "Rank by the best validation Δm within the time of equal weighting's whole training.",
        "rank at equal time",
        "",
        "rank_at_equal_time",
        best="lowest",
        main=False,
    ),
    Column(
        "final slope",
        "Slope of validation Δm over the last quarter of training, per epoch; negative: it was still improving.",
        "final slope",
        "%/epoch",
        "final_slope",
        main=False,
    ),
)

RUNS = (Column("runs", "Runs that ended, of those started.", "runs", name="runs", show=ended),)

WIDE = 4
"""With more metrics than these a table shows them only when asked."""


def of_metrics(described: pd.DataFrame) -> list[Column]:
    """A column per metric of ``described``: task, metric, higher_is_better, unit."""
    found = []
    for metric in described.itertuples(index=False):
        arrow, tex_arrow = ("↑", r"$\uparrow$") if metric.higher_is_better else ("↓", r"$\downarrow$")
        name = f"{metric.task} {metric.metric}"
        unit = f" [{metric.unit}]" if metric.unit else ""
        better = "higher" if metric.higher_is_better else "lower"
        found.append(
            Column(
                f"{name} {arrow}",
                f"{metric.metric}{unit} of task {metric.task} on the test split; {better} is better.",
                f"{tex(name)} {tex_arrow}",
                name=f"{metric.task}.{metric.metric}",
                best="highest" if metric.higher_is_better else "lowest",
                main=len(described) <= WIDE,
            )
        )
    return found


def present(columns: Iterable[Column], rows: Sequence[Row]) -> list[Column]:
    """Those of ``columns`` that some of ``rows``, of the leaderboard, has a number for."""
    return [column for column in columns if any(not pd.isna(row.get(column.name)) for row in rows)]


def entries(rows: Sequence[Row], columns: list[Column]) -> list[list[Entry]]:
    """The cells of ``columns`` for every row of one arena; the best of a column is marked."""
    best = {column.name: _best(rows, column) for column in columns if column.best}

    def entry(row: Row, column: Column) -> Entry:
        made = column.show(row, column.name)
        leads = _placed(row) and best.get(column.name) == row[column.name]
        return replace(made, kind="best") if leads else made

    return [[entry(row, column) for column in columns] for row in rows]


def _best(rows: Sequence[Row], column: Column) -> float | None:
    """The best mean among the multi-task methods whose runs all ended."""
    placed = [row[column.name] for row in rows if _placed(row) and not pd.isna(row[column.name])]
    return (max if column.best == "highest" else min)(placed, default=None)


def _placed(row: Row) -> bool:
    """Whether a row may be the best: the reference is no contestant, and survivors flatter a method that broke."""
    return row["method"] != SINGLE_TASK and row["done"] == row["runs"]


def of_method(label: str, *marks: str) -> Entry:
    """The first cell of a method's row: its name, ``marks`` behind it; the references look different."""
    kind = "reference" if label == SINGLE_TASK else "equal" if label == EQUAL else ""
    return Entry(" ".join([label, *marks]), None, kind, link=f"method/{label}")


def of_arena(arena: Arena) -> Entry:
    """The first cell of an arena's row."""
    return Entry(arena.title, link=f"dataset/{arena.dataset}")


def known(value: float) -> float | None:
    """``value``, or None where there is no number; a page knows no infinite one, so that is the largest there is."""
    return None if math.isnan(value) else max(-HIGHEST, min(float(value), HIGHEST))
