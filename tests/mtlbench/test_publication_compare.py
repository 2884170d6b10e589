"""``compare`` says what differs, and only that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bundles
import pytest

from mtlbench.errors import CheckFailed
from mtlbench.publication import compare

pytestmark = pytest.mark.xdist_group("publication")


def _scale(results: Path, label: str, factor: float, noise: float = 0.0) -> None:
    """Multiply the test scores of one row, and spread them over the seeds."""
    for path in (results / "runs").glob("**/run.json"):
        run = json.loads(path.read_text())
        if run["label"] == label:
            by = factor * (1 + noise * run["seed"])
            run["test"] = {task: {name: by * v for name, v in found.items()} for task, found in run["test"].items()}
            path.write_text(json.dumps(run))


def _compared(one: Path, other: Path) -> str:
    return "\n".join(compare.sentences(one, other))


def test_a_result_is_like_its_own_bundle(trained: Path) -> None:
    said = _compared(trained, trained / "small.zip").splitlines()
    assert len(said) == 2
    assert said[1].startswith("The same to the last digit: scaled_regression, equal; scaled_regression, mgda")


def test_what_differs_beyond_its_interval_is_said_and_the_rest_is_not(trained: Path, small: Path) -> None:
    _scale(small, "equal", 3.0)
    _scale(small, "mgda(solver=frank_wolfe)", 1.0, noise=1e-4)
    said = _compared(trained, small)
    assert "scaled_regression, equal: task_2 nmse is " in said
    assert "; A is better by " in said
    assert "B is better" not in said
    assert "Cannot be told apart: scaled_regression, mgda(solver=frank_wolfe)." in said
    assert "The same to the last digit: scaled_regression, single_task." in said
    assert "; B is better by " in _compared(small, trained)


def test_what_is_only_in_one_and_configurations_and_versions_are_named(trained: Path, small: Path) -> None:
    config: dict[str, Any] = json.loads((small / "config.json").read_text())
    config["datasets"]["scaled_regression"]["methods"] = ["single_task", "equal"]
    config["seeds"] = 2
    (small / "config.json").write_text(json.dumps(config))
    for path in (small / "runs").glob("**/run.json"):
        run = json.loads(path.read_text())
        versions = run["provenance"]["versions"] | {"torch": "2.6.0"}
        run["recipe"]["protocol_version"] = 99
        run["provenance"] |= {
            "versions": versions,
            "code": "0" if run["label"] == "equal" else run["provenance"]["code"],
        }
        path.write_text(json.dumps(run))
    said = _compared(trained, small)
    assert "Only in A: mgda(solver=frank_wolfe) on scaled_regression." in said
    assert "Configuration seeds: 3 in A, 2 in B." in said
    assert "Version scaled_regression protocol_version: 1 in A, 99 in B." in said
    assert "Version torch: " in said
    assert ", 2.6.0 in B." in said
    assert "The code is not the same for scaled_regression equal." in said


def test_one_seed_only_gets_no_judgement(trained: Path, small: Path) -> None:
    config = json.loads((small / "config.json").read_text())
    (small / "config.json").write_text(json.dumps(config | {"seeds": 1}))
    said = _compared(trained, small)
    assert "One seed only" in said
    assert "better" not in said


def test_runs_that_broke_down_on_one_side_are_counted(trained: Path, small: Path) -> None:
    path = small / "runs/scaled_regression/hard_sharing/equal/seed-1/run.json"
    run = json.loads(path.read_text())
    path.write_text(json.dumps(run | {"status": "diverged", "reason": "the loss is nan", "test": {}}))
    assert "scaled_regression, equal: 3 of 3 runs ended in A, 2 of 3 in B." in _compared(trained, small)


def test_a_damaged_bundle_is_not_compared(trained: Path, small: Path) -> None:
    path = small / "small.zip"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckFailed, match=r"small\.zip"):
        compare.sentences(trained, path)
    bundles.finish(small)
    assert compare.sentences(trained, path)
