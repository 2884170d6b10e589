"""The worked example of docs/add-a-dataset.md, followed literally."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mtlbench import tasks
from mtlbench.tasks import DatasetError

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


def test_its_files_are_checked(example):
    Path("data/heating/heating.csv").write_text("width,height\n")
    with pytest.raises(DatasetError, match=r"heating.csv is truncated"):
        example.load(0)
