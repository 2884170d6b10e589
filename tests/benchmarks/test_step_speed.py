"""CPU seconds per training step beside the floor: the trunk backward passes that the method declares, plus heads.

A step is forward, gradients, weights and ``.grad``, on one thread. Each round runs the floor right before the
contestant, so that both see the same machine, and both are timed in CPU time: other processes may be running. The floor
keeps the graph between its passes, as any method that needs K gradients must. TorchJD, where it is installed, runs its
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


# The trunk, and the rounds that are timed.
TRUNKS = {
    "LeNet": (lenet, 5),
    "MLP, 1e6": (lambda: mlp(784, 680), 9),
    "MLP, 5e4": (lambda: mlp(64, 200), 31),
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
        method = METHODS.get(name, METHODS["mgda"])()

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
@pytest.mark.parametrize("name", [*METHODS, *TORCHJD], ids=str)
def test_step(benchmark, name, trunk, tasks):
    if not isinstance(name, str):
        pytest.importorskip("torchjd", reason="torchjd is not installed, there is nobody to compare with")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Model(trunk, tasks, BATCH if benchmark.enabled else 4)
    combine, floor = (model.method(name) if isinstance(name, str) else model.torchjd(*name)), model.floor(str(name))
    times: dict[str, list[float]] = {"floor": [], "step": []}
    benchmark.group = f"step, {trunk}, K = {tasks}"
    benchmark.pedantic(
        lambda: times["step"].append(model.step(combine)),
        setup=lambda: times["floor"].append(model.step(floor)),
        rounds=TRUNKS[trunk][1],
        warmup_rounds=2,
    )
    medians = {which: median(seconds[2:] or seconds) for which, seconds in times.items()}
    benchmark.extra_info.update(trunk=trunk, tasks=tasks, name=name, **medians)
    assert all(parameter.grad is not None for parameter in model.parameters())


# ---- docs/speed.md --------------------------------------------------------------------------------------------

PAGE = """
## A training step

Forward, gradients, weights and `.grad` for a batch of {batch} on one thread, in CPU milliseconds, beside the floor: the
passes through the trunk that the method declares, and one through every head, measured in turns with it. Medians, on
{cpu}, torch {torch}, with a load average of {load:.1f} at the end. For TorchJD {torchjd}, whose MGDA takes Frank-Wolfe
steps, the fastest of four settings is shown. Printed by

    python tests/benchmarks/test_step_speed.py >> docs/speed.md

{steps}
"""


def page(benchmark_json: Path) -> str:
    """The section from what pytest-benchmark saved."""
    saved = json.loads(benchmark_json.read_text(encoding="utf-8"))["benchmarks"]
    timed = pd.DataFrame([entry["extra_info"] for entry in saved])
    timed["method"] = [name if isinstance(name, str) else "TorchJD, MGDA" for name in timed["name"]]
    timed["ratio"] = timed["step"] / timed["floor"]
    timed["over"] = 1e6 * (timed["step"] - timed["floor"])
    best = timed.sort_values("ratio").drop_duplicates(["trunk", "tasks", "method"]).sort_index()
    table = pd.DataFrame(
        {
            "trunk": best["trunk"],
            "K": best["tasks"],
            "method": best["method"],
            "step [ms]": 1e3 * best["step"],
            "floor [ms]": 1e3 * best["floor"],
            "step / floor": best["ratio"],
            "above the floor [us]": best["over"].round(),
        }
    ).sort_values(["trunk", "K"], kind="stable")
    found = environment()
    return PAGE.format(
        batch=BATCH,
        cpu=found["cpu"],
        torch=found["versions"]["torch"],
        torchjd=version("torchjd"),
        load=os.getloadavg()[1],
        steps=table.to_markdown(index=False, floatfmt=".3g"),
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        measured = Path(folder) / "benchmark.json"
        command = [sys.executable, "-m", "pytest", __file__, "-q", "--benchmark-enable", "--benchmark-only"]
        subprocess.run([*command, f"--benchmark-json={measured}", *sys.argv[1:]], check=True, stdout=sys.stderr)
        print(page(measured), end="")
