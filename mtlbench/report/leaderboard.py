"""Write the leaderboard: ``leaderboard.csv`` and ``overall.csv`` for machines, ``.md``, ``.tex``, ``.html`` for people.

The CSVs hold quality and audit only, so that the same runs give the same bytes; the other three also show
what a step costs, where that was measured.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from mtlbench import config
from mtlbench.analysis import load
from mtlbench.analysis.leaderboard import leaderboard, unranked
from mtlbench.analysis.load import Run
from mtlbench.analysis.overall import overall
from mtlbench.files import write_atomically
from mtlbench.report import together, trials
from mtlbench.report.columns import Entry
from mtlbench.report.format import tex
from mtlbench.report.tables import Table, costs, tables, with_costs
from mtlbench.report.template import render

FOOT = (
    "Mean ± half width of the 95 % paired t interval over seeds, on the test split. "
    "Δm: mean relative change against single-task networks in percent, lower is better. "
    "≈: cannot be told apart from equal weighting. Bold: best mean among methods whose runs all ended."
)

SMALL = r"\scriptsize\setlength{\tabcolsep}{3pt}"
"""Fifty rows and a dozen columns on one page."""


def write(results: Path) -> list[Path]:
    """Write ``leaderboard.{csv,md,tex,html}`` and ``overall.csv`` into ``results`` and return their paths.

    Raises :class:`~mtlbench.errors.InputError` naming the file when a run or ``cost.csv`` cannot be read.
    """
    made = computed(results)
    spent = with_costs(made.board, costs(results), (made.table, made.curves))
    shown = [*together.tables(made.overall), *tables(made.table, spent, trials.edges(load.trials(results)))]
    contents = csvs(made) | {
        "leaderboard.md": to_markdown(shown, results.resolve().name),
        "leaderboard.tex": to_latex(shown),
        "leaderboard.html": render("leaderboard.html.j2", benchmark=results.resolve().name, tables=shown, foot=FOOT),
    }
    for name, content in contents.items():
        write_atomically(results / name, content)
    return [results / name for name in contents]


class Computed(NamedTuple):
    """The table of the runs, the leaderboard that they give, their learning curves, and the table over all datasets."""

    table: pd.DataFrame
    board: pd.DataFrame
    curves: pd.DataFrame
    overall: pd.DataFrame


def computed(results: Path, records: list[Run] | None = None, all_metrics: bool = False) -> Computed:
    """Make the leaderboard of ``results`` from its runs, without ranks where its benchmark asks for none."""
    records = load.read(results) if records is None else records
    table, curves = load.table(records), load.curves(records)
    board = leaderboard(table, all_metrics, curves)
    if _ranks(results):
        return Computed(table, board, curves, overall(table))
    return Computed(table, unranked(board), curves, overall(table.iloc[:0]))


def _ranks(results: Path) -> bool:
    """Whether the benchmark of ``results`` ranks; runs without a ``config.json`` are compared."""
    return not (results / "config.json").is_file() or config.load_resolved(results, installed=False).ranking


def csvs(made: Computed) -> dict[str, str]:
    """The files that the runs give to the same bytes, by name."""
    return {"leaderboard.csv": to_csv(made.board), "overall.csv": to_csv(made.overall)}


def to_csv(board: pd.DataFrame) -> str:
    """A leaderboard as CSV: floats with eight significant digits, empty where there is no number.

    One column pair per (task, metric) of any dataset; a dataset leaves those of the others empty.
    """
    return board.to_csv(index=False, float_format="%.8g", lineterminator="\n")


def to_markdown(shown: list[Table], name: str) -> str:
    """The tables as GitHub-flavoured Markdown."""
    parts = [f"# Leaderboard of {_md(name)}"]
    for table in shown:
        headers = [_md(f"{column.title} ({column.unit})" if column.unit else column.title) for column in table.columns]
        frame = pd.DataFrame([[_md_entry(entry) for entry in row] for row in table.rows], columns=headers)
        align = ("left", *["right"] * (len(headers) - 1))
        parts += [
            f"## {_md(table.title)}",
            frame.to_markdown(index=False, colalign=align, disable_numparse=True),
        ]
        parts += [f"*{note}*" for note in table.notes]
    return "\n\n".join([*parts, FOOT]) + "\n"


def to_latex(shown: list[Table]) -> str:
    """The main columns of the tables for ``\\usepackage{booktabs}``, one ``table`` per arena."""
    parts = ["% needs \\usepackage{booktabs}"]
    for table in shown:
        chosen = [(place, column) for place, column in enumerate(table.columns) if column.main]
        headers = [f"{column.tex} ({tex(column.unit)})" if column.unit else column.tex for _, column in chosen]
        rows = [[_tex_entry(row[place]) for place, _ in chosen] for row in table.rows]
        text = (
            pd.DataFrame(rows, columns=headers)
            .style.hide(axis="index")
            .to_latex(
                hrules=True,
                column_format="l" + "r" * (len(headers) - 1),
                position="t",
                position_float="centering",
                caption=tex(f"{table.title}. {' '.join([*table.notes, FOOT])}"),
                label=f"tab:{table.arena.slug}" if table.arena else None,
            )
        )
        parts.append(text.replace("\\centering\n", f"\\centering\n{SMALL}\n", 1))
    return "\n".join(parts)


def _md(text: str) -> str:
    """``text`` as plain words of a Markdown table: no markup, no HTML, no column break."""
    for character in "\\`*_[]|":
        text = text.replace(character, "\\" + character)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")


def _md_entry(entry: Entry) -> str:
    return f"**{_md(entry.text)}**" if entry.kind == "best" else _md(entry.text)


def _tex_entry(entry: Entry) -> str:
    return rf"\textbf{{{tex(entry.text)}}}" if entry.kind == "best" else tex(entry.text)
