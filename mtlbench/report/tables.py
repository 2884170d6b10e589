"""The leaderboard as a table for readers: the same columns for Markdown, LaTeX and HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from mtlbench.analysis import cost_quality, csv_files
from mtlbench.analysis.leaderboard import EQUAL, SINGLE_TASK, is_ranked, metrics
from mtlbench.arena import GROUP, Arena
from mtlbench.atlas import End, joined
from mtlbench.report import columns as shown
from mtlbench.report import strays
from mtlbench.report.columns import EDGE, EQUIVALENT, Column, Entry, Row, of_arena, of_method

COST_GROUP = ["dataset", "architecture", "setting"]
COST_COLUMNS = [*COST_GROUP, "label", "seconds_per_step_median", "peak_memory_mib"]
MANY_TASKS = 24
"""Above so many tasks a table has no column for each of them, and the learning curves only so many panels."""
SPENT = ("seconds_per_step_median", "peak_memory_mib", "peak_gpu_memory_mib", "trunk_backward_passes")
METHOD = Column("method", "The method and the parameters it was run with.", "method")
ARENA = Column("dataset", "The dataset, and where there are several the network, the track and the optimizer.", "")


@dataclass(frozen=True)
class Table:
    """The table of one arena, or under the title ``name`` one that ranges over several (``arena`` is None)."""

    arena: Arena | None
    columns: list[Column]
    rows: list[list[Entry]]
    notes: list[str] = field(default_factory=list)
    name: str = ""

    @property
    def title(self) -> str:
        return self.name or (self.arena.title if self.arena else "")


def costs(results: Path) -> pd.DataFrame | None:
    """``cost.csv`` of the results, or None where step times have not been measured."""
    path = results / "cost.csv"
    if not path.exists():
        return None
    # pandas reads the empty setting of a benchmark with one only as a missing number.
    frame = csv_files.read(path, COST_COLUMNS, key="peak_memory_mib")
    return frame.assign(setting=frame["setting"].astype(object).fillna(""))


def spent_in(arena: Arena, cost: pd.DataFrame | None) -> pd.DataFrame | None:
    """What the rows of ``arena`` cost, by label; a step costs the same in every track."""
    if cost is None:
        return None
    return cost[(cost[COST_GROUP] == [getattr(arena, name) for name in COST_GROUP]).all(axis=1)].set_index("label")


def with_costs(
    board: pd.DataFrame, cost: pd.DataFrame | None, curved: tuple[pd.DataFrame, pd.DataFrame] | None = None
) -> pd.DataFrame:
    """``board`` with the columns of ``cost.csv`` and ``times_equal``, the time of a step over equal weighting's.

    ``curved``: the runs' table and their learning curves, for cost beside quality; the final slope needs no cost.
    """
    seconds = None
    if cost is not None:
        board = _spent(board, cost)
        seconds = cost.set_index([*COST_GROUP, "label"])["seconds_per_step_median"]
    return board if curved is None else _beside_quality(board, seconds, *curved)


def _spent(board: pd.DataFrame, cost: pd.DataFrame) -> pd.DataFrame:
    keys = [*COST_GROUP, "label"]
    equal = cost[cost["label"] == EQUAL].set_index(COST_GROUP)["seconds_per_step_median"].rename("equal_seconds")
    spent = cost[[*keys, *(name for name in SPENT if name in cost)]].join(equal, on=COST_GROUP)
    spent["times_equal"] = spent["seconds_per_step_median"] / spent.pop("equal_seconds")
    return board.merge(spent, how="left", on=keys)


def _beside_quality(
    board: pd.DataFrame, seconds: pd.Series | None, table: pd.DataFrame, curves: pd.DataFrame
) -> pd.DataFrame:
    """Add what :mod:`mtlbench.analysis.cost_quality` makes of the learning curves, and with costs ``time_to_equal``."""
    found = cost_quality.summary(cost_quality.validation_delta_m(table, curves), seconds)
    board = board.merge(found, how="left", on=[*GROUP, "label"])
    if seconds is None:
        return board
    equal = found[found["label"] == EQUAL].set_index(GROUP)["epochs_at_equal_time"].rename("equal_epochs")
    board = board.join(equal, on=GROUP)
    board["time_to_equal"] = board["epochs_to_equal"] * board["times_equal"] / board.pop("equal_epochs")
    return board


def tables(table: pd.DataFrame, board: pd.DataFrame, edges: Mapping[Arena, Mapping[str, str]] = {}) -> list[Table]:
    """One :class:`Table` per arena, from the runs' table and the leaderboard made of it (see :func:`with_costs`).

    ``edges``: where the best trial of a label lies at the edge of the range that was searched, how.
    """
    described, runs = dict(iter(metrics(table).groupby(GROUP))), dict(iter(table.groupby(GROUP)))
    return [
        _table(Arena.of(key), part, described[key], runs[key], edges.get(Arena.of(key), {}))
        for key, part in board.groupby(GROUP, sort=True)
    ]


def details(table: pd.DataFrame, board: pd.DataFrame) -> list[Table]:
    """Every metric of every task, one :class:`Table` per arena; ``board`` is the leaderboard with all metrics."""
    described = dict(iter(metrics(table).groupby(GROUP)))
    found = []
    for key, part in board.groupby(GROUP, sort=True):
        columns = [replace(column, main=True) for column in shown.of_metrics(described[key])]
        if not is_ranked(board):
            columns = [replace(column, best="") for column in columns]
        own = part.to_dict("records")
        rows = [[of_method(row["label"]), *cells] for row, cells in zip(own, shown.entries(own, columns), strict=True)]
        found.append(Table(Arena.of(key), [METHOD, *columns], rows))
    return found


def of_label(label: str, rows: Sequence[Row]) -> Table:
    """The leaderboard's rows of one label under the titles of their arenas; without the tasks' metrics."""
    columns = shown.present([*shown.QUALITY, *shown.AUDIT, *shown.COST, *shown.RUNS], rows)
    return across_arenas(f"Results of {label}", columns, rows)


def across_arenas(name: str, columns: list[Column], rows: Sequence[Row]) -> Table:
    """A table whose rows are arenas; nothing is best in it, as each row is another race."""
    cells = [
        [of_arena(Arena(*(row[key] for key in GROUP))), *(column.show(row, column.name) for column in columns)]
        for row in rows
    ]
    return Table(None, [ARENA, *columns], cells, name=name)


def _joined(runs: pd.DataFrame, tasks: int) -> list[tuple[str, str, str]]:
    """(label, label, relation) of the rows that are one method under two names."""
    rows = runs[runs["status"] == "done"].drop_duplicates("label")
    ends = {row["label"]: End(row["method"], row["options"]) for row in rows.to_dict("records")}
    return [(one, other, edge.relation) for one, other, edge in joined(ends, tasks)]


def _table(
    arena: Arena, board: pd.DataFrame, described: pd.DataFrame, runs: pd.DataFrame, edges: Mapping[str, str]
) -> Table:
    of_tasks = shown.of_metrics(described[described["main"]])
    own = board.to_dict("records")
    many = len(of_tasks) > MANY_TASKS
    columns = shown.present([*shown.QUALITY, *([] if many else of_tasks), *shown.AUDIT, *shown.COST, *shown.RUNS], own)
    if not is_ranked(board):
        columns = [replace(column, best="") for column in columns]
    equivalent = _joined(runs, described["task"].nunique())
    marked = {label for one, other, _ in equivalent for label in (one, other)}

    def name(label: str) -> Entry:
        return of_method(label, *(mark for mark, on in ((EQUIVALENT, label in marked), (EDGE, edges.get(label))) if on))

    rows = [[name(row["label"]), *cells] for row, cells in zip(own, shown.entries(own, columns), strict=True)]
    notes = [*_notes(board, sorted(set(runs["step_size_adapter"]) - {0})), *strays.reference(runs), *strays.rows(runs)]
    if many:
        notes.append(f"{len(of_tasks)} tasks, too many for columns of their own here: leaderboard.csv has them all.")
    if equivalent:
        pairs = ", ".join(f"{one} and {other} ({relation})" for one, other, relation in equivalent)
        notes.append(f"{EQUIVALENT}: one method under two names, by the atlas of equivalences: {pairs}.")
    if any(edges.get(label) for label in board["label"]):
        found = ", ".join(f"{label} ({edges[label]})" for label in board["label"] if edges.get(label))
        notes.append(f"{EDGE}: the best trial lies at the edge of the range that was searched: {found}.")
    return Table(arena, [METHOD, *columns], rows, notes)


def _notes(board: pd.DataFrame, rates: list[float]) -> list[str]:
    """What a reader must know before comparing the rows of this table."""
    notes = [
        f"The step size was adapted during training, by exponentiated gradient at rate {rate:g} (docs/mathematics.md)."
        for rate in rates
    ]
    labels = set(board["label"])
    if not is_ranked(board):
        return [*notes, "Nothing is ranked here: this benchmark is not made to say which method is better."]
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
