"""Two tables of runs, row by row: a pure function to the differences and their intervals."""

from __future__ import annotations

import pandas as pd

from mtlbench.analysis.leaderboard import SINGLE_TASK
from mtlbench.analysis.statistics import change, directions, wide
from mtlbench.analysis.unpaired import welch_interval
from mtlbench.arena import GROUP

DELTA_M = "Δm"
ROW = [*GROUP, "label"]


def compare(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    """What the rows that both have differ by, on the test split: one line per row and quantity.

    ``one`` and ``other`` are :func:`mtlbench.analysis.load.table`. Quantities: Delta-m, each side against its own
    single-task networks, and every task's main metric. Columns: GROUP, label, quantity, higher_is_better, ``one`` and
    ``other`` (means), difference and half_width (Welch's 95 % interval), the numbers of seeds, and ``same``: the values
    of all seeds are equal to the last digit.

    The seeds are never paired: that two results start from the same networks is a promise of one code on one machine.
    Where they do, the interval is too wide, which errs on the safe side.
    """
    sides = [frame[frame["split"] == "test"].groupby(ROW, sort=True) for frame in (one, other)]
    shared = sorted(set(sides[0].groups) & set(sides[1].groups))
    lines = []
    for key in shared:
        quantities = [_quantities(side, key) for side in sides]
        for name in [name for name in quantities[0] if name in quantities[1]]:
            (own, higher), (base, _) = quantities[0][name], quantities[1][name]
            interval = welch_interval(own, base)
            lines.append(
                {
                    **dict(zip(ROW, key, strict=True)),
                    "quantity": name,
                    "higher_is_better": higher,
                    "one": own.mean(),
                    "other": base.mean(),
                    "difference": interval.mean,
                    "half_width": interval.half_width,
                    "seeds_one": own.count(),
                    "seeds_other": base.count(),
                    "same": own.equals(base),
                }
            )
    columns = [*ROW, "quantity", "higher_is_better", "one", "other", "difference", "half_width"]
    return pd.DataFrame(lines, columns=[*columns, "seeds_one", "seeds_other", "same"])


def _quantities(rows: pd.api.typing.DataFrameGroupBy, key: tuple[str, ...]) -> dict[str, tuple[pd.Series, bool]]:
    """The values by seed of one row, and whether higher is better."""
    own = rows.get_group(key)
    reference = (*key[:-1], SINGLE_TASK)
    found: dict[str, tuple[pd.Series, bool]] = {}
    if key != reference and reference in rows.groups:
        base = rows.get_group(reference)
        found[DELTA_M] = (change(wide(own), wide(base), directions(base)), False)
    for (task, metric), part in own[own["main"]].groupby(["task", "metric"], sort=True):
        values = part.set_index("seed")["value"].sort_index()
        found[f"{task} {metric}"] = (values, bool(part["higher_is_better"].iloc[0]))
    return found
