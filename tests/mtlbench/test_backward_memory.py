"""``memory="low"``: the same update, and never the gradients of all tasks at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import mtlbench
from mtlbench import methods
from mtlbench.blocks import blocks
from mtlbench.errors import InputError
from mtlbench.gradients import NonFiniteLoss, step
from mtlbench.methods import GramianMethod, Promises
from mtlbench.training.cost import peak_memory

TASKS, CPU = 6, torch.device("cpu")


class Model(nn.Module):
    """A trunk of equal layers, whose parameters outweigh the activations of a batch of four; losses of many scales."""

    def __init__(self, width, layers, dtype=torch.float64):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.trunk = nn.Sequential(*(nn.Sequential(nn.Linear(width, width), nn.Tanh()) for _ in range(layers)))
            self.heads = nn.ModuleList(nn.Linear(width, 1) for _ in range(TASKS))
            self.x, self.y = torch.randn(4, width, dtype=dtype), torch.randn(TASKS, 4, 1, dtype=dtype)
        self.to(dtype)

    def losses(self):
        h = self.trunk(self.x)
        pairs = zip(self.heads, self.y, strict=True)
        return [10.0**task * (head(h) - y).square().mean() for task, (head, y) in enumerate(pairs)], h


class Cross(GramianMethod):
    name, summary, source, batches = "cross", "two batches", "none", 2
    promises = Promises(non_conflicting=False, common_scale=None, task_scale="none", permutation=True, unique="weights")

    def gramian_weights(self, gramian, losses):
        return np.abs(gramian).sum(1) / np.abs(gramian).sum()


CASES = {
    "mgda": lambda: methods.get("mgda"),
    "unit_gradient": lambda: methods.get("unit_gradient", head_weights="same"),
    "last_layer": lambda: methods.get("mgda", level="last_layer"),
    "representation": lambda: methods.get("mgda_ub"),
    "batches": Cross,
    "losses": lambda: methods.get("equal"),
}


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_the_update_is_the_same(case, scaled):
    found = []
    for memory in ("full", "low"):
        model, method = Model(9, 3), CASES[case]()
        losses, h = model.losses()
        handed = [[2 * loss for loss in model.losses()[0]], losses] if method.batches == 2 else losses
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0) if scaled else None
        record = step(handed, method, representation=h, scaler=scaler, memory=memory)
        found.append((record, [parameter.grad for parameter in model.parameters()]))
    (full, gradients), (low, others) = found
    np.testing.assert_allclose(low.weights, full.weights, rtol=1e-6)
    if full.gramian is not None:
        np.testing.assert_allclose(low.gramian, full.gramian, rtol=1e-10)
    for one, other in zip(gradients, others, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("layers", [1, 8])
def test_the_peak_is_one_gradient_and_the_largest_parameter(layers):
    model = Model(256, layers, torch.float32)
    one = sum(p.numel() * p.element_size() for p in model.parameters())
    largest = max(p.numel() * p.element_size() for p in model.parameters())
    peaks = {}
    for memory in ("full", "low"):
        model.zero_grad()
        losses, _ = model.losses()
        peaks[memory] = peak_memory(lambda: mtlbench.backward(losses, methods.get("mgda"), memory=memory), CPU).host  # noqa: B023
    assert peaks["full"] >= TASKS * one, "the measurement sees gradients"
    assert peaks["low"] <= 1.2 * (one + largest), peaks


def test_blocks_hold_every_coordinate_once_and_are_of_one_size():
    tensors = [torch.empty(shape) for shape in ((3, 4), (0,), (1,), (30,), (7,))]
    for count in (1, 2, 3, 7, 50, 60):
        found = blocks(tensors, count)
        sizes = [sum(last - first for _, first, last in block) for block in found]
        assert len(found) <= count
        assert set(sizes[:-1]) <= {-(-50 // count)}
        assert sizes[-1] <= -(-50 // count)
        for tensor in tensors:
            seen = [k for block in found for t, first, last in block if t is tensor for k in range(first, last)]
            assert seen == list(range(tensor.numel()))


def test_a_broken_loss_touches_nothing():
    model = Model(5, 1)
    losses, _ = model.losses()
    with pytest.raises(NonFiniteLoss, match="task 2"):
        mtlbench.backward([*losses[:2], losses[2] * torch.nan], methods.get("mgda"), memory="low")
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"memory": "lo"}, "did you mean 'low'"), ({"memory": "low"}, "changes the gradients themselves")],
)
def test_what_cannot_be_is_one_sentence(changes, sentence):
    method = Cross()
    method.needs, method.batches = "jacobian", 1
    with pytest.raises(InputError, match=sentence):
        mtlbench.backward(Model(5, 1).losses()[0], method, **changes)
