"""``plan`` counts what would run, and adds up what was measured."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest

from mtlbench import config
from mtlbench.errors import CheckFailed, InputError
from mtlbench.publication import plan
from mtlbench.training import pace as measured_pace

pytestmark = pytest.mark.xdist_group("publication")

CONTENT = {
    "name": "planned",
    "seeds": 3,
    "audit_interval": 4,
    "device": "cpu",
    "datasets": {
        "scaled_regression": {
            "parameters": {"tasks": 2},
            "epochs": 2,
            "methods": ["single_task", "equal", "mgda"],
        }
    },
}
BENCHMARK = config.parse(CONTENT, "planned.yaml")
CELLS = config.cells(BENCHMARK)


@pytest.fixture
def quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process of its own to see how long one takes to come up."""
    monkeypatch.setattr(plan, "_start", lambda *_: 10.0)


def _cost(path: Path, labels: list[str]) -> Path:
    lines = [
        f"scaled_regression,hard_sharing,,{label},{label},0.5,0.4,0.6,5,{2 if label == 'mgda' else 1},100.0,cpu"
        for label in labels
    ]
    path.write_text("\n".join([",".join(plan.cost.COLUMNS), *lines]) + "\n")
    return path


def test_counts_and_times_follow_from_what_was_measured(
    monkeypatch: pytest.MonkeyPatch, quick_start: None, tmp_path: Path
) -> None:
    def paces(cells: list[config.Cell], _: Path | None) -> list[measured_pace.Pace]:
        networks = {"single_task": 2}
        return [
            measured_pace.Pace(
                steps=5,
                epochs=2,
                networks=networks.get(cell.method, 1),
                load=1.0,
                validation=0.25,
                test=0.125,
                audited=0.0 if cell.method == "single_task" else 2.5,
            )
            for cell in cells
        ]

    monkeypatch.setattr(plan, "paces", paces)
    earlier = _cost(tmp_path / "cost.csv", ["single_task", "equal", "mgda"])
    lines = plan.measured(CELLS, None, earlier, steps=2)
    assert [line.runs for line in lines] == [3, 3, 3]
    assert [line.steps for line in lines] == [60, 30, 30]
    # load + 10 steps + 3 audits (steps 0, 4, 8) + 2 validations + the test, three times, and the start.
    plain = 10 + 3 * (1.0 + 10 * 0.5 + 2 * 0.25 + 0.125)
    assert [line.seconds for line in lines] == pytest.approx([plain, plain + 3 * 3 * 2.0, plain + 3 * 3 * 2.0])
    said = "\n".join(plan.sentences(BENCHMARK, lines, 2))
    assert "planned: 3 cells, 9 runs, 12 networks, 120 steps and 120 backward passes." in said
    assert "Training takes about 1.3 min, 2 cells at a time (2.1 min one after the other)" in said
    assert str(earlier) in said


def test_cells_that_an_earlier_table_lacks_are_measured(quick_start: None, tmp_path: Path) -> None:
    lines = plan.measured(CELLS, None, _cost(tmp_path / "cost.csv", ["single_task", "equal"]), steps=2)
    assert [line.step == 0.5 for line in lines] == [True, True, False]
    assert [line.source for line in lines][1:] == [str(tmp_path / "cost.csv"), "measured now"]
    assert lines[2].step < 0.5
    assert all(line.pace.validation > 0 and line.pace.load > 0 for line in lines)
    assert [line.pace.audited > 0 for line in lines] == [False, True, True]
    assert [line.pace.networks for line in lines] == [2, 1, 1]
    table = pd.read_fwf(io.StringIO("\n".join(plan.sentences(BENCHMARK, lines, 1)[:1])))
    assert table["method"].tolist() == ["single_task", "equal", "mgda"]


def test_a_table_that_was_cut_is_named(tmp_path: Path) -> None:
    path = _cost(tmp_path / "cost.csv", ["equal"])
    path.write_text(path.read_text()[:-20])
    with pytest.raises(CheckFailed, match=r"cost\.csv is cut off"):
        plan.measured(CELLS, None, path, steps=2)


def test_a_table_that_is_not_there_or_says_two_things_is_wrong_input(tmp_path: Path) -> None:
    for path, sentence in (
        (tmp_path / "none.csv", r"none\.csv does not exist: give the cost\.csv of an earlier run"),
        (_cost(tmp_path / "cost.csv", ["equal", "equal"]), "scaled_regression, hard_sharing, equal stands twice"),
    ):
        with pytest.raises(InputError, match=sentence) as caught:
            plan.measured(CELLS, None, path, steps=2)
        assert not isinstance(caught.value, CheckFailed)


@pytest.mark.parametrize(("slots", "end"), [(1, 15.0), (2, 8.0), (3, 6.0), (9, 5.0)])
def test_jobs_go_to_the_slot_that_is_free_first(slots: int, end: float) -> None:
    assert plan.makespan([5.0, 1.0, 4.0, 3.0, 2.0], slots) == end


def test_slots_are_cores_over_threads_and_bounded_by_the_gpus() -> None:
    wide = config.parse(CONTENT | {"threads": 4, "cells_per_gpu": 2}, "planned.yaml")
    assert plan.slots(wide, 16, 0) == 4
    assert plan.slots(wide, 16, 1) == 2
    assert plan.slots(wide, 2, 0) == 1
