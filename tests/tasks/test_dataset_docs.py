"""The worked example of docs/add-a-dataset.md, followed literally."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mtlbench import tasks
from mtlbench.sections import Cell
from mtlbench.tasks import DatasetError, SourceFile
from mtlbench.training.cell import run_seed

PAGE = Path(__file__).parents[2] / "docs" / "add-a-dataset.md"


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The dataset of the page, dropped in, and the folder in which the page's commands were run."""
    make_csv, module = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(module.splitlines()) <= 40
    subprocess.run([sys.executable, "-c", make_csv], cwd=tmp_path, check=True)
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "heating.py").write_text(module, encoding="utf-8")
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(tmp_path / "drop")])
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MTLBENCH_DATA", raising=False)
    yield tasks.get("heating")
    sys.modules.pop("mtlbench.tasks.heating")


def test_it_is_listed_loads_and_learns(example):
    assert "heating" in tasks.names()
    splits = example.load(0)
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [400, 100, 100]
    assert splits.digest == example.load(0).digest != example.load(1).digest
    rows = [{row.tobytes() for row in s.inputs.numpy()} for s in (splits.train, splits.validation, splits.test)]
    assert len(set().union(*rows)) == 600
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torch.nn.Sequential(example.encoder(), example.head(example.tasks[0]))
        optimizer = torch.optim.Adam(network.parameters(), lr=example.protocol.learning_rate)
        for _ in range(example.protocol.epochs):
            for batch in torch.randperm(400).split(example.protocol.batch_size):
                optimizer.zero_grad()
                loss = example.tasks[0].loss(
                    network(splits.train.inputs[batch]), splits.train.targets["heating"][batch]
                )
                loss.backward()
                optimizer.step()
    output = network(splits.test.inputs).detach().numpy()
    assert example.tasks[0].metrics[0].compute(splits.test.targets["heating"].numpy(), output) < 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda rows: [*rows[:5], rows[5] + ",1", *rows[6:]],
            "loaded .heating.py, line 27.: ValueError: the number",
        ),
        (lambda rows: [*rows[:5], "high" + rows[5], *rows[6:]], "line 27.: ValueError: could not convert string 'high"),
        (lambda rows: [*rows[:5], "nan" + rows[5][5:], *rows[6:]], "inputs have numbers that are not finite in 1 of"),
        (lambda rows: [row.rpartition(",")[0] + ",nan" for row in rows], "no split has a sample with a label of task"),
        (lambda rows: rows[:400], "the validation split has no sample"),
    ],
)
def test_content_that_cannot_be_right_ends_a_training_in_one_sentence(example, tmp_path, monkeypatch, change, message):
    """The file is the one that the dataset lists, and what it holds is wrong."""
    path = Path("data/heating/heating.csv")
    head, *rows = path.read_text().splitlines()
    path.write_text("\n".join([head, *change(rows)]))
    listed = SourceFile(path.name, hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size, "https://x/y")
    monkeypatch.setattr(type(example), "source", replace(example.source, files=(listed,)))
    cell = Cell(benchmark="mine", dataset="heating", method="equal", seeds=(0,), device="cpu")
    with pytest.raises(DatasetError, match=message) as caught:
        run_seed(cell, 0, tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("heating: ")
    assert not (tmp_path / "run" / "run.json").exists()


def test_its_files_are_checked(example):
    Path("data/heating/heating.csv").write_text("width,height\n")
    with pytest.raises(DatasetError, match=r"heating.csv is truncated"):
        example.load(0)
