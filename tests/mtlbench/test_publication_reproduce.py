"""A cell trained again: the same bytes here, near scores elsewhere, and a record that does not hold is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bundles
import pytest

from mtlbench.errors import InputError
from mtlbench.files import digest
from mtlbench.publication import reproduce

pytestmark = pytest.mark.xdist_group("publication")
CELL = "scaled_regression/mgda(solver=frank_wolfe)/1"


def _again(path: Path, out: Path | None = None) -> reproduce.Judged:
    with reproduce.recorded(path, CELL, {}) as found:
        return reproduce.again(found, out, None)


def _change(results: Path, change: Callable[[dict[str, Any]], None]) -> None:
    for path in (results / "runs").glob("**/run.json"):
        run = json.loads(path.read_text())
        change(run)
        path.write_text(json.dumps(run))


def test_the_same_machine_makes_the_same_bytes_from_the_bundle_alone(trained: Path, tmp_path: Path) -> None:
    judged = _again(trained / "small.zip", tmp_path / "out")
    assert judged.passed, judged.said
    assert "same to the byte: all 4 files are" in judged.said[0]
    own = trained / "runs/scaled_regression/hard_sharing/mgda-solver=frank_wolfe/seed-1"
    for name in ("run.json", "curves.csv", "audit.csv", "audit.npz"):
        assert (tmp_path / "out" / name).read_bytes() == (own / name).read_bytes()


def test_a_record_that_was_not_made_so_is_named(small: Path) -> None:
    path = small / "runs/scaled_regression/hard_sharing/mgda-solver=frank_wolfe/seed-1/curves.csv"
    path.write_text(path.read_text().replace(",1.", ",2.", 1).replace(",0.", ",9.", 1))
    run = json.loads(path.with_name("run.json").read_text())
    run["files"]["curves.csv"] = digest(path)
    run["test"]["task_2"]["nmse"] *= 0.999
    path.with_name("run.json").write_text(json.dumps(run))
    judged = _again(bundles.finish(small))
    assert not judged.passed
    assert judged.said[1:] == ["curves.csv differs", "run.json differs: files", "run.json differs: test"]


def test_a_variant_of_a_dataset_is_a_dataset(small: Path) -> None:
    def of_a_variant(run: dict[str, Any]) -> None:
        run["dataset"] = run["configuration"]["dataset"] = "tug_of_war:convex"
        run["dataset_parameters"] = run["configuration"]["dataset_parameters"] = {}

    _change(small, of_a_variant)
    with reproduce.recorded(small, "tug_of_war:convex/mgda(solver=frank_wolfe)/1", {}) as found:
        assert found.cell.dataset == "tug_of_war:convex"


def _elsewhere(run: dict[str, Any]) -> None:
    run["provenance"]["cpu"] = "another processor"


def test_another_machine_is_judged_by_what_is_near(small: Path) -> None:
    _change(small, _elsewhere)
    judged = _again(small)
    assert judged.passed
    assert "not the machine that made the record (cpu another processor, here " in judged.said[0]
    assert all("within" in line and "5 % of it, as only 2 of its other seeds ended" in line for line in judged.said[1:])

    def better(run: dict[str, Any]) -> None:
        run["test"]["task_2"]["nmse"] *= 0.5

    _change(small, better)
    judged = _again(small)
    assert not judged.passed
    assert "task_2 nmse: " in judged.said[2]
    assert "NOT within" in judged.said[2]


def test_the_tolerance_is_what_two_seeds_differ_by_or_five_percent() -> None:
    # Student's t with 2 degrees of freedom at 97.5 %: 4.3027; the spread of 1, 2, 3 is 1.
    low, high, _ = reproduce._range(5.0, [1.0, 2.0, 3.0], metrics=1)
    assert (low, high) == pytest.approx((5 - 4.3027 * 2**0.5, 5 + 4.3027 * 2**0.5), rel=1e-4)
    assert reproduce._range(5.0, [1.0, 2.0, 3.0], metrics=5)[1] > high
    low, high, rule = reproduce._range(-2.0, [-2.0, 4.0], metrics=1)
    assert (low, high) == pytest.approx((-2.1, -1.9))
    assert "only 2 of its other seeds" in rule
    low, high, rule = reproduce._range(0.9, [0.9, 0.9, 0.9], metrics=1)
    assert (low, high) == pytest.approx((0.855, 0.945))
    assert "do not differ" in rule


def test_a_seed_far_from_the_others_holds_where_it_comes_out_again_and_a_false_one_does_not() -> None:
    others = [0.90, 0.91, 0.89, 0.90, 0.91, 0.89, 0.90, 0.91, 0.89]
    low, high, _ = reproduce._range(0.99, others, metrics=2)
    assert low < 0.99 < high
    assert not low < 0.90 < high


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("scaled_regresion/equal/0", "unknown dataset 'scaled_regresion': did you mean 'scaled_regression'?"),
        ("scaled_regression/eqaul/0", "unknown method 'eqaul': did you mean 'equal'?"),
        ("scaled_regression/equal/7", "unknown seed '7'"),
        ("scaled_regression/equal", "write it as DATASET/METHOD/SEED"),
        ("scaled_regression/equal/x", "write it as DATASET/METHOD/SEED"),
    ],
)
def test_a_wrong_cell_gets_the_nearest_right_one(trained: Path, cell: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught, reproduce.recorded(trained, cell, {}):
        pass
    assert sentence in str(caught.value)


@pytest.mark.parametrize("method", ["mgda", "mgda(solver=frank_wolfe)", "mgda-solver=frank_wolfe"])
def test_a_method_is_found_by_label_folder_and_name(trained: Path, method: str) -> None:
    with reproduce.recorded(trained, f"scaled_regression/{method}/2", {}) as found:
        assert (found.run.label, found.run.seed) == ("mgda(solver=frank_wolfe)", 2)
        assert found.cell.method_parameters == {"solver": "frank_wolfe"}
        assert len(found.row) == 3


def test_a_cell_that_is_there_in_two_tracks_has_to_be_chosen(small: Path) -> None:
    (small / "config.json").unlink()
    for path in list((small / "runs").glob("**/run.json")):
        twin = small / "runs" / "tuned" / path.parent.relative_to(small / "runs") / "run.json"
        twin.parent.mkdir(parents=True)
        run = json.loads(path.read_text()) | {"track": "tuned", "files": {}}
        run["configuration"]["track"] = "tuned"
        twin.write_text(json.dumps(run))
    with (
        pytest.raises(InputError, match="several tracks: choose --track out_of_the_box or tuned"),
        reproduce.recorded(small, CELL, {}),
    ):
        pass
    with reproduce.recorded(small, CELL, {"track": "tuned"}) as found:
        assert found.cell.track == "tuned"


def test_a_configuration_of_another_version_is_refused(small: Path) -> None:
    _change(small, lambda run: run["configuration"].update(warp=9))
    with pytest.raises(InputError, match="warp"), reproduce.recorded(small, CELL, {}):
        pass
