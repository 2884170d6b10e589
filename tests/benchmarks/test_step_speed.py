"""Seconds per step of every method, beside the floor: K plain backward passes through the same network.

A step is forward, gradients, weights and ``.grad``, on one thread, for a LeNet-like trunk and a batch of 256. The
floor keeps the graph between its passes, as any method that needs K gradients must. Run with
``pytest tests/benchmarks/test_step_speed.py --benchmark-enable``.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import mtlbench
from mtlbench import methods

BATCH, ROUNDS = 256, 7


class LeNet(nn.Module):
    """Two convolutions and one hidden layer (about 40 000 shared parameters), one linear head per task."""

    def __init__(self, tasks: int) -> None:
        super().__init__()
        convolutions = (
            nn.Conv2d(1, 10, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(10, 20, 5),
            nn.MaxPool2d(2),
            nn.ReLU(),
        )
        self.trunk = nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(720, 50), nn.ReLU())
        self.heads = nn.ModuleList(nn.Linear(50, 10) for _ in range(tasks))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        h = self.trunk(x)
        return [nn.functional.cross_entropy(head(h), target) for head, target in zip(self.heads, y, strict=True)], h


def floor(losses: list[torch.Tensor], h: torch.Tensor) -> None:
    for loss in losses:
        loss.backward(retain_graph=True)


def one_method(name: str) -> Callable[[list[torch.Tensor], torch.Tensor], None]:
    method = methods.get(name)

    def combine(losses: list[torch.Tensor], h: torch.Tensor) -> None:
        mtlbench.backward(losses, method, representation=h)

    return combine


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("tasks", [2, 10])
@pytest.mark.parametrize("name", ["floor", *(n for n in methods.names() if methods.get(n).batches == 1)])
def test_step(benchmark, name, tasks):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LeNet(tasks)
        x, y = torch.randn(BATCH, 1, 36, 36), torch.randint(10, (tasks, BATCH))
    combine = floor if name == "floor" else one_method(name)

    def step() -> None:
        model.zero_grad()
        combine(*model(x, y))

    benchmark.group = f"step, K = {tasks}"
    benchmark.pedantic(step, rounds=ROUNDS, warmup_rounds=2)
    assert all(parameter.grad is not None for parameter in model.parameters())
