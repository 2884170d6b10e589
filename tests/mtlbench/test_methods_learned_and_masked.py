"""Learned weights (IMTL-L, GradNorm) and masks by coordinate (GradDrop, sign agreement)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import mtlbench
from mtlbench import methods
from mtlbench.errors import InputError


def as_jacobian(rows, cut=1):
    """Rows as gradients of two parameters."""
    tensor = torch.as_tensor(rows)
    return tuple((row[:cut], row[cut:]) for row in tensor)


def masked(method, rows):
    """The rows that the method combines, and its update."""
    rows = torch.as_tensor(rows, dtype=torch.float64)
    seen = torch.stack([torch.cat(row) for row in method.rows(as_jacobian(rows), torch.ones(len(rows)))]).numpy()
    return seen, seen.T @ method.weights(gramian=seen @ seen.T)


def test_imtl_l_is_stationary_at_one_over_the_loss():
    method = methods.get("imtl_l", learning_rate=0.05)
    losses = np.array([0.5, 2.0, 1.0])
    assert method.weights(losses=losses).tolist() == [1, 1, 1]
    for _ in range(400):
        weights = method.weights(losses=losses)
    np.testing.assert_allclose(weights, 1 / losses, rtol=1e-3)


def test_imtl_l_steps_as_one_optimizer_on_the_joint_loss_would():
    rng = np.random.default_rng(0)
    scales = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([scales], lr=0.1)
    method = methods.get("imtl_l", learning_rate=0.1)
    for _ in range(5):
        losses = rng.uniform(0.1, 5, 3)
        np.testing.assert_allclose(method.weights(losses=losses), scales.detach().exp().numpy(), rtol=1e-12)
        adam.zero_grad()
        (scales.exp() * torch.from_numpy(losses) - scales).sum().backward()
        adam.step()


def test_imtl_l_refuses_a_negative_loss_and_takes_a_zero():
    method = methods.get("imtl_l", learning_rate=0.1)
    method.weights(losses=[0.0, 1.0])
    np.testing.assert_allclose(method.weights(losses=[0.0, 1.0]), [math.exp(0.1), 1], rtol=1e-6)
    with pytest.raises(InputError, match=r"imtl_l needs losses of at least 0, but that of task 1 is -0\.5"):
        method.weights(losses=[1.0, -0.5])


def test_gradnorm_takes_the_derivative_that_autograd_takes():
    rng = np.random.default_rng(1)
    rows, alpha = rng.normal(size=(4, 6)), 1.5
    first = rng.uniform(1, 2, 4)
    method = methods.get("gradnorm", alpha=alpha, learning_rate=0.1)
    w = torch.ones(4, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([w], lr=0.1, eps=1e-300)
    for losses in (first, *rng.uniform(0.5, 2, (6, 4))):
        np.testing.assert_allclose(method.weights(gramian=rows @ rows.T, losses=losses), w.detach(), rtol=1e-12)
        norms = torch.linalg.vector_norm(w[:, None] * torch.from_numpy(rows), dim=1)
        rates = torch.from_numpy(losses / first)
        target = (norms.mean() * (rates / rates.mean()) ** alpha).detach()
        adam.zero_grad()
        (norms - target).abs().sum().backward()
        adam.step()
        with torch.no_grad():
            w *= 4 / w.clamp_(min=0).sum()
    assert w.sum().item() == pytest.approx(4)


def test_gradnorm_equalises_the_weighted_gradients():
    method = methods.get("gradnorm", alpha=0.0, learning_rate=0.01)
    for _ in range(400):
        weights = method.weights(gramian=np.diag([1.0, 4, 16]), losses=np.ones(3))
    np.testing.assert_allclose(weights, np.array([4, 2, 1]) * 3 / 7, atol=0.05)


def test_gradnorm_lengthens_the_gradient_of_the_task_that_lags():
    method = methods.get("gradnorm")
    for losses in ([1.0, 1.0], *[[0.5, 1.0]] * 20):
        weights = method.weights(gramian=np.eye(2), losses=np.array(losses))
    assert weights[1] > weights[0]


def test_gradnorm_holds_on_at_its_edges():
    method = methods.get("gradnorm", learning_rate=1.0)
    for _ in range(5):
        weights = method.weights(gramian=np.diag([1e8, 1e-8]), losses=np.ones(2))
        assert (weights >= 0).all()
        assert weights.sum() == pytest.approx(2)
    without = methods.get("gradnorm")
    without.weights(gramian=np.diag([1.0, 0, 4]), losses=np.ones(3))
    assert np.isnan(without.first[1])
    assert without.vector(3)[1] == pytest.approx(1, abs=0.05)
    assert without.weights(gramian=np.diag([1.0, 1, 4]), losses=np.full(3, 2.0)).all()
    assert without.first.tolist() == [1, 2, 1]
    # A loss that falls below zero has nothing left to catch up with.
    assert np.isfinite(without.weights(gramian=np.eye(3), losses=np.array([1.0, -1, 1]))).all()
    with pytest.raises(InputError, match="positive losses to begin with, but that of task 1 is 0"):
        methods.get("gradnorm").weights(gramian=np.eye(2), losses=np.array([1.0, 0]))
    with pytest.raises(InputError, match="pass losses="):
        methods.get("gradnorm").weights(gramian=np.eye(2))


@pytest.mark.parametrize("name", ["imtl_l", "gradnorm", "gradvac"])
def test_memory_survives_the_file_of_a_checkpoint(name, tmp_path):
    from mtlbench.training.checkpoint import _plain, _restored

    rows = np.random.default_rng(0).normal(size=(3, 4))
    inputs = {"gramian": rows @ rows.T, "losses": np.array([1.0, 2, 3])}
    method, resumed = methods.get(name), methods.get(name)
    for _ in range(3):
        method.weights(**inputs)
    torch.save(_plain(method.state_dict()), tmp_path / "state.pt")
    resumed.load_state_dict(_restored(torch.load(tmp_path / "state.pt", weights_only=True)))
    expected = [method.weights(**inputs).tobytes() for _ in range(3)]
    assert [resumed.weights(**inputs).tobytes() for _ in range(3)] == expected


def test_graddrop_keeps_one_sign_in_every_coordinate():
    rows = np.random.default_rng(0).normal(size=(4, 50))
    seen, update = masked(methods.get("graddrop"), rows)
    positive, negative = np.where(rows > 0, rows, 0), np.where(rows < 0, rows, 0)
    kept = (seen > 0).any(axis=0)
    np.testing.assert_array_equal(seen, np.where(kept, positive, negative))
    np.testing.assert_allclose(update, seen.sum(axis=0), rtol=1e-12)
    leaking, _ = masked(methods.get("graddrop", leak=0.25), rows)
    np.testing.assert_allclose(leaking, 0.25 * rows + 0.75 * seen, rtol=1e-12)
    np.testing.assert_array_equal(masked(methods.get("graddrop", leak=1.0), rows)[0], rows)


def test_graddrop_draws_signs_with_their_purity():
    size = 20_000
    # P = (1 + (3 − 1)/(3 + 1))/2 = 3/4; the standard deviation of the share is 0.0031.
    seen, _ = masked(methods.get("graddrop"), np.stack([np.full(size, 3.0), np.full(size, -1.0)]))
    assert abs((seen[0] > 0).mean() - 0.75) < 0.015
    agreed = np.stack([np.full(size, 3.0), np.full(size, 1.0), np.zeros(size)])
    np.testing.assert_array_equal(masked(methods.get("graddrop"), agreed)[0], agreed)
    np.testing.assert_array_equal(masked(methods.get("graddrop"), -agreed)[0], -agreed)


def test_graddrop_draws_anew_at_every_step_and_resumes():
    rows = np.random.default_rng(0).normal(size=(2, 40))
    method, resumed = methods.get("graddrop", seed=1), methods.get("graddrop", seed=2)
    state, first = method.state_dict(), masked(method, rows)[0]
    assert not np.array_equal(masked(method, rows)[0], first)
    resumed.load_state_dict(state)
    np.testing.assert_array_equal(masked(resumed, rows)[0], first)
    half = method.rows(((torch.tensor([1.0, -2.0]).half(),), (torch.tensor([-1.0, 1.0]).half(),)), torch.ones(2))
    assert half[0][0].dtype == torch.float16


def test_sign_agreement_stands_still_where_both_could_improve():
    rows = np.array([[2.0, -1], [-1, 2]])
    method = methods.get("sign_agreement")
    _, update = masked(method, rows)
    assert update.tolist() == [0, 0]
    assert (rows @ np.ones(2) > 0).all()
    # Nothing is left of either gradient, and that is counted.
    assert method.zero_task_events == 2


def test_sign_agreement_counts_votes():
    rows = np.array([[1.0, 2, -3, 1], [2, -2, -1, 1], [3, 6, -2, 0]])
    assert masked(methods.get("sign_agreement"), rows)[1] == pytest.approx([2, 0, -2, 0])
    # Two of three, and two with an abstention, have a mean sign of 1/3 and 2/3.
    assert masked(methods.get("sign_agreement", threshold=0.5), rows)[1] == pytest.approx([2, 0, -2, 2 / 3])
    assert masked(methods.get("sign_agreement", threshold=0), rows)[1] == pytest.approx([2, 2, -2, 2 / 3])
    assert masked(methods.get("sign_agreement", reduction="sum"), rows)[1] == pytest.approx([6, 0, -6, 0])
    # Per parameter: the first is moved whole, of the second one coordinate of three.
    assert masked(methods.get("sign_agreement", rescale="sparsity"), rows)[1] == pytest.approx([2, 0, -6, 0])
    assert methods.get("sign_agreement").promises.non_conflicting
    assert not methods.get("sign_agreement", threshold=0.9).promises.non_conflicting
    assert not methods.get("sign_agreement", level="representation").promises.non_conflicting


def test_sign_agreement_gives_no_vote_to_a_task_without_a_gradient():
    rows = np.array([[1.0, 2], [3, -1], [0, 0]])
    assert masked(methods.get("sign_agreement"), rows)[1] == pytest.approx([4 / 3, 0])
    assert masked(methods.get("sign_agreement", zero_task="keep"), rows)[1] == pytest.approx([0, 0])
    assert masked(methods.get("sign_agreement"), np.zeros((2, 2)))[1].tolist() == [0, 0]


@pytest.mark.parametrize("level", ["shared", "representation"])
@pytest.mark.parametrize("name", ["graddrop", "sign_agreement"])
def test_masks_in_a_training_loop(name, level):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder, heads = torch.nn.Linear(3, 4), [torch.nn.Linear(4, 1) for _ in range(2)]
        h = encoder(torch.randn(5, 3)).relu()
        losses = [head(h).square().mean() for head in heads]
    base = encoder.weight if level == "shared" else h
    rows = [torch.autograd.grad(loss, base, retain_graph=True)[0] for loss in losses]
    whole = [torch.autograd.grad(loss, [*encoder.parameters()], retain_graph=True) for loss in losses]
    options = {"leak": 1.0, "level": level} if name == "graddrop" else {"threshold": 0, "level": level}
    mtlbench.backward(losses, methods.get(name, **options), representation=h)
    factor = 1.0 if name == "graddrop" else 0.5
    np.testing.assert_allclose(encoder.weight.grad, factor * (whole[0][0] + whole[1][0]), rtol=1e-4, atol=1e-6)
    if level == "shared":
        encoder.zero_grad()
        losses = [head(encoder.weight.sum(1)).square().mean() for head in heads]
        rows = [torch.autograd.grad(loss, encoder.weight, retain_graph=True)[0] for loss in losses]
        mtlbench.backward(losses, methods.get(name), shared=[encoder.weight])
        signs = torch.stack(rows).sign().sum(0).abs() == 2
        expected = (rows[0] + rows[1]) * factor
        np.testing.assert_allclose(encoder.weight.grad[signs], expected[signs], rtol=1e-5)
        left = encoder.weight.grad[~signs]
        assert not left.any() if name == "sign_agreement" else left.all()
