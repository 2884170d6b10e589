"""Runs that ended far from their row's other seeds, in words; the reference's apart, for it moves every row."""

from __future__ import annotations

from itertools import islice, starmap

import pandas as pd

from mtlbench.analysis.leaderboard import SINGLE_TASK
from mtlbench.analysis.strays import Stray, strays
from mtlbench.report.format import listing, number, plural

NAMED = 8
"""The note names so many rows and counts the others."""


def reference(runs: pd.DataFrame) -> list[str]:
    """At most one sentence: which single-task networks are far off. ``runs``: the table of the runs of one arena."""
    own = [stray for stray in strays(runs) if stray.label == SINGLE_TASK]
    if not own:
        return []
    said = f"Far from its other seeds: {_listed(SINGLE_TASK, own)}."
    return [f"{said} Every Δm of this table is measured against it; the metrics themselves and the mean ranks are not."]


def rows(runs: pd.DataFrame) -> list[str]:
    """At most one sentence: which runs of the methods are far off."""
    found: dict[str, list[Stray]] = {}
    for stray in strays(runs):
        if stray.label != SINGLE_TASK:
            found.setdefault(stray.label, []).append(stray)
    if not found:
        return []
    shown = list(starmap(_listed, islice(found.items(), NAMED)))
    others = [f"and of {plural(len(found) - NAMED, 'other row')}"] if len(found) > NAMED else []
    return [f"Far from the other seeds of the row: {'; '.join([*shown, *others])}."]


def _listed(label: str, found: list[Stray]) -> str:
    """The first two of a row one by one, and how many more there are."""
    first = [f"{s.task} under seed {s.seed} ({number(s.value)}, median {number(s.median)})" for s in found[:2]]
    return listing([f"{label} {', '.join(first)}", *([f"{len(found) - 2} more"] if len(found) > 2 else [])])
