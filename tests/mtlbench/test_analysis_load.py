"""Reading runs: broken runs are kept, and files that are not whole are named in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mtlbench.analysis import load
from mtlbench.errors import InputError

METRICS = {"a": {"mse": {"higher_is_better": False, "unit": "m"}, "mae": {"higher_is_better": False, "unit": "m"}}}


def write(results: Path, method: str, seed: int, **changes: Any) -> Path:
    """Write one run and its curves; returns its ``run.json``."""
    run = {
        "benchmark": "b",
        "dataset": "d",
        "dataset_parameters": {},
        "architecture": "hard_sharing",
        "method": method,
        "label": method,
        "seed": seed,
        "epochs": 1,
        "status": "done",
        "reason": None,
        "validation": {"a": {"mse": 1.5, "mae": 1.0}},
        "test": {"a": {"mse": 2.0, "mae": 1.0}},
        "metrics": METRICS,
        "audit": None,
        "complete": True,
    }
    path = results / "runs" / "d" / method / f"seed-{seed}" / "run.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(run | changes))
    path.with_name("curves.csv").write_text("epoch,split,task,metric,value\n1,validation,a,mse,1.5\n")
    return path


def test_diverged_and_failed_runs_have_rows_without_values(tmp_path: Path) -> None:
    write(tmp_path, "equal", 0)
    write(tmp_path, "equal", 1, status="diverged", reason="loss is nan", test={}, validation={})
    write(tmp_path, "mgda", 0, status="failed", reason="killed", test={}, validation={}, metrics={})
    table = load.runs(tmp_path)
    assert len(table) == 3 * 2 * 2
    broken = table[table["status"] != "done"]
    assert broken["value"].isna().all()
    assert set(broken["reason"]) == {"loss is nan", "killed"}
    assert table[table["main"]]["metric"].unique().tolist() == ["mse"]


def test_a_broken_run_may_lack_its_curves_and_a_finished_one_may_not(tmp_path: Path) -> None:
    write(tmp_path, "mgda", 0, status="failed", reason="killed", test={}).with_name("curves.csv").unlink()
    finished = write(tmp_path, "equal", 0)
    assert load.curves(load.read(tmp_path))["label"].tolist() == ["equal"]
    finished.with_name("curves.csv").unlink()
    with pytest.raises(InputError, match=r"curves\.csv is missing"):
        load.curves(load.read(tmp_path))


def _cut(path: Path) -> None:
    path.write_text(path.read_text()[:50])


def _change(**changes: Any) -> Any:
    return lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_cut, "is cut off or is not JSON"),
        (lambda path: path.write_text("[1]"), "not a JSON object"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "cannot be read"),
        (_change(complete=False), "its mark of completeness is missing"),
        (_change(status="running"), "status: "),
        (_change(test={"a": {"mse": "low"}}), "test.a.mse: "),
        (_change(label=None), "label: "),
    ],
)
def test_a_file_that_is_not_a_whole_run_is_named(tmp_path: Path, damage: Any, sentence: str) -> None:
    write(tmp_path, "equal", 0)
    path = write(tmp_path, "mgda", 0)
    damage(path)
    with pytest.raises(InputError) as caught:
        load.runs(tmp_path)
    assert str(path) in str(caught.value)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_same_run_twice_and_mixed_parameters_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "twice", "equal", 0)
    write(tmp_path / "twice" / "runs", "equal", 0)
    with pytest.raises(InputError, match="are the same run"):
        load.runs(tmp_path / "twice")
    write(tmp_path / "mixed", "equal", 0)
    write(tmp_path / "mixed", "mgda", 0, dataset_parameters={"size": "60k"})
    with pytest.raises(InputError, match="such runs do not compare"):
        load.runs(tmp_path / "mixed")


def test_no_folder_and_no_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load.runs(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no runs"):
        load.runs(tmp_path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("epoch,split,task,metric\n", "lacks the column 'value'"),
        ("epoch,split,task,metric,value\n1,validation,a,mse,1.5\n2", "is cut off"),
        ("", "is cut off"),
        ("\n", "is not a readable CSV file"),
    ],
)
def test_cut_curves_are_named(tmp_path: Path, content: str, sentence: str) -> None:
    path = write(tmp_path, "equal", 0).with_name("curves.csv")
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        load.curves(load.read(tmp_path))
    assert str(path) in str(caught.value)
    assert sentence in str(caught.value)
