"""Loss scaling: the weights are those of the unscaled gradients, and an overflow skips the step and the method."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import mtlbench
from mtlbench import methods
from mtlbench.gradients import step

NAMES = [name for name in methods.names() if methods.get(name).batches == 1]


def build(dtype=torch.float64):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        trunk, heads = nn.Linear(3, 4), nn.ModuleList(nn.Linear(4, 1) for _ in range(2))
        x, y = torch.randn(8, 3), torch.randn(2, 8, 1)
    model = nn.ModuleList([trunk, heads]).to(dtype)
    x, y = x.to(dtype), y.to(dtype)

    def losses(factor=1.0):
        h = trunk(x).tanh()
        values = [(head(h) - target).square().mean() for head, target in zip(heads, y, strict=True)]
        return [values[0], factor * values[1]], h

    return model, losses


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_the_scaled_step_is_the_plain_step(name, stacked):
    results = []
    for scaler in (None, torch.amp.GradScaler("cpu", init_scale=1024.0)):
        model, losses = build()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        values, h = losses()
        handed = torch.stack(values) if stacked else values
        record = step(handed, methods.get(name), representation=h, scaler=scaler)
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        results.append((record, [p.detach().clone() for p in model.parameters()]))
    (plain, parameters), (scaled, scaled_parameters) = results
    np.testing.assert_allclose(scaled.weights, plain.weights, rtol=1e-9)
    if plain.gramian is not None:
        np.testing.assert_allclose(scaled.gramian, plain.gramian, rtol=1e-9)
    np.testing.assert_allclose(scaled.losses, plain.losses)
    for one, two in zip(parameters, scaled_parameters, strict=True):
        torch.testing.assert_close(one, two)


@pytest.mark.parametrize("name", ["moco", "db_mtl", "excess_mtl"])
def test_a_memory_over_the_steps_does_not_see_the_factor(name):
    """The scaler doubles its factor after every step; what is remembered, and the update, must not."""
    results = []
    for scaler in (None, torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=1)):
        model, losses = build()
        optimizer, method = torch.optim.SGD(model.parameters(), lr=0.1), methods.get(name)
        for _ in range(4):
            optimizer.zero_grad()
            step(losses()[0], method, scaler=scaler)
            if scaler is None:
                optimizer.step()
            else:
                scaler.step(optimizer)
                scaler.update()
        results.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    torch.testing.assert_close(*results)
    assert scaler.get_scale() == 1024.0 * 2**4


class Counting:
    """A method that counts its own steps, around any other."""

    def __init__(self, method):
        self._method, self.calls = method, 0

    def __getattr__(self, name):
        return getattr(self._method, name)

    def weights(self, **inputs):
        self.calls += 1
        return self._method.weights(**inputs)


@pytest.mark.parametrize("name", NAMES)
def test_an_overflow_skips_the_optimizer_and_the_method(name):
    model, losses = build()
    optimizers = [torch.optim.SGD(part.parameters(), lr=0.1) for part in model]
    scaler, method = torch.amp.GradScaler("cpu", init_scale=4.0), Counting(methods.get(name))
    before = [p.detach().clone() for p in model.parameters()]
    values, h = losses(float("inf"))
    weights = mtlbench.backward(values, method, representation=h, scaler=scaler)
    assert np.isnan(weights).all()
    assert method.calls == 0
    for optimizer in optimizers:
        scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 2.0
    for parameter, value in zip(model.parameters(), before, strict=True):
        assert torch.equal(parameter, value)


@pytest.mark.parametrize("name", ["mgda", "mgda_ub", "unit_gradient"])
def test_an_overflow_in_one_head_alone_does_not_advance_the_method(name):
    model, losses = build(torch.float32)
    method = Counting(methods.get(name))
    values, h = losses()
    # The head's own gradient leaves float32's range once it is scaled, the shared ones do not.
    own = torch.zeros((), requires_grad=True)
    values[1] = values[1] + own * 1e30
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    weights = mtlbench.backward(values, method, representation=h, scaler=scaler)
    assert np.isnan(weights).all()
    assert method.calls == 0
    assert torch.isnan(own.grad)
    assert torch.isnan(model[0].weight.grad).all()
