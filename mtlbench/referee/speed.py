"""Solve times compared: from the JSON that pytest-benchmark saves for the peer suites, or from a ``timing.csv``.

    ratio = (fastest package that solved the problem) / (ours),    > 1 where ours is faster,

per room, family and K, all measured in one run. A package counts only where its result was certified ("solved").
``python -m mtlbench.referee.speed FILE`` prints, as Markdown, the ratios (losses too) and the shifted geometric mean of
every solver's times, and draws their performance profile, ``profile.svg`` and ``.png``, beside the file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mtlbench.errors import InputError
from mtlbench.referee import profile
from mtlbench.referee.scores import SOLVED

if TYPE_CHECKING:
    import pandas as pd

OURS = "ours"
COLUMNS = ("room", "package", "family", "size", "solved")


def times(path: Path) -> pd.DataFrame:
    """One row per timed (room, package, family, size K): ``solved``, and ``median_us`` per solve.

    A ``timing.csv`` holds the project's algorithms of the room ``min_norm``, with a limit of iterations; solved to
    1e-9 min_i G_ii there. Raises :class:`~mtlbench.errors.InputError` for a file that neither suite wrote.
    """
    import pandas as pd

    try:
        if path.suffix == ".csv":
            timed = pd.read_csv(path).rename(columns={"algorithm": "package"})
            timed = timed.assign(room="min_norm", solved=timed["relative_gap"] <= SOLVED)
            return timed[[*COLUMNS, "median_us"]]
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = [
            (*(entry["extra_info"][key] for key in COLUMNS), 1e6 * entry["stats"]["median"])
            for entry in content["benchmarks"]
            if "package" in entry["extra_info"]
        ]
    except FileNotFoundError:
        raise InputError(f"the timing file {path} does not exist: run a peer suite first") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a saved run of a peer suite, nor a timing.csv: {error}") from None
    if not rows:
        raise InputError(f"{path} holds no peers: run tests/benchmarks/test_*_peers.py")
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


def costs(timed: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Room → microseconds, problems × solvers, missing where it was not solved; as :mod:`profile` takes them."""
    certified = timed.assign(cost=timed["median_us"].where(timed["solved"]))
    return {
        room: rows.pivot(index=["family", "size"], columns="package", values="cost")[
            list(dict.fromkeys(rows["package"]))
        ]
        for room, rows in certified.groupby("room")
    }


def means(times_us: pd.DataFrame) -> pd.DataFrame:
    """One row per solver of one room, the fastest first: share solved, shifted geometric mean of its times."""
    table = times_us.notna().mean().rename("solved").to_frame()
    table["time_us"] = profile.shifted_mean(times_us, profile.SHIFT_US)
    return table.rename_axis("solver").sort_values("time_us")


def markdown(path: Path) -> str:
    """The tables of all rooms in the file, as Markdown."""
    timed = times(path)
    parts = []
    if OURS in set(timed["package"]):
        for room, rows in ratios(timed).groupby("room"):
            text = summary(rows).to_markdown(floatfmt=".2f")
            parts.append(f"{room}: fastest package that solved the problem / ours\n\n{text}\n")
    for room, times_us in costs(timed).items():
        text = means(times_us).to_markdown(floatfmt=("", ".3f", ".1f"))
        charge = f"an unsolved problem counts {profile.CHARGE:g} times the largest of those who solved it"
        parts.append(f"{room}: shifted geometric mean of µs (shift {profile.SHIFT_US:g} µs; {charge})\n\n{text}\n")
    return "\n".join(parts)


def main(path: Path) -> None:
    """Print the tables and draw the profile."""
    print(markdown(path))
    for written in profile.write(costs(times(path)), path.parent):
        print(written)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "benchmark.json"))
    except InputError as wrong:
        print(f"mtlbench: {wrong}", file=sys.stderr)
        sys.exit(2)
