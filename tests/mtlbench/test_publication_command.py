"""The commands of the publication room, in this process: what they print, and their exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from bundles import SMALL

from mtlbench import cli
from mtlbench.errors import InputError
from mtlbench.publication import plan

pytestmark = pytest.mark.xdist_group("publication")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run one command as ``mtlbench`` does, without starting again in an environment of its own."""
    monkeypatch.setattr(cli, "restart_with_threads", lambda threads: None)

    def run(*arguments: object) -> int:
        options = cli._parser().parse_args([str(argument) for argument in arguments])
        return int(options.run(options))

    return run


def test_verify_says_how_many_files_hold_or_names_those_that_do_not(command, small, capsys):
    assert command("verify", small, small / "small.zip") == 0
    assert capsys.readouterr().out.count("48 files as their digests say, 9 runs") == 2
    for path in (small / "runs").glob("**/*.json"):
        path.write_text("{}")
    assert command("verify", small / "small.zip", small) == 1
    said = capsys.readouterr()
    assert "small.zip: 48 files" in said.out
    assert "single_task/seed-2/run.time.json is cut" in said.err


def test_compare_ends_with_zero_also_where_results_differ(command, trained, small, capsys):
    (small / "config.json").write_text(json.dumps(SMALL | {"seeds": 2}))
    assert command("compare", trained, small) == 0
    assert "Configuration seeds: 3 in A, 2 in B." in capsys.readouterr().out


def test_reproduce_tells_which_rule_it_judged_by(command, trained, tmp_path, capsys):
    arguments = ("reproduce", trained / "small.zip", "--cell", "scaled_regression/equal/0")
    assert command(*arguments, "--out", tmp_path / "out") == 0
    assert "every file must be the same to the byte: all 4 files are" in capsys.readouterr().out
    with pytest.raises(InputError, match="is not empty"):
        command(*arguments, "--out", tmp_path / "out")


def test_plan_prints_every_cell_and_runs_nothing(command, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plan, "_start", lambda *_: 1.0)
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL))
    assert command("plan", path, "--cores", 2, "--steps", 2) == 0
    said = capsys.readouterr()
    # Two tasks: two networks a seed for single_task; two backward passes a step for mgda.
    assert "small: 3 cells, 9 runs, 12 networks, 96 steps and 120 backward passes." in said.out
    assert "Training takes about " in said.out
    assert "measuring scaled_regression: 3 cells, step times of 3" in said.err
    assert list(tmp_path.iterdir()) == [path]
    path.write_text(yaml.safe_dump(SMALL | {"name": "smaller"}))
    with pytest.raises(InputError, match="must equal the file's stem"):
        command("plan", path)


def test_leaderboard_with_a_table_leaves_ours_alone(command, small, tmp_path, capsys):
    table = tmp_path / "theirs.csv"
    table.write_text("dataset,method,seed,task,metric,value\nscaled_regression,new,0,task_1,nmse,0.5\n")
    before = (small / "leaderboard.csv").read_bytes()
    assert command("leaderboard", small, "--with", table) == 0
    assert "small-with/leaderboard.csv" in capsys.readouterr().out
    assert (small / "leaderboard.csv").read_bytes() == before
    assert "new \\[theirs\\]" in (tmp_path / "small-with" / "leaderboard.md").read_text()
    with pytest.raises(InputError, match="needs --with"):
        command("leaderboard", small, "--out", tmp_path)


def test_the_pipelines_start_keeps_configuration_and_installed_versions(tmp_path: Path) -> None:
    from mtlbench import pipeline

    pipeline.keep_configuration(SMALL, tmp_path)
    lines = (tmp_path / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert {"torch", "numpy", "scipy", "snakemake"} <= set(pinned)
    assert "mtlbench" not in pinned
    assert not any("+" in version for version in pinned.values())
    assert json.loads((tmp_path / "config.json").read_text()) == SMALL
