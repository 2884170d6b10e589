"""Losses over the samples that have a label: their mean, and 0 with zero gradient where a batch has none.

A missing label is NaN in a float target and ``UNLABELLED`` (-100) in a class target. With every label there, each is
torch's own loss with ``reduction="mean"``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from .dataset import UNLABELLED


def mse(output: Tensor, target: Tensor) -> Tensor:
    """``mean (output − target)²``; output and target of one shape."""
    return _mean(functional.mse_loss, output, target)


def l1(output: Tensor, target: Tensor) -> Tensor:
    """``mean |output − target|``; output and target of one shape."""
    return _mean(functional.l1_loss, output, target)


def bce_with_logits(output: Tensor, target: Tensor) -> Tensor:
    """``mean −t log s(o) − (1 − t) log(1 − s(o))``, s the logistic function; targets 0 and 1, float, of o's shape."""
    return _mean(functional.binary_cross_entropy_with_logits, output, target)


def cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """``mean −log softmax(output)[target]``; output (N, classes, ...), target (N, ...) of any integer type."""
    if output.ndim > 2:
        # One row for each pixel: the kernel for pictures has no deterministic form on a GPU.
        output, target = output.movedim(1, -1).flatten(0, -2), target.flatten()
    total = functional.cross_entropy(output, target.long(), ignore_index=UNLABELLED, reduction="sum")
    return total / (target != UNLABELLED).sum().clamp(min=1)


def _mean(loss: Callable[..., Tensor], output: Tensor, target: Tensor) -> Tensor:
    known = ~target.isnan()
    # The NaN has to go before the loss: masked behind it, its gradient would still be NaN.
    each = loss(output, torch.where(known, target, 0.0), reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)
