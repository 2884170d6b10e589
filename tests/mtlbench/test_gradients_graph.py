"""Which parameters the tasks share is read off the autograd graph."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mtlbench.errors import InputError
from mtlbench.gradients import jacobian, shared_parameters


def same(found: list[torch.Tensor], expected: list[torch.Tensor]) -> bool:
    return {id(tensor) for tensor in found} == {id(tensor) for tensor in expected}


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(6, 3, generator=torch.Generator().manual_seed(0))


def test_nested_modules_shared_by_some_of_the_tasks(x):
    trunk = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Tanh(), nn.Linear(4, 4)))
    pair, heads = nn.Linear(4, 4), [nn.Linear(4, 1) for _ in range(3)]
    h = trunk(x)
    features = [pair(h), pair(h), h]
    losses = [head(feature).mean() for head, feature in zip(heads, features, strict=True)]
    assert same(shared_parameters(losses), [*trunk.parameters(), *pair.parameters()])
    rows = jacobian(losses, list(pair.parameters()))
    assert torch.count_nonzero(rows[0][0])
    assert [tuple(g.shape) for g in rows[2]] == [(4, 4), (4,)]
    assert not any(torch.count_nonzero(g) for g in rows[2])


def test_frozen_and_unreached_parameters_are_not_shared(x):
    trunk, frozen, unused = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 1)
    frozen.requires_grad_(False)
    heads = [nn.Linear(4, 1), nn.Linear(4, 1)]
    losses = [head(frozen(trunk(x))).mean() for head in heads]
    found = shared_parameters(losses)
    assert same(found, list(trunk.parameters()))
    assert not same(found, [*trunk.parameters(), *unused.parameters()])


def test_a_parameter_tied_across_two_heads_is_shared(x):
    trunk, tied, own = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 1)
    h = trunk(x)
    losses = [tied(h).mean(), own(nn.functional.linear(h, tied.weight)).mean()]
    assert same(shared_parameters(losses), [*trunk.parameters(), tied.weight])


def test_one_loss_shares_all_it_reaches(x):
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    assert same(shared_parameters([model(x).mean()]), list(model.parameters()))


def test_separate_networks_share_nothing(x):
    assert shared_parameters([nn.Linear(3, 1)(x).mean(), nn.Linear(3, 1)(x).mean()]) == []


def test_a_trunk_called_once_per_task_is_shared(x):
    trunk, heads = nn.Linear(3, 4), [nn.Linear(4, 1), nn.Linear(4, 1)]
    assert same(shared_parameters([head(trunk(x)).mean() for head in heads]), list(trunk.parameters()))


@pytest.mark.parametrize(
    "hand_in",
    [
        torch.stack,
        lambda losses: [*torch.stack(losses)],
        lambda losses: torch.stack(losses).unbind(),
        lambda losses: [torch.stack(losses)[i] for i in (0, 1, -1)],
    ],
)
def test_stacked_losses_are_taken_apart(x, hand_in):
    trunk, heads = nn.Linear(3, 4), [nn.Linear(4, 1) for _ in range(3)]
    visits = [0, 0, 0]

    def count(task):
        def hook(*_):
            visits[task] += 1

        return hook

    outputs = []
    for task, head in enumerate(heads):
        output = head(trunk(x))
        output.register_hook(count(task))
        outputs.append(output)
    losses = hand_in([output.square().mean() for output in outputs])
    assert same(shared_parameters(losses), list(trunk.parameters()))
    rows = jacobian(losses, list(trunk.parameters()))
    assert visits == [1, 1, 1], "each head is differentiated once"
    again = [head(trunk(x)).square().mean() for head in heads]
    for row, loss in zip(rows, again, strict=True):
        for found, expected in zip(row, torch.autograd.grad(loss, list(trunk.parameters())), strict=True):
            torch.testing.assert_close(found, expected)


def test_a_vector_of_losses_from_one_layer_shares_that_layer(x):
    theta = torch.randn(3, requires_grad=True)
    assert same(shared_parameters(x @ theta), [theta])


@pytest.mark.parametrize(
    "join",
    [
        lambda outputs: torch.cat(outputs, dim=1).square().mean(0),
        lambda outputs: [joined[:, i].mean() for joined in [torch.cat(outputs, dim=1)] for i in (0, 1)],
        lambda outputs: [part.mean() for part in torch.cat(outputs, dim=1).tanh().split(1, dim=1)],
        lambda outputs: torch.stack([output.mean() for output in outputs]) * 0.5,
    ],
)
def test_heads_joined_into_one_tensor_ask_for_the_shared_parameters(x, join):
    trunk, heads = nn.Linear(3, 4), [nn.Linear(4, 1) for _ in range(2)]
    losses = join([head(trunk(x)) for head in heads])
    with pytest.raises(InputError, match=r"losses 0 and 1 use different parts of one backward node.*pass shared="):
        shared_parameters(losses)


def test_features_joined_below_the_heads_are_shared(x):
    towers, heads = [nn.Linear(3, 2), nn.Linear(3, 2)], [nn.Linear(4, 1), nn.Linear(4, 1)]
    h = torch.cat([tower(x) for tower in towers], dim=1)[:, :4]
    losses = [head(h).mean() for head in heads]
    assert same(shared_parameters(losses), [p for tower in towers for p in tower.parameters()])


class _Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.left, self.right = nn.Linear(3, 4), nn.Linear(4, 1), nn.Linear(4, 1)

    def forward(self, x):
        h = self.trunk(x).relu()
        return self.left(h), self.right(h)


def test_a_model_compiled_as_a_whole_asks_for_shared_and_a_compiled_encoder_does_not(x):
    model = _Whole()
    compiled = torch.compile(model, backend="aot_eager")
    with pytest.raises(InputError, match=r"CompiledFunctionBackward.*pass shared="):
        shared_parameters([output.mean() for output in compiled(x)])
    encoder = torch.compile(model.trunk, backend="aot_eager")
    h = encoder(x)
    losses = [model.left(h).mean(), model.right(h).mean()]
    assert same(shared_parameters(losses), list(model.trunk.parameters()))


@pytest.mark.parametrize(
    ("losses", "sentence"),
    [
        (lambda p: [], "losses is empty"),
        (lambda p: [p.sum(), p], r"losses\[1\] must be a scalar, got shape \(3,\): reduce it"),
        (lambda p: [p.sum(), 1.0], r"losses\[1\] must be a tensor, got float"),
        (lambda p: [p.sum(), torch.tensor(1.0)], r"losses\[1\] depends on no parameter"),
        (lambda p: torch.stack([p.sum(), torch.tensor(1.0)]), r"losses\[1\] depends on no parameter"),
        (lambda p: p.detach(), r"losses\[0\] depends on no parameter"),
        (lambda p: p.sum(), r"1-D tensor with one entry per task, got shape \(\)"),
    ],
)
def test_what_is_no_loss_is_named(losses, sentence):
    parameter = torch.ones(3, requires_grad=True)
    with pytest.raises(InputError, match=sentence):
        shared_parameters(losses(parameter))
