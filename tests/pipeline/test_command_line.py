"""The command line as a user meets it, started as a process of its own."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from pathlib import Path

import pytest

from mtlbench.referee import command

DOCS = Path(__file__).parents[2] / "docs"


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
        (("validate", "--solver", "not_there:solve"), "there is no module 'not_there' in this folder or installed"),
        (("validate", "--package", "dakp"), "did you mean 'daqp'?"),
        (("check", "not_there:solve"), "check 'not_there:solve': there is no module 'not_there'"),
        (("check", "math:sqrt", "--claims", "mgdb"), "did you mean 'mgda'?"),
        (("new", "method", "mgda"), "exists already"),
        (("list", "solvers", "--markdown"), "--markdown is for methods"),
        (("validate", "--random", "5", "--solver", "math:sqrt"), "leave out --solver"),
        (("train", "multi_digits", "equal", "--out", "/proc/none"), "cannot write"),
        (("verify", "results/none.zip"), "does not exist"),
        (("reproduce", "results/none"), "--cell"),
        (("leaderboard", "results/none", "--out", "here"), "it needs --with TABLE.csv"),
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


def test_the_solver_of_docs_validate_md_is_judged_as_written_there(mtlbench, tmp_path, monkeypatch, capsys):
    section = (DOCS / "validate.md").read_text(encoding="utf-8").split("## A solver of your own")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    faulty, sound = re.findall(r"```text\n(.*?)```", section, flags=re.DOTALL)
    (line,) = re.findall(r"^    mtlbench validate (.*)$", section, flags=re.MULTILINE)
    (cure,) = re.findall(r"`(gap <= .*?)`", section)
    for name in ("solvers.py", "tasks.py"):  # the folder is searched for mine.py, and for nothing of ours
        (tmp_path / name).write_text("raise SystemExit('the wrong module was imported')\n")
    (tmp_path / "mine.py").write_text(code)
    done = mtlbench("validate", *shlex.split(line))
    assert done.returncode == 1, done.stderr
    assert missing(faulty, done.stdout) == []
    folder = tmp_path / "results" / "validate"
    assert {"accuracy_table.csv", "profile.svg", "profile.png"} <= {path.name for path in folder.iterdir()}

    # Cured as the text says; in this process, which has imported everything by now.
    cured = code.replace("gap <= 1e-6:", f"{cure}:")
    assert cured != code
    (tmp_path / "mine_cured.py").write_text(cured)
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    command.add_options(parser, int, int)
    assert command.run(parser.parse_args(shlex.split(line.replace("mine:", "mine_cured:")))) == 0
    assert missing(sound, capsys.readouterr().out) == []


def missing(expected: str, printed: str) -> list[str]:
    """The lines of ``expected`` that were not printed."""
    there = masked(printed)
    return [line for line in masked(expected) if line not in ("...", *there)]


def masked(text: str) -> list[str]:
    """The lines without their figures, which differ from machine to machine, and without the width of columns."""
    figures = re.sub(r"\d[\d.]*(e[-+]\d+)?", "#", text)
    return [" ".join(line.split()) for line in re.sub(r"-{3,}", "--", figures).splitlines()]


def test_random_problems_are_counted_room_by_room(mtlbench, tmp_path):
    done = mtlbench("validate", "--random", "14", "--room", "min_norm", "--seed", "2", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    expected = "min_norm/active_set: 14 problems, 14 converged, 0 without a solution, 0 not finite, 0 failed"
    assert done.stdout.startswith(expected)
    assert (tmp_path / "exactness.csv").is_file()
