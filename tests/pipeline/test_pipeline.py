"""The real Snakefile: the same bytes whatever the cores, also after kill -9, and failures that stay visible."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import yaml

with_finished = pytest.mark.xdist_group("finished")
"""Those that compare with one finished run share a process, the others go wherever there is room."""


def _result_files(results: Path) -> list[Path]:
    """The files of the runs that must come out the same, relative to the results folder."""
    files = (path for path in (results / "runs").rglob("*") if path.is_file())
    kept = (path for path in files if path.suffix in (".json", ".csv", ".npz"))
    return sorted(path.relative_to(results) for path in kept if not path.name.endswith(".time.json"))


def _assert_same_results(one: Path, two: Path) -> None:
    assert (one / "leaderboard.csv").read_bytes() == (two / "leaderboard.csv").read_bytes()
    assert len(_result_files(one)) >= 3 * 2 * 2
    assert _result_files(one) == _result_files(two)
    for path in _result_files(one):
        assert (one / path).read_bytes() == (two / path).read_bytes(), path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Where the module keeps the results of an undisturbed run, once there is one."""
    return {"folder": tmp_path_factory.mktemp("whole")}


def _whole(finished: dict[str, Path], micro: Path, snakemake) -> Path:
    """The results of an undisturbed run on one core, made by whichever test asks first."""
    if "results" not in finished:
        done = snakemake(micro, "--cores", "1", "leaderboard", folder=finished["folder"])
        assert done.returncode == 0, done.stderr
        finished["results"] = finished["folder"] / "results" / "micro"
    return finished["results"]


@with_finished
def test_one_core_and_two_cores_write_the_same_bytes(micro, snakemake, finished, tmp_path):
    done = snakemake(micro, "--cores", "2", "leaderboard")
    assert done.returncode == 0, done.stderr
    _assert_same_results(_whole(finished, micro, snakemake), tmp_path / "results" / "micro")


def _wait_for(results: Path, pattern: str, count: int, seconds: float = 120) -> None:
    """Wait until ``count`` files of the results match; the leaderboard must not be there yet."""
    end = time.monotonic() + seconds
    while len(list(results.glob(pattern))) < count:
        assert time.monotonic() < end, f"no {pattern} after {seconds} s"
        time.sleep(0.05)
    assert not (results / "leaderboard.csv").exists()


# After a first seed, and when every cell is trained but nothing is made of it yet.
STAGES = [("runs/**/run.json", 1), ("logs/cells/*/*/*.json", 3)]


@with_finished
@pytest.mark.parametrize(("pattern", "count"), STAGES, ids=["first-seed", "all-cells"])
def test_a_benchmark_killed_with_kill_9_is_finished_by_the_next_run(
    micro, snakemake, start_snakemake, finished, tmp_path, pattern, count
):
    results = tmp_path / "results" / "micro"
    driver = start_snakemake(micro, tmp_path)
    _wait_for(results, pattern, count)
    os.killpg(driver.pid, signal.SIGKILL)  # the driver and the cells that are training
    driver.wait()
    # No --cores, no --unlock, no --rerun-incomplete: plain snakemake goes on.
    done = snakemake(micro, "leaderboard")
    assert done.returncode == 0, done.stderr
    _assert_same_results(_whole(finished, micro, snakemake), results)


@with_finished
def test_cells_that_outlive_a_killed_driver_do_not_disturb_the_next_run(
    micro, snakemake, start_snakemake, finished, tmp_path
):
    results = tmp_path / "results" / "micro"
    driver = start_snakemake(micro, tmp_path)
    _wait_for(results, "runs/**/.lock", 1)
    driver.kill()  # the driver alone: its cells go on
    driver.wait()
    done = snakemake(micro, "leaderboard")
    assert done.returncode == 0, done.stderr
    _assert_same_results(_whole(finished, micro, snakemake), results)


