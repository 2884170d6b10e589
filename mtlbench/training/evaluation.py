"""Metrics over the samples of a split, and the scalar by which validation chooses the epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mtlbench.tasks.dataset import Running, Split, Task
from mtlbench.training.runtime import autocast

CHUNK = 1024  # samples per forward pass of an evaluation, fewer where they are large:
NUMBERS = 2**21  # of the inputs of one pass

Metrics = dict[str, dict[str, float]]


class Diverged(ArithmeticError):
    """Training left the finite numbers; the message is one sentence naming the task, where and when."""


@torch.no_grad()
def evaluate(model: nn.Module, split: Split, tasks: Sequence[Task], precision: str) -> Metrics:
    """``{task: {"loss": value, metric: value, ...}}`` over all samples of ``split``, in evaluation mode.

    Every number is computed once over the whole split, never as a mean of batch values: from all outputs, or from
    what a task's :class:`~mtlbench.tasks.dataset.Running` keeps of them. Raises :class:`Diverged` naming the task where
    an output, a loss or a metric is not finite.
    """
    model.eval()
    running: dict[str, Running] = {task.name: task.running() if task.running else _Kept(task) for task in tasks}
    chunk = max(1, min(CHUNK, NUMBERS // max(1, split.inputs[0].numel())))
    for start in range(0, len(split), chunk):
        part = slice(start, start + chunk)
        with autocast(split.inputs.device, precision):
            outputs, _ = model(split.inputs[part])
        for name, found in running.items():
            output = outputs[name].float()
            if not bool(torch.isfinite(output).all()):
                raise Diverged(f"the output of task {name!r} is not finite")
            found.add(split.targets[name][part], output)
    model.train()
    return {task.name: _finite(task, running[task.name].values()) for task in tasks}


class _Kept:
    """All outputs of a split, for metrics that are functions of whole arrays."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.targets: list[Tensor] = []
        self.outputs: list[Tensor] = []

    def add(self, target: Tensor, output: Tensor) -> None:
        self.targets.append(target)
        self.outputs.append(output)

    def values(self) -> dict[str, float]:
        target, output = torch.cat(self.targets), torch.cat(self.outputs)
        values = {"loss": float(self.task.loss(output, target))}
        truth, prediction = target.cpu().numpy(), output.cpu().numpy()
        return values | {metric.name: float(metric.compute(truth, prediction)) for metric in self.task.metrics}


def _finite(task: Task, values: dict[str, float]) -> dict[str, float]:
    for name, value in values.items():
        if not math.isfinite(value):
            raise Diverged(f"the {name} of task {task.name!r} is {value}")
    return values


def score(tasks: Sequence[Task], validation: Mapping[str, Mapping[str, float]]) -> tuple[int, float]:
    """How good an epoch is: the mean over tasks of ``s_t log M_t``, s_t = 1 where higher is better, else −1.

    ``M_t`` is the main metric of task t on validation. This is the logarithm of a geometric mean: one percent
    better in one task weighs the same in every task, whatever its unit, and no reference model is needed, for
    a reference would only add a constant. Of two epochs the higher score is better; equal scores: the earlier
    epoch.

    Where ``M_t`` is 0 the logarithm is infinite, and a higher-is-better metric below 0 (an R² worse than a
    constant) counts as 0. Infinities are counted first, so that the other tasks still decide between two
    epochs that have equally many: the score is the pair (number of +∞ minus number of −∞, mean of the finite
    terms).

    Raises ``ValueError`` where a lower-is-better main metric is negative: it has no ratio.
    """
    infinite, total = 0, 0.0
    for task in tasks:
        metric = task.metrics[0]
        value, sign = validation[task.name][metric.name], 1 if metric.higher_is_better else -1
        if value < 0 and sign < 0:
            raise ValueError(
                f"the main metric {metric.name!r} of task {task.name!r} is {value}: "
                "a main metric of which lower is better must not be negative"
            )
        if value <= 0:
            infinite -= sign
        else:
            total += sign * math.log(value)
    return infinite, total / len(tasks)
