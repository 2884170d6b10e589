"""What the audit found in training, one table per dataset; the columns of quality are the leaderboard's."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtlbench.analysis.leaderboard import SINGLE_TASK
from mtlbench.arena import GROUP, Arena
from mtlbench.report.format import NOTHING, number, with_interval
from mtlbench.report.tables import Column, Entry, Table, known

COLUMNS = (
    Column("method", "The method and the parameters it was run with.", "method"),
    Column("update conflicts", "Share of audited steps whose direction u has ⟨gᵢ, u⟩ < 0 for some task.", "", "%"),
    Column(
        "predicted to rise",
        "Share of audited steps in which ⟨∇Lᵢ, Δ⟩ > 0 for some task, Δ being what the optimizer made of u.",
        "",
        "%",
    ),
    Column("rose", "Share of audited steps after which some task's loss on the same batch was higher.", "", "%"),
    Column("seesaw", "Share of task pairs and epochs in which one gains on validation and one loses.", "", "%"),
    Column("smallest cosine", "Smallest cosine of two task gradients on any audited step.", ""),
    Column("zero gradients", "Exactly zero task gradients that the method met, over all steps.", ""),
    Column("inner solves", "Inner problems solved, over all steps.", ""),
    Column("outside tolerance", "Inner solves that did not reach the tolerance that the method asked for.", ""),
)


def tables(board: pd.DataFrame) -> list[Table]:
    """One :class:`Table` per dataset of ``board``, the leaderboard."""
    found = []
    for key, part in board.groupby(GROUP, sort=True):
        rows = [_row(row) for row in part.to_dict("records")]
        found.append(Table(Arena.of(key), list(COLUMNS), rows))
    return found


def _row(row: dict[str, Any]) -> list[Entry]:
    swing, half = 100 * row["seesaw_rate"], 100 * row["seesaw_rate_half_width"]
    outside = row["inner_solves_outside"]
    return [
        Entry(row["label"], None, "reference" if row["label"] == SINGLE_TASK else ""),
        *(_number(100 * row[f"{name}_rate"]) for name in ("update_conflict", "predicted_rise", "realised_rise")),
        Entry(with_interval(swing, half), known(swing)),
        _number(row["smallest_cosine"]),
        _count(row["zero_task_events"]),
        _count(row["inner_solves"] or float("nan")),  # a method without an inner problem has nothing to count
        _count(outside if row["inner_solves"] else float("nan"), "broken" if outside > 0 else ""),
    ]


def _number(value: float) -> Entry:
    return Entry(number(value, 2), known(value))


def _count(value: float, kind: str = "") -> Entry:
    return Entry(NOTHING if pd.isna(value) else f"{value:.0f}", known(value), kind)
