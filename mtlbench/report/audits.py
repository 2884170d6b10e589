"""What the audit found in training, one table per arena; the columns of quality are the leaderboard's."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd

from mtlbench.arena import GROUP, Arena
from mtlbench.report.columns import Column, Entry, Row, count, interval, of_method, percent, plain, present
from mtlbench.report.tables import METHOD, Table


def _solves(row: Row, name: str) -> Entry:
    """A count that a method without an inner problem does not have."""
    return count({name: row[name] if row["inner_solves"] else math.nan}, name)


def _outside(row: Row, name: str) -> Entry:
    entry = _solves(row, name)
    return replace(entry, kind="broken") if entry.value else entry


def _interval_percent(row: Row, name: str) -> Entry:
    half = f"{name}_half_width"
    return interval({name: 100 * row[name], half: 100 * row[half]}, name)


COLUMNS = [
    Column(
        "update conflicts",
        "Share of audited steps whose direction u has ⟨gᵢ, u⟩ < 0 for some task.",
        "",
        "%",
        "update_conflict_rate",
        percent,
    ),
    Column(
        "predicted to rise",
        "Share of audited steps in which ⟨∇Lᵢ, Δ⟩ > 0 for some task, Δ being what the optimizer made of u.",
        "",
        "%",
        "predicted_rise_rate",
        percent,
    ),
    Column(
        "rose",
        "Share of audited steps after which some task's loss on the same batch was higher.",
        "",
        "%",
        "realised_rise_rate",
        percent,
    ),
    Column(
        "seesaw",
        "Share of task pairs and epochs in which one gains on validation and one loses.",
        "",
        "%",
        "seesaw_rate",
        _interval_percent,
    ),
    Column(
        "smallest cosine",
        "Smallest cosine of two task gradients on any audited step.",
        "",
        "",
        "smallest_cosine",
        plain,
    ),
    Column(
        "zero gradients",
        "Exactly zero task gradients that the method met, over all steps.",
        "",
        "",
        "zero_task_events",
        count,
    ),
    Column("inner solves", "Inner problems solved, over all steps.", "", "", "inner_solves", _solves),
    Column(
        "outside tolerance",
        "Inner solves that did not reach the tolerance that the method asked for.",
        "",
        "",
        "inner_solves_outside",
        _outside,
    ),
]


def tables(board: pd.DataFrame) -> list[Table]:
    """One :class:`Table` per arena of ``board``, the leaderboard."""
    return [_table(Arena.of(key), part) for key, part in board.groupby(GROUP, sort=True)]


def _table(arena: Arena, board: pd.DataFrame) -> Table:
    own = board.to_dict("records")
    columns = present(COLUMNS, own)
    rows = [[of_method(row["label"]), *(c.show(row, c.name) for c in columns)] for row in own]
    return Table(arena, [METHOD, *columns], rows)