def test_a_leaderboard_follows_its_runs_also_when_a_retrain_was_cut_short(snakemake, tmp_path):
    content = {
        "name": "again",
        "seeds": 1,
        "datasets": {
            "scaled_regression": {"parameters": {"tasks": 2}, "epochs": 1, "methods": ["single_task", "equal"]}
        },
        "cost": {"steps": 2, "warmup": 1},
    }
    config = tmp_path / "again.yaml"
    results = tmp_path / "results" / "again"
    config.write_text(yaml.safe_dump(content))
    assert snakemake(config, "--cores", "2", "leaderboard").returncode == 0
    first = (results / "leaderboard.csv").read_bytes()
    content["datasets"]["scaled_regression"]["learning_rate"] = 0.05
    config.write_text(yaml.safe_dump(content))
    # Only the cells are trained again, as if the driver had been killed right after them.
    markers = [
        f"results/again/logs/cells/scaled_regression/hard_sharing/{name}.json" for name in ("single_task", "equal")
    ]
    assert snakemake(config, "--cores", "2", *markers).returncode == 0
    assert (results / "leaderboard.csv").read_bytes() == first
    assert snakemake(config, "--cores", "2", "leaderboard").returncode == 0
    second = (results / "leaderboard.csv").read_bytes()
    assert second != first
    # A method that the benchmark no longer lists leaves the table; its runs stay.
    content["datasets"]["scaled_regression"]["methods"] = ["single_task"]
    config.write_text(yaml.safe_dump(content))
    assert snakemake(config, "--cores", "2", "leaderboard").returncode == 0
    assert b",equal," not in (results / "leaderboard.csv").read_bytes()
    assert (results / "runs/scaled_regression/hard_sharing/equal/seed-0/run.json").exists()
    # A damaged run is noticed and trained again.
    run = results / "runs/scaled_regression/hard_sharing/single_task/seed-0"
    (run / "curves.csv").write_text("")
    plan = snakemake(config, "--cores", "2", "--dry-run", "leaderboard")
    assert "rule train:" in plan.stdout


def test_a_diverging_cell_is_shown_and_tried_again(snakemake, tmp_path):
    config = tmp_path / "wild.yaml"
    content = {
        "name": "wild",
        "seeds": 1,
        "datasets": {
            "scaled_regression": {
                "parameters": {"tasks": 2},
                "epochs": 2,
                "optimizer": "sgd",
                "learning_rate": 1e20,
                "methods": ["single_task", "equal"],
            }
        },
        "cost": {"steps": 2, "warmup": 1},
    }
    config.write_text(yaml.safe_dump(content))
    first = snakemake(config, "--cores", "2", "leaderboard")
    assert first.returncode == 0, first.stderr
    results = tmp_path / "results" / "wild"
    record = json.loads((results / "runs/scaled_regression/hard_sharing/equal/seed-0/run.json").read_text())
    assert record["status"] == "diverged"
    assert "task_1" in record["reason"]
    assert "diverged" in (results / "leaderboard.md").read_text()
    plan = snakemake(config, "--cores", "2", "--dry-run", "leaderboard")
    assert "rule train:" in plan.stdout
    # A cell that is done is left alone.
    content["datasets"]["scaled_regression"]["learning_rate"] = 1e-3
    config.write_text(yaml.safe_dump(content))
    assert snakemake(config, "--cores", "2", "leaderboard").returncode == 0
    plan = snakemake(config, "--cores", "2", "--dry-run", "leaderboard")
    assert "rule train:" not in plan.stdout


WRONG = [
    ({"datasets": {"multi_digit": {"methods": ["equal"]}}}, "unknown dataset 'multi_digit': did you mean"),
    ({"datasets": {"multi_digits": {"methods": ["mdga"]}}}, "unknown method 'mdga': did you mean 'mgda'?"),
    ({"datasets": {"multi_digits": {"methods": [{"mgda": {"solver": "frank_wolf"}}]}}}, "did you mean 'frank_wolfe'?"),
    ({"datasets": {"multi_digits": {"methods": [{"mgda": {"solvr": "exact"}}]}}}, "did you mean 'solver'?"),
    ({"datasets": {"multi_digits": {"method": ["equal"]}}}, "unknown key 'method': did you mean 'methods'?"),
    ({"datasets": {"multi_digits": {"methods": ["equal", "equal"]}}}, "listed twice"),
    ({"datasets": {"multi_digits": {"methods": ["equal"], "epochs": -1}}}, "datasets.multi_digits.epochs"),
    ({"datasets": {"multi_digits": {"methods": ["equal"], "learning_rate": "fast"}}}, "learning_rate"),
    ({"datasets": {"multi_digits": {"methods": [{"static": {"weights": [1, 2, 3]}}]}}}, "weights"),
    ({"seeds": 0}, "seeds"),
    ({"seed": 3}, "unknown key 'seed': did you mean 'seeds'?"),
    ({"datasets": {}}, "datasets"),
    ({"name": "Not A Name"}, "name"),
]


