"""A dataset's rows beside what the literature reports: is what was trained here plausible at all?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtlbench.analysis.leaderboard import EQUAL, SINGLE_TASK
from mtlbench.report.format import number, with_interval
from mtlbench.tasks.dataset import Reported


@dataclass(frozen=True)
class Beside:
    """One reported range and the rows of one arena: equal weighting, the lowest and the highest mean of the methods.

    ``verdict``: where equal weighting lies.
    """

    reported: Reported
    equal: str
    rows: str
    verdict: str


def beside(reported: Sequence[Reported], rows: Sequence[Mapping[str, Any]]) -> list[Beside]:
    """What is known of ``reported`` in ``rows``, those of one arena of the leaderboard with all its metrics."""
    found = []
    for entry in reported:
        name = f"{entry.task}.{entry.metric}"
        known = [row for row in rows if row["method"] != SINGLE_TASK and not math.isnan(row.get(name, math.nan))]
        if not known:
            continue
        equal = next((row for row in known if row["label"] == EQUAL), None)
        low, high = (pick(known, key=lambda row: row[name]) for pick in (min, max))
        found.append(
            Beside(
                entry,
                "–" if equal is None else with_interval(equal[name], equal[f"{name}_half_width"]),
                f"{number(low[name], 4)} ({low['label']}) to {number(high[name], 4)} ({high['label']})",
                "–" if equal is None else _verdict(entry, equal[name]),
            )
        )
    return found


def _verdict(entry: Reported, value: float) -> str:
    """Where ``value`` lies: ``within``, or by how much it is off."""
    if value < entry.low:
        return f"{number(entry.low - value, 2)} below"
    return f"{number(value - entry.high, 2)} above" if value > entry.high else "within"
