"""Finding datasets by name, their parameters, and the folder of dataset files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mtlbench import tasks
from mtlbench.tasks import DatasetError, Split

ROOT = Path(__file__).parents[2]


def test_the_datasets_of_the_first_release_are_there():
    assert {"multi_digits", "multimnist", "scaled_regression"} <= set(tasks.names())
    assert list(tasks.names()) == sorted(tasks.names())


def test_names_do_not_import_torch():
    code = "import sys; from mtlbench import tasks; assert tasks.names(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_unknown_dataset_offers_the_nearest():
    with pytest.raises(DatasetError, match=r"unknown dataset 'multimnits': did you mean 'multimnist'\?"):
        tasks.get("multimnits")


@pytest.mark.parametrize("name", ["dataset", "files", "metrics", "overlay", "__init__", "..", ""])
def test_what_is_no_dataset_is_not_got(name):
    with pytest.raises(DatasetError, match="unknown dataset"):
        tasks.get(name)


def test_unknown_parameter_offers_the_nearest():
    with pytest.raises(
        DatasetError, match=r"unknown parameter of dataset multimnist 'sise': did you mean 'size'\? valid: size"
    ):
        tasks.get("multimnist", sise="60k")
    with pytest.raises(DatasetError, match="valid: none"):
        tasks.get("multi_digits", size="60k")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("multimnist", {"size": "70k"}),
        ("multimnist", {"size": 60}),
        ("multimnist", {"size": ["60k"]}),
        ("scaled_regression", {"tasks": 0}),
        ("scaled_regression", {"tasks": "ten"}),
        ("scaled_regression", {"tasks": 2.0}),
        ("scaled_regression", {"tasks": True}),
        ("scaled_regression", {"decades": -1}),
        ("scaled_regression", {"decades": "2"}),
        ("scaled_regression", {"decades": float("nan")}),
        ("scaled_regression", {"decades": 1000}),
    ],
)
def test_wrong_value_of_a_parameter_is_one_sentence(name, parameters):
    (parameter,) = parameters
    with pytest.raises(DatasetError, match=f"{name}: {parameter} is .* but must be") as caught:
        tasks.get(name, **parameters)
    assert "\n" not in str(caught.value)


def test_data_directory(monkeypatch):
    monkeypatch.setenv("MTLBENCH_DATA", "/from/the/environment")
    assert tasks.data_directory() == Path("/from/the/environment")
    assert tasks.data_directory("/explicit") == Path("/explicit")
    monkeypatch.delenv("MTLBENCH_DATA")
    assert tasks.data_directory() == Path("data")


def test_a_dropped_file_is_listed_and_got(tmp_path, monkeypatch):
    (tmp_path / "dropped_one.py").write_text(
        "from .multi_digits import MultiDigits\n\n\nclass Dropped(MultiDigits):\n"
        "    name, summary = 'dropped_one', 'a copy'\n\n    def __init__(self, *, dial=1):\n        self.dial = dial\n"
    )
    (tmp_path / "_helper.py").write_text("")
    (tmp_path / "dropped_empty.py").write_text("")
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(tmp_path)])
    assert {"dropped_one", "dropped_empty"} <= set(tasks.names())
    assert "_helper" not in tasks.names()
    assert tasks.get("dropped_one", dial=2).dial == 2
    with pytest.raises(DatasetError, match=r"tasks/dropped_empty.py must define one MultiTaskDataset, but defines 0"):
        tasks.get("dropped_empty")


def test_a_split_refuses_targets_of_another_length():
    with pytest.raises(DatasetError, match="3 inputs have 2 targets of task 'a'"):
        Split(torch.zeros(3, 1), {"a": torch.zeros(2)})
