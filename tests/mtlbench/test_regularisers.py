"""Regularisers as objectives: values and gradients by hand, the inequality between two, training with them."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import gradcheck
from torch.nn.functional import cross_entropy, kl_div, log_softmax, mse_loss

from mtlbench import config, regularisers
from mtlbench.architectures.hard_sharing import HardSharing
from mtlbench.errors import InputError
from mtlbench.graph import leaves, read_losses
from mtlbench.regularisers.r_drop import divergence
from mtlbench.regularisers.regulariser import Pass
from mtlbench.sections import Auxiliaries
from mtlbench.tasks.dataset import Split, Task
from mtlbench.tasks.losses import bce_with_logits
from mtlbench.training.cell import run_seed
from mtlbench.training.objectives import flooded


def passed(model, inputs, target, loss=mse_loss):
    task = Task("t", target.shape[-1], loss, ())
    batch = Split(inputs, {"t": target})
    return Pass(model, task, batch, model.loss(task, model(inputs)[0], target))


def network(*layers, head=2):
    width = [layer for layer in layers if isinstance(layer, nn.Linear)][-1].out_features
    return HardSharing(nn.Sequential(*layers), {"t": nn.Linear(width, head)}).double()


def draw(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_the_gradient_of_weight_decay_is_the_parameters():
    model = network(nn.Linear(3, 4))
    regulariser = regularisers.get("weight_decay", scale=0.5)
    regulariser.loss(passed(model, draw(5, 3), draw(5, 2))).backward()
    assert all(torch.allclose(p.grad, 0.5 * p) for p in model.parameters())


def test_the_penalties_of_a_linear_model_are_those_by_hand():
    """ℓ = (v·w·x − y)² with w = (2, 1), v = 3, x = (1, −1), y = 1: error 2, ∇ₓ = 4·3·w = (24, 12)."""
    model = network(nn.Linear(2, 1, bias=False), head=1)
    model.heads["t"] = nn.Linear(1, 1, bias=False).double()
    with torch.no_grad():
        model.encoder[0].weight.copy_(torch.tensor([[2.0, 1.0]]))
        model.heads["t"].weight.fill_(3.0)
    # The second sample, with slope 0, halves the mean of the first.
    inputs, target = torch.tensor([[1.0, -1.0], [1.0, 0.0]]).double(), torch.tensor([[1.0], [6.0]]).double()
    at = passed(model, inputs, target)
    assert regularisers.get("input_gradient").penalty(at).item() == pytest.approx((24**2 + 12**2) / 2)
    # Half of 2·2·(v x) = (12, −12) for w and 2·2·(w·x) = 4 for v.
    assert regularisers.get("parameter_gradient").penalty(at).item() == pytest.approx(6**2 + 6**2 + 2**2)


@pytest.mark.parametrize("name", regularisers.names())
def test_gradients_agree_with_differences(name):
    model = network(nn.Linear(3, 4), nn.Tanh(), head=3)
    values = list(model.parameters())
    inputs, target = draw(4, 3), torch.tensor([0, 2, 1, -100])

    def loss(*_):
        torch.manual_seed(0)
        at = Pass(model, Task("t", 3, cross_entropy, ()), Split(inputs, {"t": target}), None)
        return regularisers.get(name).loss(at._replace(loss=model.loss(at.task, model(inputs)[0], target)))

    with torch.random.fork_rng():
        assert gradcheck(loss, values)
        # The inputs are no parameter that a method would meet.
        assert {id(leaf) for leaf in leaves(read_losses([loss()]).roots)} <= {id(value) for value in values}


def test_r_drop_is_the_divergence_of_the_paper():
    one, other = draw(6, 4).requires_grad_(), draw(6, 4, seed=1).requires_grad_()
    target = torch.tensor([0, 1, 2, 3, 0, 1])
    p, q = log_softmax(one, 1), log_softmax(other, 1)
    paper = sum(kl_div(a, b, log_target=True, reduction="batchmean") for a, b in ((p, q), (q, p))) / 2
    assert torch.allclose(divergence(cross_entropy, one, other, target), paper)
    squares = divergence(mse_loss, one, other, draw(6, 4, seed=2))
    assert torch.allclose(squares, (one - other).square().mean())
    # One logit: KL of two coins; without its label the second sample says nothing.
    a, b = torch.tensor([[0.3], [5.0]], requires_grad=True), torch.tensor([[-1.0], [2.0]], requires_grad=True)
    x, y = torch.sigmoid(torch.tensor([0.3, -1.0])).tolist()
    coins = sum(r * math.log(r / s) + (1 - r) * math.log((1 - r) / (1 - s)) for r, s in ((x, y), (y, x))) / 2
    found = divergence(bce_with_logits, a, b, torch.tensor([[1.0], [torch.nan]]))
    assert found.item() == pytest.approx(coins, rel=1e-5)


def test_r_drop_leaves_the_model_as_it_was():
    model = HardSharing(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)), {"t": nn.Linear(4, 2)}).double()
    at = passed(model, draw(8, 3), draw(8, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert all(regularisers.get(name).loss(at).item() > 0 for name in regularisers.names())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model.heads["t"]._forward_pre_hooks


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=5),
    st.sampled_from([nn.Tanh, nn.ReLU, nn.Softplus]),
    st.floats(1e-2, 30),
    st.integers(0, 10_000),
)
def test_the_parameter_gradient_bounds_the_input_gradient(widths, activation, size, seed):
    """‖∇ₓf‖² Σ_t (1 + ‖h_t‖²)/(‖W_t‖² ‖∇ₓh_t‖²) <= ‖∇_θ f‖², spectral norms (Dherin et al., arXiv 2111.15090)."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        steps = [(nn.Linear(a, b).double(), activation()) for a, b in pairwise(widths)]
        model = HardSharing(
            nn.Sequential(*(m for step in steps for m in step)), {"t": nn.Linear(widths[-1], 1).double()}
        )
        x, y = size * torch.randn(1, widths[0]).double(), torch.randn(1, 1).double()
    at = passed(model, x, y)
    by_inputs = regularisers.get("input_gradient").penalty(at).item()
    by_parameters = regularisers.get("parameter_gradient").penalty(at).item()
    factor, hidden, slope = 0.0, x[0], torch.eye(widths[0]).double()
    for linear, act in [*steps, (model.heads["t"], nn.Identity())]:
        lengths = torch.linalg.matrix_norm(linear.weight, 2) * torch.linalg.matrix_norm(slope, 2)
        if lengths > 1e-100:  # else ∇ₓf is 0, and so is this term
            factor += ((1 + hidden.square().sum()) / lengths**2).item()

        def layer(h, linear=linear, act=act):
            return act(linear(h))

        slope = torch.func.jacrev(layer)(hidden) @ slope
        hidden = layer(hidden)
    assert by_inputs * factor <= by_parameters * (1 + 1e-9)
    if by_inputs > 0:
        assert factor > 0


