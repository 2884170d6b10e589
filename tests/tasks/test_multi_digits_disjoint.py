"""multi_digits_disjoint: one label per training picture, the loss without any, and what it means for the bound."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtlbench import methods, tasks
from mtlbench.gradients import gramian, jacobian
from mtlbench.tasks.dataset import UNLABELLED
from mtlbench.tasks.losses import cross_entropy as masked_cross_entropy


@pytest.fixture(scope="module")
def splits():
    return tasks.get("multi_digits_disjoint").load(3)


def test_every_training_picture_of_multi_digits_keeps_one_of_its_labels(splits):
    whole = tasks.get("multi_digits").load(3)
    left, right = (splits.train.targets[name] != UNLABELLED for name in ("left", "right"))
    assert torch.equal(left, ~right)
    assert left.sum() == len(splits.train) / 2
    assert torch.equal(splits.train.inputs, whole.train.inputs)
    for name, kept in (("left", left), ("right", right)):
        assert torch.equal(splits.train.targets[name][kept], whole.train.targets[name][kept])
        for mine, full in ((splits.validation, whole.validation), (splits.test, whole.test)):
            assert torch.equal(mine.targets[name], full.targets[name])


def test_the_loss_is_the_mean_over_the_labelled_and_zero_without_any():
    output = torch.randn(6, 10, generator=torch.Generator().manual_seed(0)).requires_grad_()
    target = torch.tensor([3, UNLABELLED, 1, UNLABELLED, UNLABELLED, 9])
    kept = target != UNLABELLED
    expected = torch.nn.functional.cross_entropy(output[kept], target[kept])
    torch.testing.assert_close(masked_cross_entropy(output, target), expected)
    none = masked_cross_entropy(output, torch.full((6,), UNLABELLED))
    assert none == 0
    assert torch.autograd.grad(none, output)[0].count_nonzero() == 0


def test_the_weights_of_the_bound_know_the_norms_alone(splits):
    dataset = tasks.get("multi_digits_disjoint")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder, heads = dataset.encoder(), [dataset.head(task) for task in dataset.tasks]
    representation = encoder(splits.train.inputs[:256])
    losses = [
        task.loss(head(representation), splits.train.targets[task.name][:256])
        for task, head in zip(dataset.tasks, heads, strict=True)
    ]
    z = gramian(jacobian(losses, [representation]))
    assert z[0, 1] == 0
    inverse = 1 / np.diag(z)
    np.testing.assert_allclose(methods.get("mgda_ub").weights(gramian=z), inverse / inverse.sum(), rtol=1e-9)
