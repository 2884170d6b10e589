"""The pages about architectures: the worked example followed literally, the tables complete."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch

from mtlbench import architectures, config, tasks
from mtlbench.architectures import encoders
from mtlbench.gradients import shared_parameters

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def dropped_in(tmp_path, monkeypatch):
    """The architecture of the page, in a folder of its own."""
    page = (DOCS / "add-an-architecture.md").read_text(encoding="utf-8")
    (module,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "task_layers.py").write_text(module, encoding="utf-8")
    monkeypatch.setattr(architectures, "__path__", [*architectures.__path__, str(tmp_path)])
    yield architectures.get("task_layers", depth=2)
    sys.modules.pop("mtlbench.architectures.task_layers")


def test_the_worked_example_is_listed_and_built(dropped_in):
    assert "task_layers" in architectures.names()
    dataset = tasks.get("multi_digits")
    inputs = torch.rand(5, 1, 12, 12)
    model = dropped_in.build(dataset, dataset.tasks, inputs[:1])
    outputs, _ = model(inputs)
    losses = [task.loss(outputs[task.name], torch.arange(5)) for task in dataset.tasks]
    shared = {id(parameter) for parameter in shared_parameters(losses)}
    assert shared == {id(parameter) for parameter in model.encoder.parameters()}
    assert sum(p.numel() for p in model.own["left"].parameters()) == 2 * (48 * 48 + 48)


def test_the_page_lists_every_architecture_encoder_and_parameter():
    page = (DOCS / "architectures.md").read_text(encoding="utf-8")
    for name in architectures.names():
        (row,) = re.findall(rf"^\| `{name}` \|.*$", page, re.MULTILINE)
        own = set(type(architectures.get(name)).model_fields) - {"encoder", "head"}
        said = set(re.findall(r"`(\w+)`", page if name == "ple" else row))
        assert own <= said, name
    for name in encoders.names():
        (row,) = re.findall(rf"^\| `{name}` \|.*$", page, re.MULTILINE)
        assert set(type(encoders.get(name)).model_fields) <= set(re.findall(r"`(\w+)`", row))


def test_the_benchmark_file_of_the_page_is_valid(tmp_path):
    page = (DOCS / "architectures.md").read_text(encoding="utf-8")
    (file,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "page.yaml"
    path.write_text("name: page\nseeds: 1\n" + file, encoding="utf-8")
    cells = config.cells(config.load(path))
    assert len(cells) == 3 * 4
    for cell in cells:
        config.check_plugins(cell)
