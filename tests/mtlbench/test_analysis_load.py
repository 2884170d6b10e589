"""Reading runs: broken runs are kept, and files that are not whole are named in one sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mtlbench.analysis import load
from mtlbench.errors import CheckFailed, InputError
from mtlbench.report.tables import COST_COLUMNS, costs

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
        (lambda path: path.write_bytes(b"\xff\xfe"), "is cut off or is not JSON"),
        (lambda path: path.write_bytes('{"label": "é'.encode()[:-1]), "is cut off or is not JSON"),
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


@pytest.mark.parametrize("damage", [_cut, lambda path: path.write_bytes(b'"\xc3'), _change(complete=False)])
def test_a_file_that_is_cut_or_half_written_fails_the_check(tmp_path: Path, damage: Any) -> None:
    path = write(tmp_path, "mgda", 0)
    damage(path)
    with pytest.raises(CheckFailed, match=rf"^{re.escape(str(path))} is (cut off|half-written) or [^\n]+$"):
        load.runs(tmp_path)


def test_names_that_look_like_numbers_or_like_nothing_stay_names(tmp_path: Path) -> None:
    names = ["0", "01", "NA", "True"]
    scores = {name: {"nan": float(number)} for number, name in enumerate(names)}
    metrics = {name: {"nan": {"higher_is_better": False}} for name in names}
    audit = {"interval": 10, "steps": 1}
    for seed in (0, 1):
        run = write(tmp_path, "1", seed, test=scores, validation=scores, metrics=metrics, audit=audit)
        curve = "".join(f"1,validation,{name},nan,{'' if name == 'NA' else 0.5}\n" for name in names)
        run.with_name("curves.csv").write_text(f"epoch,split,task,metric,value\n{curve}")
        run.with_name("audit.csv").write_text(",".join(load.AUDIT_COLUMNS) + "\n0,1,0.5,0,0,,0\n")
    records = load.read(tmp_path)
    curves, audits = load.curves(records), load.audits(records)
    assert curves["task"].tolist() == names * 2
    assert set(curves["metric"]) == {"nan"}
    assert curves["value"].isna().tolist() == [name == "NA" for name in names] * 2
    assert audits["conflict"].tolist() == [0.5, 0.5]
    assert audits["relative_gap"].isna().all()
    (tmp_path / "cost.csv").write_text(",".join(COST_COLUMNS) + "\nNA,hard_sharing,,1,0.25,3\n")
    cost = costs(tmp_path)
    assert cost is not None
    assert cost.to_numpy().tolist() == [["NA", "hard_sharing", "", "1", 0.25, 3]]


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
