"""What the Gramian saves: min-norm solvers on K x K numbers instead of K x P, and what making it costs.

Frank-Wolfe takes 100 steps, once with the products J(Jᵀw) of every step made from the gradients, O(K P) each, and once
from the Gramian, made once, O(K²) each: the same ``step``, to the last line. The Gramian itself is compared with the
floor of anything that looks at the gradients, reading them once (a sum) or copying them once, measured right before
each of its rounds. Large P only where times are asked for. One thread, float32 gradients.

    python tests/benchmarks/test_gramian_speed.py > docs/speed.md
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import pytest
import torch

from mtlbench.gramian import gramian
from mtlbench.provenance import environment
from mtlbench.solvers import min_norm
from mtlbench.solvers.min_norm import frank_wolfe

STEPS = 100
PLAIN = 100_000
"""The largest P of a plain test run."""
KINDS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "normal": lambda x: x,
    "one sign": torch.abs,
    "one size": lambda x: torch.arange(1.0, len(x) + 1)[:, None].div(7).expand_as(x).contiguous(),
}
"""Standard normal gradients, and two kinds whose sums grow long without rounding being averaged out."""


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def gradients(tasks: int, parameters: int, kind: str = "normal") -> torch.Tensor:
    """J (K, P), float32."""
    return KINDS[kind](torch.randn(tasks, parameters, generator=torch.Generator().manual_seed(0)))


def rows(j: torch.Tensor) -> tuple[tuple[torch.Tensor, ...], ...]:
    """The rows of J as gradients of two parameters, a large and a small one."""
    return tuple(row.split((9 * len(row) // 10, len(row) - 9 * len(row) // 10)) for row in j)


def on_gradients(j: torch.Tensor) -> np.ndarray:
    """The weights after 100 steps that see the gradients only."""
    squares = np.diag([float(row @ row) for row in j])  # all that a step wants of G besides Gw
    state = frank_wolfe.start(squares, 0)
    for k in range(1, STEPS + 1):
        u = j.T @ torch.from_numpy(state.weights).float()
        state = frank_wolfe.step(squares, state, (j @ u).double().numpy(), k)
    return state.weights


def on_gramian(j: torch.Tensor) -> np.ndarray:
    """The same from the Gramian, its making included."""
    return min_norm.solve(gramian(rows(j)), "frank_wolfe", tolerance=0.0, max_iterations=STEPS).weights


@pytest.mark.parametrize("parameters", [10**4, 10**5, 10**6, 10**7])
@pytest.mark.parametrize("way", [on_gradients, on_gramian])
def test_frank_wolfe(benchmark, way, parameters):
    if parameters > PLAIN and not benchmark.enabled:
        pytest.skip("measured with --benchmark-enable")
    j = gradients(10, parameters)
    benchmark.group = f"{STEPS} steps of Frank-Wolfe, K = 10, P = {parameters:.0e}"
    benchmark.extra_info.update(way=way.__name__, tasks=10, parameters=parameters)
    weights = benchmark.pedantic(way, args=(j,), rounds=3, warmup_rounds=1 if parameters <= 10**6 else 0)
    # Two answers are at most as far apart as their certificates say; these are one answer, up to float32.
    g = gramian(rows(j))
    other = min_norm.solve(g, "frank_wolfe", tolerance=0.0, max_iterations=STEPS).weights
    difference = weights - other
    assert difference @ g @ difference <= min_norm.certificate(g, weights) + min_norm.certificate(g, other)
    assert min_norm.objective(g, weights) == pytest.approx(min_norm.objective(g, other), rel=1e-5)


@pytest.mark.parametrize("parameters", [10**5, 10**6, 10**7])
@pytest.mark.parametrize("tasks", [2, 10])
def test_gramian(benchmark, tasks, parameters):
    if parameters > PLAIN and not benchmark.enabled:
        pytest.skip("measured with --benchmark-enable")
    j = gradients(tasks, parameters)
    gradient, copy = rows(j), rows(torch.empty_like(j))
    floors: dict[str, list[float]] = {"read": [], "copy": []}

    def floor() -> None:
        start = perf_counter()
        for row in gradient:
            for tensor in row:
                tensor.sum()
        middle = perf_counter()
        for target, row in zip(copy, gradient, strict=True):
            for into, tensor in zip(target, row, strict=True):
                into.copy_(tensor)
        floors["read"].append(middle - start)
        floors["copy"].append(perf_counter() - middle)

    benchmark.group = f"Gramian, K = {tasks}, P = {parameters:.0e}"
    rounds = max(15, min(300, 3 * 10**8 // (tasks * parameters)))
    benchmark.pedantic(gramian, args=(gradient,), setup=floor, rounds=rounds, warmup_rounds=1)
    errors = {kind: error(gradients(tasks, parameters, kind)) for kind in KINDS}
    benchmark.extra_info.update(tasks=tasks, parameters=parameters, error=max(errors.values()))
    benchmark.extra_info.update({name: min(times) for name, times in floors.items()})
    assert max(errors.values()) <= 1e-11, errors


def error(j: torch.Tensor) -> float:
    """The largest error of an entry over d_i d_j, against pairwise sums of float64 products."""
    exact = np.zeros((len(j), len(j)))
    wide = j.double().numpy()
    for i, k in zip(*np.triu_indices(len(j)), strict=True):
        exact[i, k] = exact[k, i] = (wide[i] * wide[k]).sum()
    lengths = np.sqrt(exact.diagonal())
    return float(np.abs((gramian(rows(j)) - exact) / np.outer(lengths, lengths)).max())


# ---- docs/speed.md --------------------------------------------------------------------------------------------

PAGE = """# What the Gramian saves, and what it costs

