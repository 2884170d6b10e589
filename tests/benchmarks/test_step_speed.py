"""CPU seconds per training step beside the floor: the trunk backward passes that the method declares, plus heads.

A step is forward, gradients, weights and ``.grad``, on one thread. Methods and floors take turns, so that all see the
same machine, and are timed in CPU time: other processes may be running. The floor keeps the graph between its passes,
as any method that needs K gradients must. TorchJD, where it is installed, runs its
MGDA (Frank-Wolfe, at most 100 steps) in four settings. Plain test runs make one small step of each.

    python tests/benchmarks/test_step_speed.py >> docs/speed.md
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import mtlbench
from mtlbench import methods
from mtlbench.provenance import environment

BATCH = 256
METHODS = {
    "equal": lambda: methods.get("equal"),
    "mgda": lambda: methods.get("mgda"),
    "mgda, last layer": lambda: methods.get("mgda", level="last_layer"),
    "mgda_ub": lambda: methods.get("mgda_ub"),
}
TORCHJD = [(chunk, product) for chunk in (1, None) for product in (False, True)]
"""``parallel_chunk_size`` and ``optimize_gramian_computation``."""

Combine = Callable[[list[Tensor], Tensor], None]


def lenet() -> tuple[nn.Module, int, tuple[int, ...]]:
    """Two convolutions and one hidden layer, 4e4 parameters."""
    first = (nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), nn.ReLU())
    second = (nn.Conv2d(10, 20, 5), nn.MaxPool2d(2), nn.ReLU())
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(720, 50), nn.ReLU()), 50, (1, 36, 36)


def mlp(inputs: int, width: int) -> tuple[nn.Module, int, tuple[int, ...]]:
    """Two hidden layers."""
    layers = (nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
    return nn.Sequential(*layers), width, (inputs,)


# The trunk, and the turns that are timed.
TRUNKS = {
    "LeNet": (lenet, 13),
    "MLP, 1e6": (lambda: mlp(784, 680), 21),
    "MLP, 5e4": (lambda: mlp(64, 200), 101),
}


class Model(nn.Module):
    def __init__(self, trunk: str, tasks: int, batch: int) -> None:
        super().__init__()
        self.trunk, width, shape = TRUNKS[trunk][0]()
        self.heads = nn.ModuleList(nn.Linear(width, 10) for _ in range(tasks))
        self.x, self.y = torch.randn(batch, *shape), torch.randint(10, (tasks, batch))

    def step(self, combine: Combine) -> float:
        """CPU seconds of one step."""
        self.zero_grad()
        began = process_time()
        h = self.trunk(self.x)
        pairs = zip(self.heads, self.y, strict=True)
        combine([nn.functional.cross_entropy(head(h), target) for head, target in pairs], h)
        return process_time() - began

    def floor(self, name: str) -> Combine:
        """The trunk backward passes that the method declares, and one through every head."""
        method = METHODS[name]()

        def every_task(losses: list[Tensor], h: Tensor) -> None:
            for loss in losses:
                loss.backward(retain_graph=True)

        def heads_then_trunk(losses: list[Tensor], h: Tensor) -> None:
            total = torch.zeros_like(h)
            for head, loss in zip(self.heads, losses, strict=True):
                gradient, *own = torch.autograd.grad(loss, [h, *head.parameters()])
                total += gradient
                for parameter, update in zip(head.parameters(), own, strict=True):
                    parameter.grad = update
            h.backward(total)

        if method.cost(2) == 2:
            return every_task
        return heads_then_trunk if method.needs == "gramian" else lambda losses, h: torch.stack(losses).sum().backward()

    def torchjd(self, chunk: int | None, product: bool) -> Combine:
        from torchjd.aggregation import MGDA
        from torchjd.autojac import jac_to_grad, mtl_backward

        aggregator, shared = MGDA(), list(self.trunk.parameters())

        def combine(losses: list[Tensor], h: Tensor) -> None:
            mtl_backward(losses, h, parallel_chunk_size=chunk)
            jac_to_grad(shared, aggregator, optimize_gramian_computation=product)

        return combine

    def method(self, name: str) -> Combine:
        method = METHODS[name]()

        def combine(losses: list[Tensor], h: Tensor) -> None:
            mtlbench.backward(losses, method, representation=h)

        return combine


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("tasks", [2, 10])
@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("peer", [None, "torchjd"], ids=["ours", "torchjd"])
def test_step(benchmark, peer, trunk, tasks):
    if peer:
        pytest.importorskip(peer, reason=f"{peer} is not installed, there is nobody to compare with")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Model(trunk, tasks, BATCH if benchmark.enabled else 4)
    names = ["mgda"] if peer else [*METHODS]
    contestants = {f"floor of {name}": model.floor(name) for name in names} | {n: model.method(n) for n in names}
    if peer:
        contestants |= {f"TorchJD {setting}": model.torchjd(*setting) for setting in TORCHJD}
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)

    def turn() -> None:
        for name in order:
            seconds[name].append(model.step(contestants[name]))
            assert all(parameter.grad is not None for parameter in model.parameters()), name
        order.append(order.pop(0))  # nobody always runs in the wake of the same other one

    benchmark.group = f"step, {trunk}, K = {tasks}"
    benchmark.pedantic(turn, rounds=TRUNKS[trunk][1], warmup_rounds=1)
    benchmark.extra_info.update(trunk=trunk, tasks=tasks, seconds={name: s[1:] or s for name, s in seconds.items()})


# ---- docs/speed.md --------------------------------------------------------------------------------------------

PAGE = """
## A training step

