"""Numbers of other groups beside ours: a leaderboard of its own that marks where each row comes from.

A foreign row was trained elsewhere, from other networks on other batches. So it is not paired with our seeds: its Δm
and its difference to equal weighting get Welch's interval. It is not ranked, and nothing of ours changes for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtlbench.analysis.leaderboard import EQUAL, SINGLE_TASK, metrics
from mtlbench.analysis.statistics import Interval, directions, paired_t_interval, wide
from mtlbench.analysis.unpaired import against, welch_interval
from mtlbench.arena import GROUP, Arena
from mtlbench.errors import InputError
from mtlbench.files import digest, write_atomically
from mtlbench.publication import archive, tidy
from mtlbench.publication.verify import must_hold
from mtlbench.report import leaderboard
from mtlbench.report.format import listing
from mtlbench.report.tables import Table, costs, tables, with_costs
from mtlbench.report.template import render

OURS = "mtlbench"


def default_folder(results: Path) -> Path:
    """Beside the results, never in them: what lies in a results folder is made by mtlbench alone."""
    results = results.resolve()
    return results.with_name(f"{results.stem if results.is_file() else results.name}-with")


def write(results: Path, sources: Sequence[Path], out: Path) -> list[Path]:
    """Write ``leaderboard.{csv,md,tex,html}`` of ``results`` with the tables ``sources`` beside ours into ``out``.

    ``results`` is a results folder or a bundle. The CSV has the columns of ``leaderboard.csv`` and ``source``, which is
    mtlbench or the table's file. Raises :class:`~mtlbench.errors.InputError`, one sentence naming file and line.
    """
    if (out / "runs").exists():
        raise InputError(f"--out {out} is a results folder, which holds nothing but mtlbench's own: choose another")
    stems = [source.stem for source in sources]
    if twice := [stem for stem in stems if stems.count(stem) > 1]:
        raise InputError(f"two tables are named {twice[0]!r}, by which their rows are told apart: rename one")
    with archive.opened(results) as folder:
        must_hold(results, folder)
        table, board, curves, _ = leaderboard.computed(folder)
        described = metrics(table)
        parts = [board.assign(source=OURS)]
        notes: dict[Arena, list[str]] = {}
        for source in sources:
            own = tidy.read(source, described)
            parts.append(_rows(own, table, source.stem).assign(source=source.name))
            for key in own.groupby(GROUP).groups:
                notes.setdefault(Arena.of(key), []).append(_note(source, Arena.of(key).among(own)))
        # Of a table's metrics those that our leaderboard shows.
        both = _ordered(pd.concat(parts, ignore_index=True)[[*board.columns, "source"]])
        spent = with_costs(both.drop(columns="source"), costs(folder), (table, curves))
        shown = [
            replace(shown, notes=[*shown.notes, *(notes.get(shown.arena, []) if shown.arena else [])])
            for shown in tables(table, spent)
        ]
        name = f"{folder.resolve().name}, with {listing([source.name for source in sources])}"
        return _write(out, both, shown, name)


def _write(out: Path, both: pd.DataFrame, shown: list[Table], name: str) -> list[Path]:
    contents = {
        "csv": leaderboard.to_csv(both),
        "md": leaderboard.to_markdown(shown, name),
        "tex": leaderboard.to_latex(shown),
        "html": render("leaderboard.html.j2", benchmark=name, tables=shown, foot=leaderboard.FOOT),
    }
    paths = [out / f"leaderboard.{kind}" for kind in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        write_atomically(path, content)
    return paths


def _rows(own: pd.DataFrame, table: pd.DataFrame, stem: str) -> pd.DataFrame:
    """The rows of the leaderboard for one foreign table."""
    test = table[table["split"] == "test"]
    lines = []
    for key, part in own.groupby(GROUP, sort=True):
        arena = Arena.of(key)
        here = arena.among(test)
        for method, scores in part.groupby("method", sort=True):
            status = scores.drop_duplicates("seed")["status"]
            line: dict[str, Any] = dict(zip(GROUP, arena, strict=True))
            line |= {"label": f"{method} [{stem}]", "method": method, "runs": len(status)}
            line |= {name: int((status == name).sum()) for name in ("done", "diverged", "failed")}
            line |= {"reason": ""} | _scores(wide(scores), here)
            lines.append(line)
    return pd.DataFrame(lines)


def _scores(own: pd.DataFrame, here: pd.DataFrame) -> dict[str, Any]:
    """Δm, its difference to equal weighting, and every metric, each with its interval."""
    higher_is_better = directions(here)
    base = {label: wide(here[here["label"] == label]) for label in (SINGLE_TASK, EQUAL)}
    # Δm needs every metric of the dataset.
    whole = own.reindex(columns=higher_is_better.index.sort_values()).dropna()
    reference = base[SINGLE_TASK].dropna()
    line: dict[str, Any] = {"seeds": len(whole)}
    for name, label in (("delta_m", SINGLE_TASK), ("delta_m_vs_equal", EQUAL)):
        others = base[label].dropna()
        interval = Interval(np.nan, np.nan, 0)
        if len(whole) and len(reference) and len(others):
            interval = welch_interval(*(against(side, reference, higher_is_better) for side in (whole, others)))
        line |= {name: interval.mean, f"{name}_half_width": interval.half_width}
    for task, metric in own.columns:
        interval = paired_t_interval(own[task, metric])
        line |= {f"{task}.{metric}": interval.mean, f"{task}.{metric}_half_width": interval.half_width}
    return line


def _ordered(both: pd.DataFrame) -> pd.DataFrame:
    """In each arena our rows as they stood, and the foreign ones below, by Δm."""
    theirs = both["source"] != OURS
    order = both.assign(theirs=theirs, place=np.where(theirs, both["delta_m"], both.index))
    return both.loc[order.sort_values([*GROUP, "theirs", "place", "label"], na_position="last").index]


def _note(source: Path, own: pd.DataFrame) -> str:
    """What a reader must know of the rows of one table."""
    text = (
        f"[{source.stem}]: numbers from {source.name} (sha256 {digest(source)[:12]}…), which mtlbench has not checked. "
        "Their intervals of Δm are Welch's, over seeds that are not paired with ours, and they are not ranked."
    )
    seeds = own.groupby("method")["seed"].nunique()
    if single := sorted(seeds[seeds == 1].index):
        text += f" One seed only, so no interval: {listing(single)}."
    lacking = sorted(set(own["method"]) - set(own[own["whole"]]["method"]))
    if lacking:
        text += f" Not every metric is given, so no Δm: {listing(lacking)}."
    return text
