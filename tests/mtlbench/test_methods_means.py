"""Means of the losses and unit gradients: which changes of the losses they mind, and how means go into each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtlbench import methods

L = np.array([0.5, 2.0, 4.0])


def weights(name, losses=L, **options):
    return methods.get(name, **options).weights(losses=losses)


def close(found, expected, rtol=1e-12):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=0)


def slopes(objective, losses):
    """The gradient of ``objective`` in the losses: what a loss method's weights are."""
    leaf = torch.tensor(losses, dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(objective(leaf), leaf)[0].numpy()


# ---- the laws of means and of unit gradients ---------------------------------------------------------------------


class Toy:
    """Three positive losses of five parameters, each seen through an increasing function of its own."""

    def __init__(self, *seen):
        rng = np.random.default_rng(1)
        a, x = torch.from_numpy(rng.normal(size=(3, 5))), torch.from_numpy(rng.normal(size=5)).requires_grad_()
        losses = [f(loss) for f, loss in zip(seen, (1 + (a @ x) ** 2).unbind(), strict=True)]
        self.rows = np.array([torch.autograd.grad(loss, x, retain_graph=True)[0].numpy() for loss in losses])
        self.losses = np.array([loss.item() for loss in losses])

    def update(self, name, **options):
        inputs = {"gramian": self.rows @ self.rows.T, "losses": self.losses}
        return self.rows.T @ methods.get(name, **options).weights(**inputs)


PLAIN = Toy(*[lambda loss: loss] * 3)
SCALED = Toy(lambda loss: 100 * loss, lambda loss: loss, lambda loss: 0.01 * loss)
SHIFTED = Toy(lambda loss: loss + 5, lambda loss: loss, lambda loss: loss + 0.1)
BENT = Toy(torch.log, lambda loss: loss**3 + loss, lambda loss: 7 * torch.exp(loss) - 3)


def same_vector(one, two):
    return np.linalg.norm(one - two) <= 1e-12 * np.linalg.norm(one)


def same_direction(one, two):
    return same_vector(one / np.linalg.norm(one), two / np.linalg.norm(two))


@pytest.mark.parametrize("name", ["gls", "running_loss", "generalised_mean"])
def test_a_geometric_mean_minds_constants_but_not_units(name):
    options = {"p": 0} if name == "generalised_mean" else {}
    updates = [toy.update(name, **options) for toy in (PLAIN, SCALED, SHIFTED)]
    assert same_direction(updates[0], updates[1])
    assert not same_direction(updates[0], updates[2])


def test_the_arithmetic_mean_minds_units_but_not_constants():
    for name, options in (("equal", {}), ("generalised_mean", {"p": 1})):
        updates = [toy.update(name, **options) for toy in (PLAIN, SCALED, SHIFTED)]
        assert not same_direction(updates[0], updates[1])
        assert same_vector(updates[0], updates[2])


def test_other_means_mind_both():
    for p in (-1, 0.5, 2, 5):
        plain, scaled, shifted = (toy.update("generalised_mean", p=p) for toy in (PLAIN, SCALED, SHIFTED))
        assert not same_direction(plain, scaled)
        assert not same_direction(plain, shifted)


def test_unit_gradients_mind_no_increasing_function():
    updates = [toy.update("unit_gradient") for toy in (PLAIN, SCALED, SHIFTED, BENT)]
    assert all(same_vector(updates[0], update) for update in updates[1:])
    assert not same_direction(PLAIN.update("running_loss"), BENT.update("running_loss"))


def test_the_running_loss_is_the_geometric_mean_up_to_length():
    mean = np.exp(np.log(L).mean())
    close(weights("running_loss"), 3 / mean * weights("gls"))
    close(weights("running_loss"), slopes(lambda losses: losses.log().sum(), L))
    close(weights("gls"), slopes(lambda losses: losses.prod() ** (1 / 3), L))


# ---- means -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [-30, -1, -0.2, 0.3, 1, 2, 7.5, 40])
def test_the_weights_of_a_mean_are_its_slopes(p):
    close(weights("generalised_mean", p=p), slopes(lambda losses: (losses**p).mean() ** (1 / p), L), rtol=1e-11)


def test_the_limits_of_the_means():
    assert weights("generalised_mean", p="max").tolist() == [0, 0, 1]
    assert weights("generalised_mean", p=-np.inf).tolist() == [1, 0, 0]
    assert weights("generalised_mean", np.array([3.0, 1.0, 3.0]), p=np.inf).tolist() == [0.5, 0, 0.5]
    close(weights("generalised_mean", p=1e8), [0, 0, 1], rtol=1e-7)
    close(weights("generalised_mean", p=-1e8), [1, 0, 0], rtol=1e-7)
    for p in (1e-12, -1e-12, 0):
        close(weights("generalised_mean", p=p), weights("gls"), rtol=1e-10)
    assert weights("generalised_mean").tolist() == weights("generalised_mean", p=2.0).tolist()
    assert methods.get("generalised_mean", p=float("inf")).options()["p"] == "max"


def test_means_grow_with_their_order():
    # The weights recover the mean: it is homogeneous of degree one.
    means = [weights("generalised_mean", p=p) @ L for p in ("min", -5, -1, 0, 0.5, 1, 3, "max")]
    assert (np.diff(means) > 0).all()
    close([means[0], means[3], means[5], means[-1]], [0.5, 4 ** (1 / 3), 6.5 / 3, 4.0])


@pytest.mark.parametrize("p", [-300, -1, 0, 1e-9, 0.5, 3, 300])
def test_means_of_extreme_losses_do_not_overflow(p):
    losses = np.array([1e-8, 3.0, 1e8])
    for c in (1e-200, 1.0, 1e200):
        found = weights("generalised_mean", c * losses, p=p)
        assert np.isfinite(found).all()
        close(found, weights("generalised_mean", losses, p=p), rtol=1e-9)
    assert np.isfinite(weights("gls", np.full(500, 1e-8))).all()


def test_losses_of_zero_in_a_mean():
    close(weights("generalised_mean", np.array([0.0, 2.0]), p=3), [0, 0.5 ** (1 / 3)])
    assert weights("generalised_mean", np.zeros(2), p=3).tolist() == [0.5, 0.5]
    assert weights("generalised_mean", np.array([-1.0, 2.0]), p=1).tolist() == [0.5, 0.5]