Every solver of `solvers/` works on the Gramian, a K × K matrix, instead of the K × P gradients; how long the solvers
take is in [solver-speed.md](solver-speed.md). This page is printed by

    python tests/benchmarks/test_gramian_speed.py > docs/speed.md

on {cpu} ({cores} cores; one thread used), Python {python}, torch {torch}, with a load average of {load:.1f} at the end
(above 1, others were using the machine). Times are the fastest of their rounds, gradients float32.

## Frank-Wolfe on the gradients, and on the Gramian

{steps} steps for K = 10 tasks, with the products J(Jᵀw) of every step made from the gradients, or from the Gramian;
making it is included. Both run the same `step` and end at the same weights, up to float32.

{walks}

## Making the Gramian

Beside the time to read the gradients once (`sum`) and to copy them once, each measured right before every round. The
error is the largest of any entry, relative to d_i d_j, over normal gradients, gradients of one sign, and gradients
whose entries are all equal, where float32 sums would be off by 2e-5. Of a small Gramian the fixed cost is most, some
0.02 ms; of many tasks the K² P / 2 products, in float64.

{gramians}
"""


def page(benchmark_json: Path) -> str:
    """The page from what pytest-benchmark saved."""
    saved = json.loads(benchmark_json.read_text(encoding="utf-8"))["benchmarks"]
    timed = pd.DataFrame([entry["extra_info"] | {"ms": 1e3 * entry["stats"]["min"]} for entry in saved])
    ways = timed.dropna(subset="way").pivot(index="parameters", columns="way", values="ms")
    walks = pd.DataFrame(
        {
            "P": [f"{value:.0e}" for value in ways.index],
            "on the gradients [ms]": ways["on_gradients"],
            "on the Gramian [ms]": ways["on_gramian"],
            "ratio": ways["on_gradients"] / ways["on_gramian"],
        }
    )
    costs = timed[timed["way"].isna()].sort_values(["tasks", "parameters"])
    made = pd.DataFrame(
        {
            "K": costs["tasks"],
            "P": [f"{value:.0e}" for value in costs["parameters"]],
            "Gramian [ms]": costs["ms"],
            "read [ms]": 1e3 * costs["read"],
            "copy [ms]": 1e3 * costs["copy"],
            "Gramian / read": costs["ms"] / (1e3 * costs["read"]),
            "Gramian / copy": costs["ms"] / (1e3 * costs["copy"]),
            "error": [f"{value:.0e}" for value in costs["error"]],
        }
    )
    found = environment()
    return PAGE.format(
        cpu=found["cpu"],
        cores=os.cpu_count(),
        python=found["python"],
        torch=found["versions"]["torch"],
        load=os.getloadavg()[1],
        steps=STEPS,
        walks=walks.to_markdown(index=False, floatfmt=".3g"),
        gramians=made.to_markdown(index=False, floatfmt=".3g"),
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        measured = Path(folder) / "benchmark.json"
        command = [sys.executable, "-m", "pytest", __file__, "-q", "--benchmark-enable", "--benchmark-only"]
        subprocess.run([*command, f"--benchmark-json={measured}"], check=True, stdout=sys.stderr)
        print(page(measured), end="")
