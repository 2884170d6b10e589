"""Losses and metrics where labels are missing: over those that are there, and nothing where none is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from mtlbench.tasks import labelled, losses

NAN = float("nan")
REGRESSIONS = [
    (losses.masked_mse, functional.mse_loss),
    (losses.masked_l1, functional.l1_loss),
    (losses.masked_bce_with_logits, functional.binary_cross_entropy_with_logits),
]


@pytest.mark.parametrize(("masked", "plain"), REGRESSIONS)
def test_the_loss_is_the_mean_over_the_labelled(masked, plain):
    output = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.tensor([[0.0, 1.0], [NAN, 0.0], [1.0, NAN], [NAN, NAN], [1.0, 0.0]])
    known = ~target.isnan()
    torch.testing.assert_close(masked(output, target), plain(output[known], target[known]))
    (gradient,) = torch.autograd.grad(masked(output, target), output)
    (expected,) = torch.autograd.grad(plain(output[known], target[known]), output)
    torch.testing.assert_close(gradient, expected)
    none = masked(output, torch.full_like(target, NAN))
    assert none == 0
    assert torch.autograd.grad(none, output)[0].count_nonzero() == 0


def test_an_infinite_target_is_not_hidden():
    target = torch.tensor([[torch.inf], [NAN]])
    assert losses.masked_mse(torch.zeros(2, 1), target) == torch.inf


def test_missing_classes_of_pixels_and_of_small_types_are_ignored():
    output = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    target = torch.randint(0, 3, (2, 4, 5), generator=torch.Generator().manual_seed(1)).to(torch.int8)
    target[:, :2] = losses.MISSING
    known = target != losses.MISSING
    expected = functional.cross_entropy(output.movedim(1, -1)[known], target[known].long())
    torch.testing.assert_close(losses.masked_cross_entropy(output, target), expected)
    assert losses.masked_cross_entropy(output, torch.full_like(target, losses.MISSING)) == 0


def test_metrics_see_the_labelled_samples_alone():
    target = np.array([[0.0], [NAN], [1.0], [1.0], [0.0]])
    logit = np.array([[-1.0], [9.0], [2.0], [-2.0], [-3.0]])
    assert labelled.ROC_AUC.compute(target, logit) == 0.75
    assert labelled.F1.compute(target, logit) == pytest.approx(2 / 3)
    assert labelled.BINARY_ACCURACY.compute(target, logit) == 0.75
    assert labelled.mae("kg").compute(target, np.ones((5, 1))) == 0.5
    classes = np.array([1, losses.MISSING, 0])
    output = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    assert labelled.LABELLED_ACCURACY.compute(classes, output) == 0.5


def test_an_output_without_label_must_be_finite_too():
    with pytest.raises(ValueError, match="not finite"):
        labelled.mae("kg").compute(np.array([[1.0], [NAN]]), np.array([[1.0], [NAN]]))


def test_the_area_of_one_class_is_not_defined():
    with pytest.raises(ValueError, match="both classes"):
        labelled.ROC_AUC.compute(np.array([[1.0], [NAN], [1.0]]), np.zeros((3, 1)))
