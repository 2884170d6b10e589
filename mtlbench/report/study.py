"""The chapter of a benchmark's study: ``study.csv``, the picture ``study``, and what the page shows of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from mtlbench import config, studies
from mtlbench.analysis import csv_files
from mtlbench.analysis.load import Run
from mtlbench.arena import Arena
from mtlbench.files import write_atomically
from mtlbench.report.columns import Column, Entry, known
from mtlbench.report.format import NOTHING, number, with_interval
from mtlbench.report.parallel import Job
from mtlbench.report.style import picture
from mtlbench.report.tables import Table

FILE = "study.csv"
HALF_WIDTH = "_half_width"


@dataclass(frozen=True)
class Chapter:
    """What the page shows of a study; the picture is ``plots/study.svg``."""

    title: str
    question: str
    caption: str
    findings: list[str]
    tables: list[Table]


def write(results: Path, records: list[Run]) -> list[Job]:
    """Write the table of the study that the benchmark's ``config.json`` names, if any, and return what draws it."""
    name = _name(results)
    if name is None:
        return []
    study = studies.get(name)
    points = study.measure(records)
    text = study.table(points).to_csv(index=False, float_format="%.8g", lineterminator="\n")
    write_atomically(results / FILE, text)
    return [] if points.empty else [partial(picture, results / "plots", "study", study.draw, points)]


def chapter(results: Path) -> Chapter | None:
    """The chapter of the study, from ``study.csv``; None where the benchmark has none."""
    name = _name(results)
    if name is None:
        return None
    study = studies.get(name)
    table = csv_files.read(results / FILE, ["dataset", *study.columns], key="dataset")
    tables = [_table(str(dataset), part, study.columns) for dataset, part in table.groupby("dataset")]
    return Chapter(study.title, study.question, study.caption, study.findings(table), tables)


def _name(results: Path) -> str | None:
    return config.load_resolved(results).study if (results / "config.json").is_file() else None


def _table(dataset: str, part: pd.DataFrame, meanings: dict[str, str]) -> Table:
    columns = [Column(name.replace("_", " "), meaning, "") for name, meaning in meanings.items()]
    rows = [[_entry(row, name) for name in meanings] for row in part.to_dict("records")]
    return Table(Arena(dataset, "hard_sharing"), columns, rows)


def _entry(row: dict[str, object], name: str) -> Entry:
    value, half = row[name], row.get(f"{name}{HALF_WIDTH}")
    if isinstance(value, str):
        return Entry(value)
    assert isinstance(value, int | float)
    if isinstance(half, float):
        return Entry(with_interval(value, half), known(value))
    whole = float(value).is_integer() and abs(value) < 1e6
    return Entry(NOTHING if pd.isna(value) else f"{value:.0f}" if whole else number(value, 2), known(value))
