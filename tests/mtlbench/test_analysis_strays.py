"""A run far from the other seeds of its row is found, in either direction of its metric, and told below the table."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from made_up import build_results

from mtlbench.analysis import load
from mtlbench.analysis.leaderboard import leaderboard
from mtlbench.analysis.strays import strays
from mtlbench.report import summary, tables


def runs(values: dict[str, list[float]], higher: bool) -> pd.DataFrame:
    rows = [
        {"label": label, "task": "a", "metric": "m", "seed": seed, "value": value}
        for label, row in values.items()
        for seed, value in enumerate(row)
    ]
    return pd.DataFrame(rows).assign(split="test", main=True, higher_is_better=higher)


def test_half_or_twice_the_median_is_far() -> None:
    rows = {"x": [0.9, 0.44, 0.91], "y": [0.9, 0.46, 0.91], "two": [0.9, 0.1], "broken": [0.9, None, 0.1]}
    assert [(s.label, s.seed, s.value, s.median) for s in strays(runs(rows, True))] == [("x", 1, 0.44, 0.9)]
    rows = {"x": [0.1, 0.11, 0.23], "y": [0.1, 0.11, 0.2], "zero": [0.0, 0.0, 0.3], "better": [0.1, 0.11, 0.01]}
    assert [(s.label, s.seed) for s in strays(runs(rows, False))] == [("x", 2)]
    assert strays(runs({"x": [0.1, 0.12, -0.5]}, False)) == []
    auc = runs({"dead": [0.95, 0.5, 0.95], "x": [0.7, 0.62, 0.7]}, True).assign(metric="auc")
    assert [(s.label, s.value) for s in strays(auc)] == [("dead", 0.5)]
    other = runs({"x": [0.9, 0.1, 0.9]}, True)
    assert strays(other.assign(main=False)) == strays(other.assign(split="validation")) == []


def test_a_reference_that_lost_a_seed_is_named_below_its_table(tmp_path: Path) -> None:
    folder = build_results(tmp_path / "r", {"single_task": 0.0, "equal": 0.05, "mgda": -0.04})
    for label, seed, task in (("method-0", 1, "left"), ("method-2", 2, "right")):
        path = folder / "runs" / "digits" / "hard_sharing" / label / f"seed-{seed}" / "run.json"
        run = json.loads(path.read_text(encoding="utf-8"))
        run["test"][task]["accuracy"] = 0.1
        path.write_text(json.dumps(run), encoding="utf-8")
    table = load.runs(folder)
    board = leaderboard(table)
    digits, scales = tables.tables(table, board)
    (reference,) = [note for note in digits.notes if "single_task" in note]
    assert reference.startswith("Far from its other seeds: single_task left under seed 1 (0.100, median 0.896). Every")
    (_, of_digits), (_, of_scales) = summary.sentences(table, board)
    assert (of_digits[0], of_scales[0][:8]) == (reference, "mgda has")
    assert any(note.startswith("Far from the other seeds of the row: mgda right under seed 2") for note in digits.notes)
    assert not any("Far from" in note for note in scales.notes)
