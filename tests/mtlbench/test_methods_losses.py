"""The methods that look at the losses alone: formulas, laws, authors' codes, and what is refused."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from mtlbench import methods
from mtlbench.errors import InputError
from mtlbench.methods.go4align import group_means
from mtlbench.methods.method import UndefinedLoss

L = np.array([0.5, 2.0, 4.0])
RNG = np.random.default_rng(0)
SERIES = [10 ** RNG.uniform(-2, 2, 4) for _ in range(12)]


def weights(name, losses=L, **options):
    return methods.get(name, **options).weights(losses=losses)


def close(found, expected, rtol=1e-12):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=0)


def slopes(objective, losses):
    """The gradient of ``objective`` in the losses: what a loss method's weights are."""
    leaf = torch.tensor(losses, dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(objective(leaf), leaf)[0].numpy()


# ---- references: running, initial, prior -------------------------------------------------------------------------


def test_running_initial_and_prior_losses():
    assert weights("running_loss").tolist() == [2.0, 0.5, 0.25]
    close(weights("running_loss", np.array([0.0, 1.0]), epsilon=0.5), [2, 2 / 3])
    method = methods.get("initial_loss")
    assert [method.weights(losses=c * L).tolist() for c in (1, 7)] == [[2.0, 0.5, 0.25]] * 2
    method = methods.get("initial_loss", steps=2)
    found = [method.weights(losses=c * L) for c in (1, 3, 5)]
    close(found, [1 / L, 1 / (2 * L), 1 / (2 * L)])
    method = methods.get("prior_loss")
    assert [method.weights(losses=c * L).tolist() for c in (1, 7)] == [[2.0, 0.5, 0.25]] * 2


@pytest.mark.parametrize(("name", "option"), [("initial_loss", "initial"), ("prior_loss", "prior")])
def test_given_references_are_constants(name, option):
    method = methods.get(name, **{option: (4, 0.5)})
    assert [method.weights(losses=losses).tolist() for losses in ([1.0, 1.0], [9.0, 0.0])] == [[0.25, 2.0]] * 2
    assert method.options()[option] == [4.0, 0.5]
    assert (method.promises.common_scale, method.promises.task_scale) == (0.0, "linear")
    with pytest.raises(InputError, match=f"{option} of {name}: 2 given for 3 tasks"):
        method.weights(losses=L)


# ---- random weights ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("distribution", ["normal", "dirichlet"])
def test_random_weights_have_mean_one_over_k(distribution):
    method = methods.get("rlw", distribution=distribution, seed=3)
    draws = np.array([method.weights(losses=L) for _ in range(4000)])
    close(draws.sum(axis=1), 1)
    assert (draws > 0).all()
    # Four standard errors: no entry has a standard deviation above 0.24.
    assert abs(draws.mean(axis=0) - 1 / 3).max() < 4 * 0.24 / np.sqrt(4000)
    # Uniform on the triangle: P(w_i > 1/2) = 1/4; through the softmax the corners are rarer.
    powers = np.exp(np.random.default_rng(9).normal(size=(100_000, 3)))
    share = 1 / 4 if distribution == "dirichlet" else (powers[:, 0] > powers[:, 1:].sum(axis=1)).mean()
    assert (draws > 0.5).mean() == pytest.approx(share, abs=0.01)
    assert (share == 1 / 4) == (distribution == "dirichlet")
    assert weights("rlw", distribution=distribution, seed=3).tolist() == draws[0].tolist()


# ---- the authors' codes, written again with autograd -------------------------------------------------------------


@pytest.mark.parametrize(("form", "a", "b"), [("plain", 1, 1), ("gaussian", 0.5, 0.5), ("softmax", 1, 0.5)])
def test_uw_descends_its_objective(form, a, b):
    s = torch.full((4,), -0.5, dtype=torch.float64, requires_grad=True)
    optimizer, method = torch.optim.Adam([s], lr=0.1), methods.get("uw", form=form, initial=-0.5, learning_rate=0.1)
    for losses in SERIES:
        close(method.weights(losses=losses), a * np.exp(-s.detach().numpy()))
        optimizer.zero_grad()
        (a * (-s).exp() * torch.from_numpy(losses) + b * s).sum().backward()
        optimizer.step()
    still = methods.get("uw", form=form, learning_rate=0.05)
    for _ in range(800):
        found = still.weights(losses=L)
    close(found, b / L, rtol=1e-3)


def test_famo_follows_the_code_of_its_authors():
    """They add ε to the losses; here it is a floor, so the losses that ours gets have it in them."""
    method, xi = methods.get("famo"), torch.zeros(4, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([xi], lr=0.025, weight_decay=0.01)
    for before, after in zip(SERIES[::2], SERIES[1::2], strict=True):
        z = xi.softmax(-1).detach()
        c = (z / (torch.from_numpy(before) + 1e-8)).sum()
        expected = slopes(lambda losses, z=z, c=c: ((losses + 1e-8).log() * z / c).sum(), before)
        close(method.weights(losses=before + 1e-8), expected)
        progress = torch.from_numpy(np.log(before + 1e-8) - np.log(after + 1e-8))
        xi.grad = torch.autograd.grad(xi.softmax(-1), xi, progress)[0]
        optimizer.step()
        method.observe(torch.from_numpy(after + 1e-8))
    close(method.vector(4), xi.detach().numpy(), rtol=1e-9)


def test_famo_takes_a_loss_of_zero():
    """A batch learned by heart has a float32 cross-entropy of exactly 0: no reason to lose the run."""
    method = methods.get("famo")
    close(method.weights(losses=np.array([1.0, 0.0])), np.array([1e-8, 1.0]) / (1 + 1e-8))
    close(weights("famo", np.array([1.0, 0.0]), epsilon=0.25), [0.2, 0.8])
    method.observe(np.array([0.5, 0.0]))
    xi = method.vector(2)
    assert np.isfinite(xi).all()
    assert xi[1] > xi[0]


def test_famo_favours_the_task_that_improved_less():
    method = methods.get("famo")
    close(method.weights(losses=L), (1 / L) / (1 / L).sum())
    method.observe(L * [0.5, 1.0, 0.9])
    xi = method.vector(3)
    assert xi[1] > xi[2] > xi[0]
    # Without a step before it, or where a loss left the domain, there is nothing to learn from.
    method.observe(L)
    method.weights(losses=L)
    for odd in (-0.5, np.nan, np.inf):
        method.observe(np.array([odd, 1.0, 1.0]))
        method.weights(losses=L)
    assert method.vector(3).tolist() == xi.tolist()
    bounded = methods.get("famo", lower_bounds=[0.25, 0, -4])
    close(bounded.weights(losses=L), np.array([4, 0.5, 0.125]) / 4.625)


def test_dwa_compares_the_last_two_windows():
    method = methods.get("dwa", period=2)
    means = np.array([[1.0, 2.0], [0.5, 2.0]])
    found = [method.weights(losses=c * mean) for mean in means for c in (0.8, 1.2)]
    found += [method.weights(losses=np.ones(2)) for _ in range(3)]
    close(found[:4], 1)
    powers = np.exp([0.5 / 2, 1.0 / 2])
    close(found[4:6], [2 * powers / powers.sum()] * 2)
    # Now the windows are the second and the third.
    powers = np.exp([1 / 0.5 / 2, 1 / 2 / 2])
    close(found[6], 2 * powers / powers.sum())


def test_stch_is_the_slope_of_a_smooth_maximum():
    preference, ideal = np.array([1.0, 2.0, 0.5]), np.array([0.1, 0.2, -1.0])
    scaled = torch.from_numpy(preference)
    found = weights("stch", mu=0.7, preference=preference.tolist(), ideal=ideal.tolist())
    close(found, slopes(lambda x: 0.7 * (scaled * (x - torch.from_numpy(ideal)) / 0.7).logsumexp(0), L))
    close(weights("stch", 1e8 * L, mu=0.1), [0, 0, 1])
    close(weights("stch", mu=1e9), np.ones(3) / 3, rtol=1e-8)


def test_stch_with_warm_up_follows_the_code_of_its_authors():
    method = methods.get("stch", mu=0.5, warm_up=1, period=2)
    for losses in SERIES[:4]:
        close(method.weights(losses=losses), 1 / losses)
    nadir = torch.from_numpy((SERIES[2] + SERIES[3]) / 2)
    for losses in SERIES[4:]:
        expected = slopes(lambda x: 4 * 0.5 * ((x / nadir).log() / 0.5).logsumexp(0), losses)
        close(method.weights(losses=losses), expected)
    assert (method.promises.common_scale, method.promises.task_scale) == (-1.0, "invariant")


@pytest.mark.parametrize("options", [{}, {"router": "softmax", "penalty": 0.3}, {"tau": "one"}])
@pytest.mark.parametrize("normalisation", ["none", "initial"])
def test_ldc_mtl_descends_both_levels_at_once(options, normalisation):
    settings = {"router": "sigmoid", "penalty": 0.01, "tau": "weights"} | options
    method = methods.get("ldc_mtl", normalisation=normalisation, learning_rate=0.05, **options)
    sigmoid = settings["router"] == "sigmoid"
    x = torch.full((4,), 1.0 if sigmoid else 0.0, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([x], lr=0.05)
    ratios = torch.from_numpy(SERIES[0] / SERIES[0].min()) if normalisation == "initial" else torch.ones(4)
    for values in SERIES:
        losses = torch.tensor(values, requires_grad=True)
        sigma = x.sigmoid() if sigmoid else x.softmax(-1)
        tau = sigma if settings["tau"] == "weights" else torch.ones(4)
        scaled = losses / ratios
        total = sigma @ scaled / sigma.sum().detach() + settings["penalty"] * (tau * scaled).diff().abs().sum()
        optimizer.zero_grad()
        total.backward()
        close(method.weights(losses=values), losses.grad.numpy(), rtol=1e-9)
        optimizer.step()


# ---- groups ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [1, 2, 3, 4])
def test_groups_on_a_line_are_the_best_of_all_partitions(groups):
    rng = np.random.default_rng(groups)
    for spread in (1, 4):
        values = 10 ** (spread * rng.normal(size=5))

        def spent(labels, values=values):
            parts = [values[np.array(labels) == label] for label in set(labels)]
            return sum(((part - part.mean()) ** 2).sum() for part in parts)

        best = min(spent(labels) for labels in product(range(groups), repeat=5))
        found = group_means(values, groups)
        assert len(set(found)) == groups
        assert ((values - found) ** 2).sum() == pytest.approx(best, rel=1e-9)


def test_go4align_shares_weights_in_groups():
    # The first step by hand: q ∝ exp(−η L), v = q ΣL / L = (10.5, 10, 1) q for these losses; 10.5 and 10 join.
    losses = np.array([1.0, 1.05, 10.5])
    q = np.exp(-1e-4 * losses)
    v = q / q.sum() * losses.sum() / losses
    close(weights("go4align", losses), [v[:2].mean()] * 2 + [v[2]])
    close(weights("go4align", losses, groups=3), v)
    close(weights("go4align", losses, groups=9), v)
    close(weights("go4align", losses, groups=1), [v.mean()] * 3)
    method, total = methods.get("go4align", groups=4, step_size=0.1), 0
    for values in SERIES:
        total = total + values
        q = np.exp(-0.1 * (total - total.min()))
        close(method.weights(losses=values), q / q.sum() * values.sum() / values, rtol=1e-9)


# ---- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "losses", "options", "sentence"),
    [
        ("running_loss", [1.0, 0.0], {}, r"positive losses, but that of task 1 is 0; epsilon="),
        ("running_loss", [-1.0, 1.0], {"epsilon": 0.5}, "that of task 0 is -0.5"),
        ("gls", [1.0, -2.0], {}, "gls needs positive losses, but that of task 1 is -2"),
        ("generalised_mean", [1.0, 0.0], {"p": 0.5}, r"that of task 1 is 0 and p is 0.5; p=1 takes any loss"),
        ("generalised_mean", [1.0, -1.0], {}, "p = 2 needs losses of at least 0, got -1"),
        ("initial_loss", [0.0, 1.0], {}, "that of task 0 is 0; initial="),
        ("prior_loss", [0.0, 1.0], {}, "that of task 0 is 0 at the first step; prior="),
        ("uw", [1.0, -1.0], {}, "that of task 1 is negative"),
        ("famo", [1.0, 0.0], {"epsilon": 0}, "that of task 1 is 0 above its lower bound"),
        ("famo", [1.0, -0.5], {}, "positive losses, but that of task 1 is -0.5 above its lower bound; lower_bounds="),
        ("stch", [1.0, 0.0], {"warm_up": 0}, "that of task 1 is 0; without warm_up="),
        ("go4align", [1.0, 0.0], {}, "go4align needs positive losses"),
        ("ldc_mtl", [1.0, 0.0], {"normalisation": "initial"}, "that of task 1 is 0 at the first step"),
    ],
)
def test_a_loss_outside_the_formula_is_one_sentence(name, losses, options, sentence):
    with pytest.raises(UndefinedLoss, match=sentence):
        weights(name, np.array(losses), **options)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("generalised_mean", {"p": "most"}, 'p of generalised_mean must be a number, "max" or "min"'),
        ("generalised_mean", {"p": float("nan")}, "p of generalised_mean must be a finite number, got nan"),
        ("rlw", {"distribution": "norml"}, "did you mean 'normal'"),
        ("initial_loss", {"initial": [1, 0]}, "initial of initial_loss must hold positive numbers"),
        ("prior_loss", {"prior": 3}, "must be a list with one number per task, got 3"),
        ("prior_loss", {"prior": ["a"]}, r"prior\[0\] of prior_loss must be a finite number"),
        ("dwa", {"period": 0}, "period of dwa must be an integer of at least 1"),
        ("dwa", {"temperature": 0}, "temperature of dwa must be positive"),
        ("stch", {"mu": 0}, "mu of stch must be positive"),
        ("stch", {"ideal": [0], "warm_up": 1}, "stch takes ideal= or warm_up="),
        ("uw", {"form": "gauss"}, "did you mean 'gaussian'"),
    ],
)
def test_wrong_options(name, options, sentence):
    with pytest.raises(InputError, match=sentence):
        methods.get(name, **options)


def test_a_window_whose_mean_is_not_positive_ends_dwa():
    method = methods.get("dwa", period=1)
    method.weights(losses=np.array([-1.0, 1.0]))
    with pytest.raises(UndefinedLoss, match="dwa, in the mean of a window, needs positive losses"):
        method.weights(losses=L[:2])
