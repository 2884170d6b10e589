"""What cannot be right about loaded data is said in one sentence, and ends a training with exit status 2."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from mtlbench.tasks import DatasetError, Split, Splits
from mtlbench.tasks.checks import check_splits
from mtlbench.tasks.metrics import ACCURACY, AUC, RMSE

NAN, INF = float("nan"), float("inf")


def part(count: int = 6, **changes: torch.Tensor) -> Split:
    inputs = changes.pop("inputs", torch.ones(count, 2))
    targets = {"kind": torch.arange(count) % 3, "size": torch.ones(count, 1), "flag": torch.arange(count) % 2}
    return Split(inputs, targets | changes)


def check(**changed: Split) -> None:
    dataset = SimpleNamespace(
        name="mine",
        tasks=[
            SimpleNamespace(name="kind", outputs=3, metrics=(ACCURACY,)),
            SimpleNamespace(name="size", outputs=1, metrics=(RMSE,)),
            SimpleNamespace(name="flag", outputs=1, metrics=(ACCURACY, AUC)),
        ],
    )
    parts = {"train": part(), "validation": part(), "test": part()} | changed
    check_splits(dataset, Splits.of(**parts))


def labels(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def test_good_data_pass_missing_labels_too():
    check()
    check(train=part(kind=labels(0, 2, -100, -100, 1, 1), size=torch.tensor([[NAN]] * 5 + [[1.0]])))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"validation": part(0)}, "^mine: the validation split has no sample$"),
        (
            {"train": part(inputs=torch.ones(6, 2).double())},
            "training inputs are float64, but must be float32",
        ),
        ({"test": part(size=torch.ones(6, 1).half())}, "test targets of task 'size' are float16, but must be float32"),
        ({"validation": part(kind=torch.ones(6))}, "validation targets of task 'kind' are float32, but those .* int64"),
        ({"test": part(inputs=torch.ones(6, 3))}, "test inputs have the shape 3 for each sample, but those .* 2"),
        (
            {"validation": part(inputs=torch.tensor([[1, 1]] * 4 + [[1, NAN]] * 2))},
            "validation inputs have numbers that are not finite in 2 of 6 samples, the first in sample 4",
        ),
        ({"train": part(inputs=torch.tensor([[INF, 1]] + [[1, 1]] * 5))}, "training inputs .* in 1 of 6 .* sample 0"),
        (
            {"train": part(size=torch.tensor([[1.0]] * 5 + [[-INF]]))},
            "targets of task 'size' have numbers that",
        ),
        (
            {"train": part(kind=labels(0, 1, 2, 3, 0, 0))},
            "hold the label 3, but labels lie between 0 and 2, or",
        ),
        ({"test": part(kind=labels(0, 1, 2, -1, 0, 0))}, "the test targets of task 'kind' hold the label -1"),
        ({"test": part(flag=labels(0, 1, 2, 0, 0, 0))}, "hold the label 2, but labels lie between 0 and 1"),
        (
            {"validation": part(flag=labels(0, 0, -100, 0, 0, 0))},
            "^mine: the validation split has no label of task 'flag' but 0: its auc needs both classes$",
        ),
        (
            dict.fromkeys(("train", "validation", "test"), part(size=torch.ones(6))),
            "targets of task 'size' have the shape of one number for each sample, but the head gives 1: .*N, 1, ",
        ),
        (
            dict.fromkeys(("train", "validation", "test"), part(size=torch.ones(6, 2))),
            "targets of task 'size' have the shape 2 for each sample, but the head gives 1",
        ),
        (
            {"validation": part(kind=labels(*[-100] * 6))},
            "^mine: the validation split has no sample with a label of task 'kind'$",
        ),
        (
            {"test": part(size=torch.full((6, 1), NAN))},
            "^mine: the test split has no sample with a label of task 'size'$",
        ),
        (
            dict.fromkeys(("train", "validation", "test"), part(size=torch.full((6, 1), NAN))),
            "^mine: no split has a sample with a label of task 'size'$",
        ),
        (
            {"test": Split(torch.ones(6, 2), {"kind": labels(*[0] * 6)})},
            "the test split has targets of kind, but the tasks are kind, size, flag",
        ),
    ],
)
def test_what_is_wrong_is_named(changed, message):
    with pytest.raises(DatasetError, match=message) as caught:
        check(**changed)
    assert "\n" not in str(caught.value)
