"""What a loader returned, looked over once for all datasets before anything is trained on it."""

from __future__ import annotations

import torch
from torch import Tensor

from .dataset import UNLABELLED, DatasetError, MultiTaskDataset, Splits, Task, labelled

KINDS = (torch.float32, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def check_splits(dataset: MultiTaskDataset, splits: Splits) -> None:
    """Raise :class:`DatasetError` with one sentence at the first thing that cannot be right.

    Every split has a sample, and targets of the tasks and no others; inputs and targets are float32 or integers (small
    ones too: a picture may stay bytes until the encoder sees it), of the same shape and type as in training; inputs are
    finite; float targets have the shape (N, outputs, ...), the head's, and are finite or NaN, which means missing;
    integer targets are classes, from 0 to below the task's outputs (0 and 1 for a single output), or -100, which means
    missing; every task has a label at least once, and both classes where one of its metrics needs them.
    """
    parts = {"training": splits.train, "validation": splits.validation, "test": splits.test}
    names = [task.name for task in dataset.tasks]
    for part, split in parts.items():
        where = f"{dataset.name}: the {part} split"
        if len(split) == 0:
            raise DatasetError(f"{where} has no sample")
        if set(split.targets) != set(names):
            raise DatasetError(
                f"{where} has targets of {', '.join(sorted(split.targets)) or 'no task'}, but the tasks are "
                f"{', '.join(names)}"
            )
        _check_kind(f"{dataset.name}: the {part} inputs", split.inputs, splits.train.inputs)
        if split.inputs.is_floating_point() and not _finite(split.inputs):
            raise DatasetError(f"{dataset.name}: the {part} inputs have {_share(~split.inputs.isfinite())}")
    for task in dataset.tasks:
        missing = []
        for part, split in parts.items():
            target = split.targets[task.name]
            what = f"{dataset.name}: the {part} targets of task {task.name!r}"
            _check_kind(what, target, splits.train.targets[task.name])
            if not _check_labels(what, task, target):
                missing.append(part)
        if missing:
            every = "no split" if len(missing) == len(parts) else f"the {' and the '.join(missing)} split"
            has = "has a sample" if len(missing) == len(parts) else "has no sample"
            raise DatasetError(f"{dataset.name}: {every} {has} with a label of task {task.name!r}")
        for part, split in parts.items():
            _check_classes(f"{dataset.name}: the {part} split", task, split.targets[task.name])


def _check_kind(what: str, tensor: Tensor, training: Tensor) -> None:
    if tensor.dtype not in KINDS:
        raise DatasetError(f"{what} are {_name(tensor.dtype)}, but must be float32 or integers")
    if tensor.dtype != training.dtype:
        raise DatasetError(f"{what} are {_name(tensor.dtype)}, but those of training {_name(training.dtype)}")
    if tensor.shape[1:] != training.shape[1:]:
        raise DatasetError(
            f"{what} have the shape {_shape(tensor)} for each sample, but those of training {_shape(training)}"
        )


def _check_labels(what: str, task: Task, target: Tensor) -> bool:
    """Whether there is any label in ``target``; raises where one of them is impossible."""
    if target.is_floating_point():
        if target.shape[1:2] != (task.outputs,):
            raise DatasetError(
                f"{what} have the shape {_shape(target)} for each sample, but the head gives {task.outputs}: "
                f"float targets are (N, {task.outputs}, ...)"
            )
        if target.isinf().any():
            raise DatasetError(f"{what} have {_share(target.isinf())}")
        return not bool(target.isnan().all())
    there = labelled(target)
    last = max(task.outputs, 2) - 1
    wrong = there & ((target < 0) | (target > last))
    if wrong.any():
        label = int(target[wrong][0])
        raise DatasetError(
            f"{what} hold the label {label}, but labels lie between 0 and {last}, "
            f"or are {UNLABELLED} where one is missing"
        )
    return bool(there.any())


def _check_classes(where: str, task: Task, target: Tensor) -> None:
    """Raise where a metric that needs two classes would see one, in any column of ``target``."""
    metric = next((metric.name for metric in task.metrics if metric.two_classes), None)
    for column in target.reshape(len(target), -1).T if metric else ():
        labels = column[labelled(column)]
        if len(labels) and bool((labels == labels[0]).all()):
            raise DatasetError(
                f"{where} has no label of task {task.name!r} but {labels[0].item():g}: its {metric} needs both classes"
            )


def _finite(tensor: Tensor) -> bool:
    # NaN spreads to the least and the largest, and neither needs memory of the tensor's size.
    return all(bool(end.isfinite()) for end in torch.aminmax(tensor)) if tensor.numel() else True


def _share(wrong: Tensor) -> str:
    samples = int(wrong.flatten(1).any(dim=1).sum()) if wrong.ndim > 1 else int(wrong.sum())
    first = int(wrong.nonzero()[0, 0])
    return f"numbers that are not finite in {samples} of {len(wrong)} samples, the first in sample {first}"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape[1:])) or "of one number"
