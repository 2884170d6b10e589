"""Losses where labels are missing: the mean over the samples that have one; 0, with zero gradient, where none has.

NaN marks a missing target of a regression or of yes and no, -100 a missing class. A mean over all samples would give
a task with few labels a small loss for that reason alone.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

MISSING = -100  # the class that cross entropy ignores


def masked_cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """The mean of ``−log softmax(output)_target``; output (N, classes, ...), target (N, ...) of any integer type."""
    if output.ndim > 2:
        # One row for each pixel: the kernel for pictures has no deterministic form on a GPU.
        output, target = output.movedim(1, -1).flatten(0, -2), target.flatten()
    total = cross_entropy(output, target.long(), ignore_index=MISSING, reduction="sum")
    return total / (target != MISSING).sum().clamp(min=1)


def masked_bce_with_logits(output: Tensor, target: Tensor) -> Tensor:
    """The mean binary cross entropy of the logits; target, of the output's shape, in [0, 1] or NaN."""
    known = ~target.isnan()
    return _mean(binary_cross_entropy_with_logits(output, _filled(target), reduction="none"), known)


def masked_mse(output: Tensor, target: Tensor) -> Tensor:
    """The mean of ``(output − target)²``, both of one shape."""
    return _mean((output - _filled(target)).square(), ~target.isnan())


def masked_l1(output: Tensor, target: Tensor) -> Tensor:
    """The mean of ``|output − target|``, both of one shape."""
    return _mean((output - _filled(target)).abs(), ~target.isnan())


def _filled(target: Tensor) -> Tensor:
    # Not nan_to_num: an infinite target is an error to be seen.
    return torch.where(target.isnan(), 0, target)


def _mean(losses: Tensor, known: Tensor) -> Tensor:
    return torch.where(known, losses, 0).sum() / known.sum().clamp(min=1)