@pytest.mark.parametrize(("change", "sentence"), WRONG, ids=[sentence[:40] for _, sentence in WRONG])
def test_a_wrong_benchmark_file_gets_one_sentence(mtlbench, tmp_path, change, sentence):
    path = tmp_path / "wrong.yaml"
    content = {"name": "wrong", "seeds": 1, "datasets": {"multi_digits": {"methods": ["equal"]}}} | change
    path.write_text(yaml.safe_dump(content))
    done = mtlbench("validate", "--config", str(path), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert sentence in done.stderr
    assert not (tmp_path / "out").exists()


def test_snakemake_itself_answers_a_wrong_file_with_a_sentence_and_writes_nothing(snakemake, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("name: wrong\ndatasets: {multi_digits: {methods: [mdga]}}\n")
    done = snakemake(path, "--cores", "1")
    assert done.returncode == 2
    assert "unknown method 'mdga': did you mean 'mgda'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.fixture
def pretend_gpus(tmp_path, monkeypatch):
    """The environment of a machine with so many GPUs, as far as the pipeline looks before a cell starts."""

    def environment(count: int) -> dict[str, str]:
        tool = tmp_path / "bin" / "nvidia-smi"
        tool.parent.mkdir()
        listing = "".join(f"echo 'GPU {i}: pretend (UUID: {i})'\n" for i in range(count))
        tool.write_text(f"#!/bin/sh\n{listing}")
        tool.chmod(0o755)
        # The torch installed here may be a CPU wheel, which the pipeline reads off its version.
        wheel = tmp_path / "wheel" / "torch-2.13.0.dist-info"
        wheel.mkdir(parents=True)
        (wheel / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0\n")
        return {"PATH": f"{tool.parent}:{os.environ['PATH']}", "PYTHONPATH": str(wheel.parent)}

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return environment


@pytest.mark.parametrize("gpus", [1, 2])
def test_as_many_cells_train_at_once_as_there_are_gpus(micro, snakemake, pretend_gpus, tmp_path, gpus):
    markers = [
        f"results/micro/logs/cells/scaled_regression/hard_sharing/{name}.json"
        for name in ("single_task", "equal", "mgda")
    ]
    done = snakemake(micro, "--cores", "3", *markers, **pretend_gpus(gpus))
    assert done.returncode == 0, done.stderr
    running = most = 0
    for line in done.stderr.splitlines():
        running += line.endswith("rule train:") - line.startswith("Finished jobid:")
        most = max(most, running)
    assert most == gpus


def test_the_cards_of_the_peers_are_a_target_of_their_own(micro, snakemake):
    cards = snakemake(micro, "--cores", "1", "-n", "cards")
    assert cards.returncode == 0, cards.stderr
    assert "results/micro/cards/cards.md" in cards.stdout
    assert "train" not in cards.stdout


def test_the_tuned_track_chooses_on_trials_and_reports_fresh_seeds(micro, snakemake, tmp_path):
    content = yaml.safe_load(micro.read_text()) | {"name": "tuned", "tracks": ["tuned"], "tuning": {"trials": 2}}
    content["datasets"]["scaled_regression"] |= {"epochs": 1, "methods": ["equal", "single_task"]}
    config = tmp_path / "tuned.yaml"
    config.write_text(yaml.safe_dump(content))
    done = snakemake(config, "--cores", "2", "leaderboard")
    assert done.returncode == 0, done.stderr
    results = tmp_path / "results" / "tuned"
    for method in ("single_task", "equal"):
        (selection,) = (results / "trials").glob(f"*/*/{method}/selection.json")
        chosen = next(trial for trial in json.loads(selection.read_text())["trials"] if trial["chosen"])
        for seed in (0, 1):
            (path,) = (results / "runs").glob(f"*/*/{method}/seed-{seed}/run.json")
            run = json.loads(path.read_text())
            assert run["recipe"]["learning_rate"] == chosen["learning_rate"]
            assert run["test"]
    trials = list((results / "trials").glob("*/*/*/trial-*/seed-*/run.json"))
    assert len(trials) == 4
    assert not any(json.loads(path.read_text())["test"] for path in trials)
    assert "Nothing to be done" in snakemake(config, "-n", "--cores", "2", "leaderboard").stdout
