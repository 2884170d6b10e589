"""Gramians that training runs recorded become a family; what cannot be used is said in a sentence."""

import json

import numpy as np
import pytest

from mtlbench.errors import InputError
from mtlbench.referee import problems, validate
from mtlbench.referee.families import draw
from mtlbench.referee.problems import Settings, recorded_gramians

ONE_SIZE = Settings(sizes=(2,), per_size=1, iterations=20)


def record(folder, gramians, *, status="done", solver_gramians=None):
    """What a training run leaves: audit.npz and run.json."""
    folder.mkdir(parents=True)
    arrays = {"steps": 50 * np.arange(len(gramians)), "gramians": np.array(gramians)}
    if solver_gramians is not None:
        arrays["solver_gramians"] = np.array(solver_gramians)
    np.savez(folder / "audit.npz", **arrays)
    (folder / "run.json").write_text(json.dumps({"status": status}))


def gramians(count, size=3, seed=0):
    return [draw("gaussian", size, problem, seed) for problem in range(count)]


def test_early_middle_and_late_steps_are_taken_with_their_origin(tmp_path):
    given = gramians(7)
    record(tmp_path / "digits" / "mgda" / "seed-0", given, solver_gramians=[4 * g for g in given])
    found = recorded_gramians(tmp_path, 60)
    assert [origin for _, origin in found] == [
        f"{key} of digits/mgda/seed-0 step {step}" for key in ("gramians", "solver_gramians") for step in (0, 150, 300)
    ]
    for (gramian, _), expected in zip(found, [given[i] for i in (0, 3, 6)], strict=False):
        assert (gramian == expected).all()


def test_equal_gramians_count_once_and_unfinished_runs_not_at_all(tmp_path):
    given = gramians(2)
    record(tmp_path / "a" / "seed-0", given, solver_gramians=given)
    record(tmp_path / "a" / "seed-1", [np.full((3, 3), np.inf)], status="diverged")
    assert [origin for _, origin in recorded_gramians(tmp_path, 60)] == [
        "gramians of a/seed-0 step 0",
        "gramians of a/seed-0 step 50",
    ]


def test_the_number_is_capped_over_all_runs_in_the_order_of_their_paths(tmp_path):
    for seed in range(5):
        record(tmp_path / f"seed-{seed}", gramians(3, seed=seed))
    found = recorded_gramians(tmp_path, 4)
    assert len(found) == 4
    assert found[0][1].endswith("seed-0 step 0")
    assert found[-1][1].endswith("seed-4 step 100")
    again = recorded_gramians(tmp_path, 4)
    assert all((g == h).all() for (g, _), (h, _) in zip(found, again, strict=True))


def test_recorded_gramians_are_judged_as_a_family_of_their_own(tmp_path):
    record(tmp_path / "runs" / "seed-0", gramians(3, size=4))
    single = draw("near_collinear", 3).astype(np.float32)  # as summed in single precision
    record(tmp_path / "runs" / "seed-1", [single])
    out = tmp_path / "solvers"
    result = validate.validate(out, ONE_SIZE, algorithms=["active_set"], recorded=tmp_path / "runs")
    assert result.passed, result.sentence()
    assert result.families["recorded"]["problems"] == 4
    assert result.families["recorded"]["sizes"] == [3, 4]
    assert "recorded,4,0,active_set" in (out / "accuracy.csv").read_text()


def test_runs_without_records_are_shown_as_a_family_of_no_problems(tmp_path):
    (tmp_path / "runs").mkdir()
    result = validate.validate(tmp_path, ONE_SIZE, algorithms=["exact"], recorded=tmp_path / "runs")
    assert result.families["recorded"]["problems"] == 0
    assert "0 of them recorded" in result.sentence()


def test_unusable_records_are_answered_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match=r"the folder of recorded runs .*nowhere does not exist"):
        problems.build(tmp_path, ONE_SIZE, recorded=tmp_path / "nowhere")

    record(tmp_path / "broken" / "seed-0", gramians(2))
    whole = (tmp_path / "broken" / "seed-0" / "audit.npz").read_bytes()
    (tmp_path / "broken" / "seed-0" / "audit.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"audit\.npz is not a whole audit file"):
        problems.build(tmp_path, ONE_SIZE, recorded=tmp_path / "broken")

    wrong = gramians(1)[0]
    wrong[0, 1] = wrong[1, 0] = np.nan
    record(tmp_path / "invalid" / "seed-0", [wrong])
    with pytest.raises(InputError, match=r"gramians of step 0 is not valid: entry \(0, 1\)"):
        problems.build(tmp_path, ONE_SIZE, recorded=tmp_path / "invalid")

    record(tmp_path / "indefinite" / "seed-0", [np.array([[1.0, -0.9, -0.9], [-0.9, 1, -0.9], [-0.9, -0.9, 1]])])
    with pytest.raises(InputError, match=r"smallest eigenvalue is -0\.8"):
        problems.build(tmp_path, ONE_SIZE, recorded=tmp_path / "indefinite")

    record(tmp_path / "shapes" / "seed-0", gramians(2))
    np.savez(tmp_path / "shapes" / "seed-0" / "audit.npz", steps=np.arange(3), gramians=np.array(gramians(2)))
    with pytest.raises(InputError, match=r"gramians has shape \(2, 3, 3\), expected \(3, K, K\)"):
        problems.build(tmp_path, ONE_SIZE, recorded=tmp_path / "shapes")
    assert not (tmp_path / "problems.npz").exists()