def test_flooding_turns_the_gradient_below_its_level():
    loss = torch.tensor([0.3, 0.1], requires_grad=True)
    found = flooded(loss, 0.2)
    found.sum().backward()
    assert found.tolist() == pytest.approx([0.3, 0.3])
    assert loss.grad.tolist() == [1, -1]


@pytest.mark.parametrize("method", ["equal", "primary_auxiliary", "famo"])
def test_a_network_is_trained_with_all_of_them(tiny, tiny_cell, tmp_path, method):
    """Batch normalisation, dropout, an audit and a second look after the step are all there."""
    beside = Auxiliaries(regularisers=[{"weight_decay": {"scale": 0.01}}, *regularisers.names()[:-1]], flooding=0.1)
    cell = tiny_cell(method, primary="b", auxiliary=beside, epochs=2)
    record = run_seed(cell, 0, tmp_path / "one")
    assert record["status"] == "done"
    assert list(record["test"]) == ["b", "a", "c"]
    header = (tmp_path / "one" / "audit.csv").read_text().splitlines()[0]
    assert "norm_b,norm_a,norm_c,norm_weight_decay,norm_input_gradient,norm_parameter_gradient,norm_r_drop" in header
    assert run_seed(cell, 0, tmp_path / "two")["files"] == record["files"]


def refused(sentence, auxiliary=None, dataset="multi_digits", method="equal", **settings):
    with pytest.raises(InputError, match=sentence):
        config.single_cell(dataset, method, auxiliary=auxiliary or Auxiliaries(), seeds=(0,), **settings)


def test_what_cannot_be_a_regulariser_is_answered_in_a_sentence():
    refused("unknown regulariser 'weight_decy': did you mean 'weight_decay'", Auxiliaries(regularisers=["weight_decy"]))
    refused(
        "unknown parameter of r_drop 'rat': did you mean 'rate'",
        Auxiliaries(regularisers=[{"r_drop": {"rat": 0.1}}]),
        primary="left",
    )
    refused("rate of r_drop: input should be less than 1", Auxiliaries(regularisers=[{"r_drop": {"rate": 1.0}}]))
    refused("a regulariser reaches the parameters past it", Auxiliaries(regularisers=["r_drop"]), method="mgda_ub")
    with pytest.raises(InputError, match="indices that no loss can be differentiated by"):
        regularisers.get("input_gradient").check("d", torch.zeros(2, 3, dtype=torch.int64))
