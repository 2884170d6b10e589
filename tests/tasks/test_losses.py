"""Losses and metrics over the samples that have a label."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from mtlbench.tasks import losses, metrics
from mtlbench.tasks.dataset import UNLABELLED

FLOAT = [
    (losses.mse, functional.mse_loss),
    (losses.l1, functional.l1_loss),
    (losses.bce_with_logits, functional.binary_cross_entropy_with_logits),
]


def drawn() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    output = torch.randn(9, 2, generator=generator, dtype=torch.float64).requires_grad_()
    target = torch.randint(2, (9, 2), generator=generator).double()
    return output, target, torch.rand(9, 2, generator=generator) < 0.5


@pytest.mark.parametrize(("loss", "plain"), FLOAT)
def test_value_and_gradient_are_those_of_the_labelled_entries_alone(loss, plain):
    output, target, known = drawn()
    masked = torch.where(known, target, torch.nan)
    torch.testing.assert_close(loss(output, masked), plain(output[known], target[known]))
    (found,) = torch.autograd.grad(loss(output, masked), output)
    (expected,) = torch.autograd.grad(plain(output[known], target[known]), output)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(loss(output, target), plain(output, target))


@pytest.mark.parametrize("loss", [loss for loss, _ in FLOAT])
def test_without_a_label_the_loss_and_its_gradient_are_zero(loss):
    output, target, _ = drawn()
    value = loss(output, torch.full_like(target, torch.nan))
    assert value.item() == 0
    assert not torch.autograd.grad(value, output)[0].any()


def test_cross_entropy_ignores_what_has_no_class():
    output = torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.tensor([[0, 1], [UNLABELLED, 2], [UNLABELLED, UNLABELLED], [1, 1]])
    torch.testing.assert_close(losses.cross_entropy(output, target), functional.cross_entropy(output, target))
    nothing = losses.cross_entropy(output, torch.full((4, 2), UNLABELLED))
    assert nothing.item() == 0
    assert not torch.autograd.grad(nothing, output)[0].any()


TARGET = np.array([[1.0], [0.0], [np.nan], [1.0], [0.0]], dtype=np.float32)
OUTPUT = np.array([[2.0], [-1.0], [50.0], [-0.5], [1.0]], dtype=np.float32)


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        (metrics.binary_accuracy, 2 / 4),
        (metrics.f1, 1 / (1 + 0.5 + 0.5)),
        (metrics.auc, 3 / 4),
        (metrics.mse, (1 + 1 + 2.25 + 1) / 4),
        (metrics.rmse, np.sqrt(5.25 / 4)),
        (metrics.mae, 4.5 / 4),
        (metrics.normalised_mse, 5.25 / 4 / 0.25),
        (metrics.r2, 1 - 5.25 / 4 / 0.25),
        (metrics.relative_rmse, np.sqrt(5.25 / 2)),
    ],
)
def test_metrics_leave_out_what_has_no_label(metric, value):
    assert metric(TARGET, OUTPUT) == pytest.approx(value)
    two = metric(np.hstack([TARGET, TARGET]), np.hstack([OUTPUT, OUTPUT]))
    assert two == pytest.approx(value), "the mean over outputs, each over its own samples"
    with pytest.raises(ValueError, match="no sample has a label"):
        metric(np.full_like(TARGET, np.nan), OUTPUT)


def test_metrics_that_are_not_defined_say_so():
    with pytest.raises(ValueError, match="labels that are all equal"):
        metrics.auc(np.ones((3, 1)), np.arange(3.0)[:, None])
    with pytest.raises(ValueError, match="all equal the mean of training"):
        metrics.relative_rmse(np.zeros((3, 1)), np.ones((3, 1)))
    with pytest.raises(ValueError, match="no sample has a label"):
        metrics.accuracy(np.array([UNLABELLED]), np.ones((1, 2)))
    assert metrics.accuracy(np.array([0, UNLABELLED]), np.array([[1.0, 0.0], [1.0, 0.0]])) == 1
