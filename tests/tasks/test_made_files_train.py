"""The datasets whose real files are not at hand go through training, audit, evaluation and test on made ones."""

from __future__ import annotations

import math
import runpy
from pathlib import Path

import pytest

from mtlbench import tasks
from mtlbench.sections import Cell
from mtlbench.training.cell import run_seed

# office_home is read and trained by office31's code, cityscapes by nyuv2's.
ONE_OF_EACH = ("movielens", "nyuv2", "office31", "qm9")


@pytest.mark.parametrize(
    ("name", "method"),
    [*((name, "mgda") for name in ONE_OF_EACH), ("nyuv2", "mgda_ub"), ("nyuv2", "single_task"), ("celeba", "equal")],
)
def test_one_epoch_is_done_and_judged(name, method, ready, tmp_path: Path):
    _, data_dir = ready(name)
    small = runpy.run_path(str(Path(__file__).with_name(f"made_{name}.py")))["PARAMETERS"]
    cell = Cell(
        benchmark="made",
        dataset=name,
        dataset_parameters=small,
        method=method,
        seeds=(0,),
        epochs=1,
        batch_size=16,
        audit_interval=0 if name == "celeba" else 3,  # 40 tasks: an audit takes too long
        device="cpu",
    )
    record = run_seed(cell, 0, tmp_path / "run", data_dir=data_dir)
    assert record["status"] == "done", record["reason"]
    for task in tasks.get(name).tasks:
        assert set(record["test"][task.name]) == {metric.name for metric in task.metrics}
        assert all(math.isfinite(value) for value in record["test"][task.name].values())
