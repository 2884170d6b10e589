"""What the literature reports stands beside the rows of a dataset, and the report says what is off by how much."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from made_up import build_results

from mtlbench import tasks
from mtlbench.report import build
from mtlbench.report.literature import beside
from mtlbench.tasks.dataset import Reported

PAPER = Reported("left", "accuracy", 0.95, 0.97, "a paper")


def row(label: str, mean: float, half: float = 0.004) -> dict[str, object]:
    return {"label": label, "method": label, "left.accuracy": mean, "left.accuracy_half_width": half}


@pytest.mark.parametrize(
    ("mean", "verdict"), [(0.96, "within"), (0.95, "within"), (0.9372, "0.013 below"), (0.981, "0.011 above")]
)
def test_equal_weighting_is_judged_and_the_range_of_all_methods_told(mean, verdict):
    rows = [row("single_task", 0.99), row("equal", mean), row("mgda", 0.9), row("uw", 0.985), row("broken", math.nan)]
    (found,) = beside([PAPER], rows)
    assert found.verdict == verdict
    assert found.equal.startswith(f"{mean:.4f} ± 0.0040")
    assert found.rows == "0.9000 (mgda) to 0.9850 (uw)"


@pytest.mark.parametrize("rows", [[], [row("equal", math.nan)]])
def test_without_equal_weighting_there_is_no_verdict(rows):
    (found,) = beside([PAPER], [*rows, row("mgda", 0.96), row("uw", 0.98)])
    assert (found.equal, found.verdict, found.rows) == ("–", "–", "0.9600 (mgda) to 0.9800 (uw)")


def test_what_was_not_run_is_left_out():
    assert beside([PAPER], []) == []
    assert beside([PAPER], [row("single_task", 0.96)]) == []
    assert beside([Reported("right", "accuracy", 0, 1, "a paper")], [row("equal", 0.96)]) == []


def test_it_stands_on_the_page_of_the_dataset(tmp_path: Path):
    folder = build_results(tmp_path / "r", {"single_task": 0.0, "equal": 0.05}, seeds=(0, 1))
    for path in folder.rglob("run.json"):
        run = json.loads(path.read_text(encoding="utf-8"))
        if run["dataset"] == "digits":
            path.write_text(json.dumps(run | {"dataset": "multimnist"}), encoding="utf-8")
        else:
            path.write_text(json.dumps(run | {"dataset": "tug_of_war:convex"}), encoding="utf-8")
    build.write(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("<h3>Beside the literature</h3>") == 1
    assert tasks.get("tug_of_war:convex").summary in page  # a variant is at home here too
    assert "not installed where the report was written" not in page
    part = page.partition("<h3>Beside the literature</h3>")[2].partition("<h3>")[0]
    assert re.search(r"0.95 to 0.975</td><td>0.85\d+ ± [0-9.]+</td><td class=.name.>0.09\d+ below<", part)
