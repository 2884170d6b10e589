"""Datasets that can be loaded here: those with source files get small made ones of the real format."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtlbench import tasks
from mtlbench.tasks import MultiTaskDataset

Ready = Callable[..., tuple[MultiTaskDataset, Path]]


@pytest.fixture
def ready(tmp_path: Path) -> Ready:
    """``ready(name, **parameters)`` -> the dataset and the data folder to load it from.

    A dataset with source files needs ``made_<name>.py`` beside this file, with ``make_test_files(data_dir)``, which
    writes small files of the real format and returns the source that describes them; its ``PARAMETERS``, if it has
    any, make the networks small too.
    """

    def build(name: str, data_dir: Path = tmp_path, **parameters: Any) -> tuple[MultiTaskDataset, Path]:
        dataset = tasks.get(name, **parameters)
        if dataset.source.files or dataset.source.layout:
            maker = Path(__file__).with_name(f"made_{name}.py")
            assert maker.exists(), f"{name} reads files: tests/tasks/{maker.name} must make small ones"
            made = runpy.run_path(str(maker))
            dataset = tasks.get(name, **made.get("PARAMETERS", {}) | parameters)
            dataset.source = made["make_test_files"](data_dir)
        return dataset, data_dir

    return build
