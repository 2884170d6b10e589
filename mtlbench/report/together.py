"""The tables over all datasets, one per track and setting, for readers."""

from __future__ import annotations

from typing import Any

import pandas as pd

from mtlbench.analysis.coverage import published
from mtlbench.analysis.overall import TOGETHER
from mtlbench.analysis.robust import FEWEST
from mtlbench.arena import Arena
from mtlbench.report.columns import SAME, Column, Entry, known, of_method
from mtlbench.report.format import fixed, number, tex, with_interval
from mtlbench.report.tables import Table

DELTA_M = "delta_m."
COLUMNS = {
    "delta_m": Column("Δm", "Mean over the datasets of Δm; lower is better.", r"$\Delta_m$", "%"),
    "delta_m_vs_equal": Column(
        "Δm − equal",
        "Difference of Δm to equal weighting, paired by seed; ≈ where the interval holds 0.",
        r"$\Delta_m - \Delta_m^{\mathrm{equal}}$",
        "%",
    ),
    "probability_of_improvement": Column(
        "better than equal",
        "Share of seeds on which Δm is below equal weighting's, mean over datasets; a run that broke is a loss.",
        "better than equal",
    ),
    "delta_m_median": Column(
        "median", "Median change over (dataset, task, seed); broken runs are worst.", "median", "%"
    ),
    "delta_m_iqm": Column(
        "IQM", "Mean of the middle half of the changes of (dataset, task, seed); broken runs are worst.", "IQM", "%"
    ),
    "mean_rank": Column("mean rank", "Mean rank over (dataset, task); 1 is best, ties share.", "mean rank"),
}


def tables(board: pd.DataFrame) -> list[Table]:
    """One :class:`~mtlbench.report.tables.Table` per (track, setting) of :func:`mtlbench.analysis.overall`."""
    return [
        _table(track, setting, part.dropna(axis=1, how="all"))
        for (track, setting), part in board.groupby(TOGETHER, sort=True)
    ]


def _table(track: str, setting: str, board: pd.DataFrame) -> Table:
    shown = {name: column for name, column in COLUMNS.items() if name in board.columns}
    each = [name for name in board.columns if name.startswith(DELTA_M)]
    columns = [Column("method", "Methods that ran on all datasets; those with broken runs are last.", "method")]
    columns += shown.values()
    for name in each:
        title = name.removeprefix(DELTA_M)
        columns.append(Column(f"Δm {title}", "Mean of Δm on this dataset.", rf"$\Delta_m$ {tex(title)}", "%"))
    columns.append(Column("broken", "Runs that diverged or failed.", "broken"))
    rows = []
    for row in board.to_dict("records"):
        entries = [_entry(row, name) for name in shown] + [Entry(number(row[name]), known(row[name])) for name in each]
        broken = int(row["broken"])
        last = Entry(f"{broken}/{row['runs']}", broken, "broken" if broken else "")
        rows.append([of_method(row["label"]), *entries, last])
    title = Arena("Over all datasets", "hard_sharing", track, setting).title
    return Table(None, columns, rows, _notes(board), title)


def _entry(row: dict[str, Any], name: str) -> Entry:
    mean, half = row[name], row.get(f"{name}_half_width", float("nan"))
    if pd.isna(mean):
        return Entry(number(mean))
    text = number(mean, 2) if name == "probability_of_improvement" else with_interval(mean, half)
    verdict = row["against_equal"] if name == "delta_m_vs_equal" else ""
    bounds = (None, None) if pd.isna(half) else (mean - half, mean + half)
    return Entry(f"{SAME} {text}" if verdict == "same" else text, known(mean), verdict, *bounds)


def _notes(board: pd.DataFrame) -> list[str]:
    notes = [
        "Mean ± half width of a 95 % interval over seeds: it speaks of new seeds on these datasets, not of other "
        "datasets. Δm and its difference are over the runs that ended; in all other columns one that did not is worst."
    ]
    if "delta_m_iqm_half_width" in board.columns:
        simulated = published()
        held = 100 * simulated[(simulated["quantity"] == "delta_m_iqm") & simulated["shown"]]["coverage"]
        notes.append(
            f"The interval of the interquartile mean (IQM) is a jackknife's: in simulated leaderboards of {FEWEST} "
            f"datasets it held the truth in {fixed(held.min(), 1)} to {fixed(held.max(), 1)} % of cases."
        )
    return notes
