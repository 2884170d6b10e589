"""What a task loses before anything is learnt from the inputs: the loss of its best constant output."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtlbench.tasks.dataset import Split, Task


def prior_losses(tasks: Sequence[Task], split: Split) -> list[float]:
    """The losses of the best constant outputs of ``tasks`` on all samples of ``split``.

    The entropy of the labels where the loss is the cross-entropy, the variance of the targets where it is the
    squared error. Found with the task's own loss, whatever it is: a convex one is minimised, for another the
    result is one that constants reach.
    """
    return [_best(task, split.targets[task.name]) for task in tasks]


def _best(task: Task, target: Tensor) -> float:
    target = target.double() if target.is_floating_point() else target
    constant = torch.zeros(task.outputs, dtype=torch.float64, device=target.device, requires_grad=True)
    pixels = [1] * (target.ndim - 2)  # one constant for all of them, where the outputs have some
    # No tolerances: they would be absolute, and the units of a loss are anybody's (torch keeps one, felt below 1e-9).
    search = torch.optim.LBFGS(
        [constant], max_iter=200, tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe"
    )
    lowest = torch.inf

    def evaluate() -> Tensor:
        nonlocal lowest
        constant.grad = None
        loss = task.loss(constant.view(-1, *pixels).expand(len(target), -1, *target.shape[2:]), target)
        loss.backward()
        lowest = min(lowest, loss.item())
        return loss

    with torch.enable_grad():
        search.step(evaluate)
    return lowest
