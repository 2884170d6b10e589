"""The last shared layer is read off the graph; the weights are made there, and the whole trunk receives them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import mtlbench
from mtlbench import methods
from mtlbench.errors import InputError
from mtlbench.gradients import step
from mtlbench.graph import read_losses
from mtlbench.last_layer import last_layer


def heads_on(h, heads=None):
    heads = heads or [nn.Linear(h.shape[-1], 1) for _ in range(3)]
    return [head(h).square().mean() for head in heads]


def found_in(losses, shared):
    return {id(p) for p in last_layer(read_losses(losses).roots, shared)}


def ids(*tensors):
    return {id(tensor) for tensor in tensors}


@pytest.fixture
def x():
    return torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(0))


LINEAR = nn.Linear(4, 4)
LAYERS = {
    "linear": (LINEAR, LINEAR.parameters),
    "activations": (nn.Sequential(nn.Linear(4, 4), LINEAR, nn.Tanh(), nn.Flatten()), LINEAR.parameters),
    "not contiguous": (lambda x: LINEAR(nn.Linear(5, 5)(x.mT).mT), LINEAR.parameters),
    "residual": (lambda x: (h := nn.Linear(4, 4)(x).relu()) + LINEAR(h), LINEAR.parameters),
    "lower precision": (
        lambda x: nn.functional.linear(x.bfloat16(), *(p.bfloat16() for p in LINEAR.parameters())),
        LINEAR.parameters,
    ),
    "used twice": (lambda x: LINEAR(LINEAR(x).tanh()), LINEAR.parameters),
}


@pytest.mark.parametrize("case", LAYERS)
def test_weight_and_bias_of_the_layer_below_the_heads(x, case):
    trunk, layer = LAYERS[case]
    h = trunk(x).float()
    losses = heads_on(h)
    shared = mtlbench.gradients.shared_parameters(losses)
    assert found_in(losses, shared) == ids(*layer())


def test_convolution_normalisation_recurrence_and_attention(x):
    norm, lstm = nn.BatchNorm1d(5), nn.LSTM(4, 4, batch_first=True)
    convolution = nn.Conv1d(5, 5, 2)
    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    embedding, linear = nn.Embedding(7, 4), nn.Linear(4, 4)
    weighted = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    for trunk, layer in (
        (lambda x: convolution(norm(x)), convolution.parameters()),
        (lambda x: norm(nn.Conv1d(5, 5, 2)(x)), norm.parameters()),
        (lambda x: lstm(x)[0], lstm.parameters()),
        (lambda x: attention(x, x, x)[0], attention.out_proj.parameters()),
        (lambda x: linear(embedding(torch.tensor([[1, 2], [3, 3]]))), linear.parameters()),
        (lambda x: embedding(torch.tensor([[1, 2], [3, 3]])), embedding.parameters()),
        (weighted, weighted.parameters()),
    ):
        losses = heads_on(trunk(x))
        assert found_in(losses, mtlbench.gradients.shared_parameters(losses)) == ids(*layer)


def test_only_what_all_losses_reach_and_the_user_declared_counts(x):
    first, last, pair = (nn.Linear(4, 4) for _ in range(3))
    h = last(first(x))
    losses = [pair(h).mean(), pair(h).square().mean(), h.mean()]
    shared = mtlbench.gradients.shared_parameters(losses)
    assert ids(*pair.parameters()) <= ids(*shared)
    assert found_in(losses, shared) == ids(*last.parameters())
    assert found_in(losses, list(first.parameters())) == ids(*first.parameters())
    assert found_in(losses, [last.weight, *first.parameters()]) == ids(last.weight)


def test_an_encoder_called_once_per_task_has_one(x):
    first, last = nn.Linear(4, 4), nn.Linear(4, 4)
    losses = [nn.Linear(4, 1)(last(first(x + i))).mean() for i in range(3)]
    assert found_in(losses, [*first.parameters(), *last.parameters()]) == ids(*last.parameters())


def experts(x):
    h, ways = nn.Linear(4, 4)(x), [nn.Linear(4, 4) for _ in range(2)]
    return heads_on(torch.stack([way(h) for way in ways]).sum(0))


def crossed(x):
    a, b = nn.Linear(4, 4), nn.Linear(4, 4)
    return [a(b(x)).mean(), b(a(x)).mean()]


def compiled(x):
    encoder = torch.compile(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)), backend="aot_eager")
    return heads_on(encoder(x))


def pairs_only(x):
    a, b = nn.Linear(4, 4), nn.Linear(4, 4)
    return [a(x).mean(), a(x).square().mean() + b(x).mean(), b(x).square().mean()]


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (experts, 'stand side by side .* level="representation"'),
        (crossed, "do not meet the same shared layer first"),
        (compiled, "leave that layer out of torch.compile"),
        (pairs_only, "no shared parameter is reached by all losses"),
    ],
)
def test_where_there_is_no_last_layer_one_sentence_says_so(x, build, sentence):
    with pytest.raises(InputError, match=sentence):
        mtlbench.backward(build(x), methods.get("mgda", level="last_layer"))


@pytest.mark.parametrize("memory", ["full", "low"])
@pytest.mark.parametrize("declared", [False, True])
@pytest.mark.parametrize("name", ["mgda", "unit_gradient"])
def test_the_weights_come_from_the_last_layer_and_go_to_the_whole_trunk(name, declared, memory):
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh()).double()
    heads, x = [nn.Linear(5, 1).double() for _ in range(3)], torch.randn(7, 4, dtype=torch.float64)

    def losses():
        return [10.0**i * loss for i, loss in enumerate(heads_on(trunk(x), heads))]

    def gradients(module):
        rows = [torch.autograd.grad(loss, list(module.parameters()), retain_graph=True) for loss in losses()]
        return np.array([torch.cat([g.ravel() for g in row]).numpy() for row in rows])

    last, whole = gradients(trunk[2]), gradients(trunk)
    passes = []
    values = losses()
    handle = trunk[0].weight.register_hook(lambda gradient: passes.append(1))
    shared = trunk.parameters() if declared else None
    record = step(values, methods.get(name, level="last_layer"), shared=shared, memory=memory)
    handle.remove()
    np.testing.assert_allclose(record.gramian, last @ last.T, rtol=1e-9)
    np.testing.assert_allclose(record.weights, methods.get(name).weights(gramian=last @ last.T), rtol=1e-7)
    found = torch.cat([p.grad.ravel() for p in trunk.parameters()]).numpy()
    np.testing.assert_allclose(found, whole.T @ record.weights, rtol=1e-9, atol=1e-12)
    assert len(passes) == methods.get(name, level="last_layer").cost(3) == 1
    for head, loss in zip(heads, losses(), strict=True):
        own = torch.autograd.grad(loss, list(head.parameters()))
        for parameter, gradient in zip(head.parameters(), own, strict=True):
            torch.testing.assert_close(parameter.grad, gradient)
