"""A run on data that cannot be right ends in the dataset's sentence, not in a record of a failed training."""

from __future__ import annotations

from inspect import getsourcelines

import pytest
import torch

from mtlbench import tasks
from mtlbench.sections import Cell
from mtlbench.tasks import DatasetError, Splits, multi_digits
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


@pytest.mark.parametrize(("error", "said"), [(KeyError("a"), "KeyError: 'a'"), (AssertionError(), "AssertionError")])
def test_what_a_loader_trips_over_is_told_with_the_line_of_its_own_file(monkeypatch, tmp_path, error, said):
    """Here the dataset stands behind a primary task, whose own file is not the one to look at."""

    def stumble(*_: object) -> None:
        raise error

    monkeypatch.setattr("mtlbench.tasks.multi_digits._digits", stumble)
    cell = Cell(benchmark="b", dataset="multi_digits", method="equal", seeds=(0,), primary="right", device="cpu")
    line = next(n for n, text in enumerate(getsourcelines(multi_digits)[0], 1) if "= _digits()" in text)
    with pytest.raises(DatasetError) as caught:
        run_seed(cell, 0, tmp_path)
    assert str(caught.value) == f"multi_digits: its data cannot be loaded (multi_digits.py, line {line}): {said}"
    assert not (tmp_path / "run.json").exists()


def test_too_little_memory_is_no_wrong_input(monkeypatch, tmp_path):
    def stumble(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("mtlbench.tasks.multi_digits._digits", stumble)
    cell = Cell(benchmark="b", dataset="multi_digits", method="equal", seeds=(0,), device="cpu")
    assert run_seed(cell, 0, tmp_path)["status"] == "failed"
