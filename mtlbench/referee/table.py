"""``accuracy_table.csv``: how exact and how fast every solver was, ours beside a user's own and the QP packages.

One row per problem family and solver, and at the end one per solver for all families together.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mtlbench.files import write_atomically
from mtlbench.referee import problems, verdict
from mtlbench.referee.scores import SOLVED, to
from mtlbench.solvers.algorithm import LEVELS

if TYPE_CHECKING:
    import pandas as pd

FILE = "accuracy_table.csv"
EVERY = "all families"

COLUMNS = (
    *("family", "solver", "problems", "answered", "solved_1e-9", "solved_default"),
    *("median_gap", "worst_gap", "conflicts", "median_us"),
)
"""``solved_*``: the share of problems within 1e-9 min G_ii, and within the default tolerance; no answer is no
solution. Gaps are those of the answers, in units of the smallest G_ii > 0. ``conflicts``: directions along which some
task ascends although another direction lowers every loss. ``median_us``: microseconds of one call a problem.
"""

RECORDS = ("solver", "family", "size", "problem", "gap", "tolerated", "conflict", "seconds", *map(to, LEVELS))


def records(folder: Path, solvers: Sequence[str]) -> pd.DataFrame:
    """One row per problem and solver, from the parts in ``folder``: what is counted, and the seconds of the call."""
    import pandas as pd

    digest = problems.load(folder).digest
    rows = []
    for name in solvers:
        found = verdict.read(verdict.part(folder, name), digest)["rows"]
        calls = verdict.read(verdict.time_part(folder, name), digest)["calls"]
        rows += [{**row, "solver": name, "seconds": call} for row, call in zip(found, calls, strict=True)]
    table = pd.DataFrame(rows, columns=list(RECORDS))
    number = ["gap", "seconds", *map(to, LEVELS)]
    table[number] = table[number].astype(float)
    return table.astype({"tolerated": "boolean", "conflict": "boolean"}).fillna({"tolerated": False, "conflict": False})


def accuracy(found: pd.DataFrame) -> pd.DataFrame:
    """The table of :data:`COLUMNS`, made of :func:`records`; families and solvers in their order there."""
    import pandas as pd

    whole = pd.concat([found, found.assign(family=EVERY)])
    whole = whole.assign(solved=whole["gap"] <= SOLVED)
    table = whole.groupby(["family", "solver"], sort=False).agg(
        problems=("gap", "size"),
        answered=("gap", "count"),
        **{"solved_1e-9": ("solved", "mean"), "solved_default": ("tolerated", "mean")},
        median_gap=("gap", "median"),
        worst_gap=("gap", "max"),
        conflicts=("conflict", "sum"),
        median_us=("seconds", lambda seconds: 1e6 * seconds.median()),
    )
    families = list(dict.fromkeys(whole["family"]))
    order = [(family, solver) for family in families for solver in dict.fromkeys(found["solver"])]
    return table.loc[order].reset_index()[list(COLUMNS)]


def write(folder: Path, solvers: Sequence[str]) -> None:
    """Write the table of ``solvers``, whose parts lie in ``folder``, to ``accuracy_table.csv`` there."""
    table = accuracy(records(folder, solvers))
    write_atomically(folder / FILE, table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def text(folder: Path) -> str:
    """The table in ``folder`` as it is printed: a share of 1 is 100 %, and only all of them are."""
    import pandas as pd

    table = pd.read_csv(folder / FILE)
    for column in ("solved_1e-9", "solved_default"):
        # Rounded down: 999 of 1000 are not 100 %.
        table[column] = [f"{int(1000 * share + 1e-9) / 10:g} %" for share in table[column]]
    for column in ("median_gap", "worst_gap"):
        table[column] = [f"{gap:.1e}" if gap > 0 else "0" if gap == 0 else "" for gap in table[column]]
    table["median_us"] = [f"{time:.1f}" if time > 0 else "" for time in table["median_us"]]
    table["family"] = table["family"].where(table["family"] != table["family"].shift(), "")
    return str(table.to_markdown(index=False, tablefmt="simple", disable_numparse=True))
