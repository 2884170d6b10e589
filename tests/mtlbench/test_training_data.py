"""A run on data that cannot be right ends in the dataset's sentence, not in a record of a failed training."""

from __future__ import annotations

import pytest
import torch

from mtlbench import tasks
from mtlbench.tasks import DatasetError, Splits
from mtlbench.training.cell import run_seed


@pytest.mark.parametrize(
    ("split", "where", "value", "message"),
    [
        ("train", "inputs", torch.nan, "the training inputs have numbers that are not finite in 1 of 70 samples"),
        ("test", "c", 3, "the test targets of task 'c' hold the label 3, but labels lie between 0 and 2"),
        ("validation", "c", -100, "the validation split has no sample with a label of task 'c'"),
    ],
)
def test_it_is_refused_before_training(tiny, tiny_cell, tmp_path, monkeypatch, split, where, value, message):
    dataset = type(tasks.get("tiny"))
    real = dataset.load

    def load(*arguments: object) -> Splits:
        splits = real(*arguments)
        part = getattr(splits, split)
        if where == "inputs":
            part.inputs[4, 0] = value
        else:
            part.targets[where].fill_(value)
        return splits

    monkeypatch.setattr(dataset, "load", load)
    with pytest.raises(DatasetError, match=f"^tiny: {message}"):
        run_seed(tiny_cell(), 0, tmp_path)
    assert not (tmp_path / "run.json").exists()
    assert not tiny.judged