Forward, gradients, weights and `.grad` for a batch of {batch} on one thread, in CPU milliseconds, beside the floor: the
passes through the trunk that the method declares, and one through every head. Medians; the ratio is the median of the
turns' ratios, with their quartiles: where these reach below 1, which no step can, they show the noise. Much of it is
memory: pages that the C library gave back after one pass are fetched again in another, which costs a step of LeNet from
nothing to 100 ms, whoever makes it. All methods take turns. TorchJD {torchjd} takes turns with our mgda, in the second
of its two rows; its MGDA does Frank-Wolfe steps, and of four settings the fastest is shown. The floor of the last layer
has one pass, though the gradient of that layer itself is taken K times; in the MLPs it holds about half of the
parameters or more. On {cpu} ({cores} cores), torch {torch}, with a load average of {load:.1f} at the end (above 1,
others were using the machine). Printed by

    python tests/benchmarks/test_step_speed.py >> docs/speed.md

{steps}
"""


def rows(info: dict[str, Any]) -> list[dict[str, object]]:
    """The lines of the table from one test."""
    seconds = info["seconds"]
    peers = sorted((name for name in seconds if name.startswith("TorchJD")), key=lambda name: median(seconds[name]))
    lines = []
    for name in [*(name for name in seconds if name in METHODS), *peers[:1]]:
        floor = np.array(seconds.get(f"floor of {name}", seconds["floor of mgda"]))
        ratio, step = np.array(seconds[name]) / floor, np.array(seconds[name])
        low, middle, high = np.percentile(ratio, (25, 50, 75))
        lines.append(
            {
                "trunk": info["trunk"],
                "K": info["tasks"],
                "method": name,
                "step [ms]": 1e3 * median(step),
                "floor [ms]": 1e3 * median(floor),
                "step / floor": f"{middle:.2f} ({low:.2f} to {high:.2f})",
                "above the floor [us]": round(1e6 * median(step - floor)),
            }
        )
    return lines


def page(benchmark_json: Path) -> str:
    """The section from what pytest-benchmark saved."""
    saved = json.loads(benchmark_json.read_text(encoding="utf-8"))["benchmarks"]
    table = pd.DataFrame([line for entry in saved for line in rows(entry["extra_info"])])
    found = environment()
    return PAGE.format(
        batch=BATCH,
        cpu=found["cpu"],
        cores=os.cpu_count(),
        torch=found["versions"]["torch"],
        torchjd=version("torchjd"),
        load=os.getloadavg()[1],
        steps=table.sort_values(["trunk", "K"], kind="stable").to_markdown(index=False, floatfmt=".3g"),
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        measured = Path(folder) / "benchmark.json"
        command = [sys.executable, "-m", "pytest", __file__, "-q", "--benchmark-enable", "--benchmark-only"]
        subprocess.run([*command, f"--benchmark-json={measured}", *sys.argv[1:]], check=True, stdout=sys.stderr)
        print(page(measured), end="")
