"""Two results held against each other, in sentences: what is only in one, what differs, what cannot be told apart."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from mtlbench.analysis import compare, load
from mtlbench.analysis.compare import ROW
from mtlbench.arena import GROUP, Arena
from mtlbench.publication import archive
from mtlbench.publication.verify import must_hold
from mtlbench.report.format import listing, number, plural, with_interval

RULE = "Intervals are Welch's, 95 %, over seeds that are not paired."


def sentences(one: Path, other: Path) -> list[str]:
    """What ``mtlbench compare A B`` prints; A is ``one``. Each path is a results folder or a bundle."""
    runs, configurations = [], []
    for path in (one, other):
        with archive.opened(path) as results:
            must_hold(path, results)
            runs.append(load.read(results))
            configurations.append(_configuration(results))
    tables = [load.table(records) for records in runs]
    said = [f"A is {one} ({plural(len(runs[0]), 'run')}), B is {other} ({plural(len(runs[1]), 'run')})."]
    said += _only(*tables)
    said += _unlike("Configuration", *(_flat(content) for content in configurations))
    said += _unlike("Version", *(_versions(records) for records in runs))
    said += _code(*runs)
    said += _broken(*tables)
    return said + _differences(compare.compare(*tables))


def _configuration(results: Path) -> Any:
    path = results / "config.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _flat(content: Any, prefix: str = "") -> dict[str, str]:
    """``{"datasets.multi_digits.epochs": "10"}``: every value of nested mappings by its path."""
    if not isinstance(content, dict):
        return {prefix: json.dumps(content, ensure_ascii=False)}
    found: dict[str, str] = {}
    for key, value in content.items():
        found |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
    return found


def _versions(records: Iterable[load.Run]) -> dict[str, str]:
    """What the runs say about the versions that made them, where all of one result say the same."""
    found: dict[str, set[str]] = {}
    for run in records:
        made = run.provenance
        stated = {
            f"{run.dataset} protocol_version": run.recipe.get("protocol_version"),
            f"{run.dataset} data": made.get("data"),
            **{name: made.get(name) for name in ("mtlbench", "commit", "python", "cpu", "device")},
            **(made.get("versions") or {}),
        }
        for name, value in stated.items():
            found.setdefault(name, set()).add("none" if value is None else str(value)[:40])
    return {name: listing(sorted(values)) for name, values in found.items() if len(values) == 1}


def _unlike(what: str, one: dict[str, str], other: dict[str, str]) -> list[str]:
    shared = [name for name in one if name in other] if what == "Version" else [*one, *(other.keys() - one.keys())]
    return [
        f"{what} {name}: {one.get(name, 'not given')} in A, {other.get(name, 'not given')} in B."
        for name in sorted(shared)
        if one.get(name) != other.get(name)
    ]


def _code(one: Iterable[load.Run], other: Iterable[load.Run]) -> list[str]:
    """The rows whose sources are not the same; a method's code is its own."""
    sides = [{f"{run.dataset} {run.label}": run.provenance.get("code") for run in side} for side in (one, other)]
    unlike = [name for name in sides[0] if name in sides[1] and sides[0][name] != sides[1][name]]
    return [f"The code is not the same for {listing(unlike)}."] if unlike else []


def _only(one: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    """Arenas that only one side has, and rows that only one side has in an arena of both."""
    said = []
    arenas, rows = ([set(map(tuple, side[columns].values)) for side in (one, other)] for columns in (GROUP, ROW))
    for name, here, there in (("A", 0, 1), ("B", 1, 0)):
        said += [f"Only in {name}: all of {Arena.of(key).title}." for key in sorted(arenas[here] - arenas[there])]
        alone = [row for row in sorted(rows[here] - rows[there]) if row[:-1] in arenas[there]]
        for key in sorted({row[:-1] for row in alone}):
            labels = [row[-1] for row in alone if row[:-1] == key]
            said.append(f"Only in {name}: {listing(labels)} on {Arena.of(key).title}.")
    return said


def _broken(one: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    """Rows whose share of runs that ended is not the same."""
    counts = [side.drop_duplicates([*ROW, "seed"]).groupby(ROW)["status"].agg(["size", _done]) for side in (one, other)]
    both = pd.concat(counts, axis=1, join="inner", keys=["A", "B"]).sort_index()
    unlike = both[both["A", "_done"] * both["B", "size"] != both["B", "_done"] * both["A", "size"]]
    return [
        f"{_row(key)}: {row['A', '_done']} of {plural(row['A', 'size'], 'run')} ended in A, "
        f"{row['B', '_done']} of {row['B', 'size']} in B."
        for key, row in unlike.iterrows()
    ]


def _done(status: pd.Series) -> int:
    return int((status == "done").sum())


def _differences(lines: pd.DataFrame) -> list[str]:
    if lines.empty:
        return ["No row is in both."]
    said, alike, same, alone = [], [], [], []
    for key, rows in lines.groupby(ROW, sort=True):
        if rows["same"].all():
            same.append(_row(key))
        elif rows["half_width"].isna().all():
            alone.append(_row(key))
        else:
            apart = rows[rows["difference"].abs() > rows["half_width"]]
            said += [f"{_row(key)}: {_sentence(row)}." for row in apart.to_dict("records")]
            alike += [_row(key)] if apart.empty else []
    judged = int((~lines["same"] & lines["half_width"].notna()).sum())
    if judged:
        said.append(f"{RULE} Of {plural(judged, 'comparison')}, {judged * 0.05:.2g} would differ by chance alone.")
    for names, text in (
        (alike, "Cannot be told apart"),
        (same, "The same to the last digit"),
        (alone, "One seed only or no whole run on a side, so no interval and no judgement"),
    ):
        said += [f"{text}: {'; '.join(names)}."] if names else []
    return said


def _sentence(row: dict[Any, Any]) -> str:
    better = (row["difference"] > 0) == row["higher_is_better"]
    values = f"{number(row['one'], 4)} in A, {number(row['other'], 4)} in B"
    by = with_interval(abs(row["difference"]), row["half_width"])
    seeds = f"{row['seeds_one']} and {row['seeds_other']} seeds"
    return f"{row['quantity']} is {values}; {'A' if better else 'B'} is better by {by} ({seeds})"


def _row(key: Any) -> str:
    return f"{Arena.of(key[:-1]).title}, {key[-1]}"
