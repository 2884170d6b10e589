"""The trials of the tuned track: what each scored, what more would have bought, whose best lies at the edge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mtlbench.analysis import budget
from mtlbench.analysis.leaderboard import SINGLE_TASK
from mtlbench.arena import GROUP, Arena
from mtlbench.report.columns import Column, Entry, count, known, of_arena
from mtlbench.report.format import number
from mtlbench.report.parallel import Job
from mtlbench.report.plots import OTHERS, leading, legend
from mtlbench.report.style import grid, looks, picture
from mtlbench.report.tables import ARENA, Table

Edges = dict[Arena, dict[str, str]]

SCORE = Column("validation Δm", "Δm against single-task networks on the validation split; lower is better.", "", "%")
OWN_MEDIAN = Column(
    "against the median of its trials",
    "Mean change against the median of these trials, metric by metric, on the validation split; lower is better.",
    "",
    "%",
)

COLUMNS = [
    ARENA,
    Column("trial", "Trials of the same number have the same learning rate and weight decay for every method.", ""),
    Column("learning rate", "", ""),
    Column("weight decay", "", ""),
    Column("own parameters", "The method's own parameters, as drawn.", ""),
    Column("seeds", "How many seeds the score is over.", ""),
    SCORE,
    Column("choice", "The trial that was chosen, and whether it lies at the edge of the range searched.", ""),
]


def edges(trials: pd.DataFrame) -> Edges:
    """For every arena the labels whose chosen trial lies at the edge of the range, and where."""
    found: Edges = {}
    if not trials.empty:
        at_the_edge = trials[trials["chosen"].astype(bool) & (trials["edge"] != "")]
        for row in at_the_edge.to_dict("records"):
            found.setdefault(Arena(*(row[key] for key in GROUP)), {})[row["label"]] = row["edge"]
    return found


def pictures(folder: Path, trials: pd.DataFrame, board: pd.DataFrame) -> Iterator[Job]:
    """What draws ``trials-...`` into ``folder``, one picture per arena that was tuned."""
    best_first = {key: list(part["label"]) for key, part in board.groupby(GROUP)}
    for key, own in trials.groupby(GROUP, sort=True) if not trials.empty else ():
        curves = budget.curves(own)
        if not curves.empty:
            yield partial(picture, folder, f"trials-{Arena.of(key).slug}", draw, curves, best_first.get(key, []))


def draw(curves: pd.DataFrame, best_first: list[str]) -> Figure:
    """The expected best validation score against the number of trials; many methods as in the learning curves."""
    there = set(curves["label"])
    shown = leading([*(label for label in best_first if label in there), *sorted(there - set(best_first))])
    look = looks(shown)
    figure, (ax,) = grid(1, 1, 7.2, 3.2)
    for label, own in curves.groupby("label", sort=True):
        if label in look:
            style = look[str(label)]
            ax.plot(
                own["trials"],
                own["score"],
                color=style.colour,
                linestyle=style.dashes,
                marker=style.marker,
                markersize=4,
                linewidth=style.width,
                zorder=3,
            )
        else:
            ax.plot(own["trials"], own["score"], **OTHERS, zorder=1)
    ax.set_xlabel("number of trials")
    ax.set_ylabel("expected best\nvalidation Δm [%]")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(figure, shown, look, len(there) - len(shown))
    return figure


def of_label(label: str, trials: pd.DataFrame) -> Table:
    """Every trial of one label, whose ``trials`` these are."""
    rows = [_row(row) for row in trials.sort_values([*GROUP, "trial"]).to_dict("records")]
    # One link for all trials of an arena: thousands of them are a tenth of the page.
    rows = [
        [replace(row[0], link="") if i and rows[i - 1][0] == row[0] else row[0], *row[1:]] for i, row in enumerate(rows)
    ]
    columns = [OWN_MEDIAN if label == SINGLE_TASK and column is SCORE else column for column in COLUMNS]
    return Table(None, columns, rows, name=f"Trials of {label}")


def _row(row: dict[str, Any]) -> list[Entry]:
    drawn = ", ".join(f"{name} = {value}" for name, value in json.loads(row["parameters"]).items())
    said = [text for text in ("chosen" if row["chosen"] else "", row["edge"] and f"at the edge: {row['edge']}") if text]
    done = row["status"] == "done"
    return [
        of_arena(Arena(*(row[key] for key in GROUP))),
        count(row, "trial"),
        *(Entry(number(row[name]), known(row[name])) for name in ("learning_rate", "weight_decay")),
        Entry(drawn),
        count(row, "seeds"),
        Entry(number(row["score"]), known(row["score"])) if done else Entry(row["status"], None, "broken"),
        Entry(", ".join(said), None, "best" if row["chosen"] else ""),
    ]
