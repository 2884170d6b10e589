"""Ratios of solve times, from the JSON that pytest-benchmark saves for the peer suites.

    ratio = (fastest package that solved the problem) / (ours),    > 1 where ours is faster,

per room, family and K, all measured in one run. A package counts only where its result was certified ("solved").
``python -m mtlbench.referee.speed FILE`` prints the table as Markdown, losses too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mtlbench.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

OURS = "ours"
COLUMNS = ("room", "package", "family", "size", "solved")


def times(benchmark_json: Path) -> pd.DataFrame:
    """One row per timed (room, package, family, size K): ``solved``, and ``median_us`` per solve.

    Raises :class:`~mtlbench.errors.InputError` for a file that a peer suite did not write.
    """
    import pandas as pd

    try:
        content = json.loads(benchmark_json.read_text(encoding="utf-8"))
        rows = [
            (*(entry["extra_info"][key] for key in COLUMNS), 1e6 * entry["stats"]["median"])
            for entry in content["benchmarks"]
            if "package" in entry["extra_info"]
        ]
    except FileNotFoundError:
        raise InputError(f"the timing file {benchmark_json} does not exist: run a peer suite first") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{benchmark_json} is not a saved run of a peer suite: {error}") from None
    if not rows:
        raise InputError(f"{benchmark_json} holds no peers: run tests/benchmarks/test_*_peers.py")
    return pd.DataFrame(rows, columns=[*COLUMNS, "median_us"])


def ratios(timed: pd.DataFrame) -> pd.DataFrame:
    """One row per (room, family, size): ours, the fastest package that solved it, its name, and the ratio.

    Where no package solved a problem its ratio is missing.
    """
    key = ["room", "family", "size"]
    ours = timed[timed["package"] == OURS].set_index(key)["median_us"].rename("ours_us")
    solved = timed[(timed["package"] != OURS) & timed["solved"]]
    fastest = solved.loc[solved.groupby(key)["median_us"].idxmin()].set_index(key)[["package", "median_us"]]
    table = ours.to_frame().join(fastest.rename(columns={"median_us": "fastest_us"}))
    table["ratio"] = table["fastest_us"] / table["ours_us"]
    return table.reset_index()


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Rows: families and their median; columns: K; entries: the ratio. One room's rows of :func:`ratios`."""
    wide = table.pivot(index="family", columns="size", values="ratio")
    wide.loc["median"] = wide.median()
    return wide


def markdown(benchmark_json: Path) -> str:
    """The tables of all rooms in the file, as Markdown."""
    table = ratios(times(benchmark_json))
    parts = []
    for room, rows in table.groupby("room"):
        text = summary(rows).to_markdown(floatfmt=".2f")
        parts.append(f"{room}: fastest package that solved the problem / ours\n\n{text}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    try:
        print(markdown(Path(sys.argv[1] if len(sys.argv) > 1 else "benchmark.json")))
    except InputError as wrong:
        print(f"mtlbench: {wrong}", file=sys.stderr)
        sys.exit(2)
