"""The command line as a user meets it, started as a process of its own."""

from __future__ import annotations

import json

import pytest


def test_list_prints_one_name_a_line_or_json(mtlbench):
    plain = mtlbench("list", "methods", "--plain")
    assert plain.returncode == 0
    assert {"equal", "static", "unit_gradient", "mgda", "mgda_ub"} <= set(plain.stdout.split())
    for kind in ("methods", "datasets", "architectures", "solvers"):
        described = json.loads(mtlbench("list", kind, "--json").stdout)
        assert [entry["name"] for entry in described] == mtlbench("list", kind, "--plain").stdout.split()
        assert all(entry["summary"] for entry in described)


def test_train_leaves_a_whole_run(mtlbench, tmp_path):
    done = mtlbench("train", "multi_digits", "mgda", "--epochs", "1", "--seed", "3", "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["dataset"], record["method"], record["seed"], record["epochs"]) == ("multi_digits", "mgda", 3, 1)
    assert record["status"] == "done"
    assert set(record["test"]) == {"left", "right"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("train", "multi_digts", "mgda"), "did you mean 'multi_digits'?"),
        (("train", "multi_digits", "mgdb"), "did you mean 'mgda'?"),
        (("train", "multi_digits", "mgda", "--option", "solver=exakt"), "did you mean 'exact'?"),
        (("train", "multi_digits", "mgda", "--option", "solver"), "KEY=VALUE"),
        (("train", "multi_digits", "equal", "--learning-rate", "-1"), "learning_rate"),
        (("train", "multimnist", "equal", "--data-dir", "nowhere"), "MTLBENCH_DATA"),
        (("train", "multi_digits", "equal", "--epochs", "0"), "at least 1"),
        (("trian", "multi_digits", "mgda"), "did you mean 'train'?"),
        (("train", "multi_digits"), "METHOD"),
        (("train", "multi_digits", "mgda", "--device", "gpu"), "did you mean 'cpu'?"),
        (("train", "multi_digits", "mgda", "--sed", "3"), "--sed"),
        (("list", "method"), "did you mean 'methods'?"),
        (("report", "results/none"), "does not exist"),
        (("leaderboard", "results/none"), "does not exist"),
        (("validate", "--algorithm", "frank_wolf"), "did you mean 'frank_wolfe'?"),
        (("validate", "--config", "none.yaml"), "does not exist"),
        (("train", "multi_digits", "equal", "--out", "/proc/none"), "cannot write"),
    ],
)
def test_wrong_input_is_one_sentence_and_status_2(mtlbench, arguments, sentence):
    done = mtlbench(*arguments)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_users_own_tasks_and_solvers_never_shadow_ours(mtlbench, tmp_path):
    for name in ("tasks.py", "solvers.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong module was imported')\n")
    done = mtlbench("list", "datasets", "--plain")
    assert done.returncode == 0, done.stderr
    assert "multi_digits" in done.stdout.split()
