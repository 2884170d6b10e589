"""Seconds for UPGrad's K projections, in one call of ours and in K calls of quadratic programming packages.

Runs once as a plain test; ``pytest tests/benchmarks --benchmark-enable --benchmark-json=FILE`` times it. Packages are
those that happen to be installed. They are given the same problems, min ½ vᵀGv over v >= p, as they are: none of them
is asked to scale, and the gap that each reached stands beside its time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from time import perf_counter

import numpy as np
import pytest

from mtlbench.referee.families import draw
from mtlbench.solvers import dual_cone

FAMILIES = ("gaussian", "norms_1_to_1e3", "near_collinear", "rank_deficient", "zero_in_hull")
SIZES = (2, 3, 4, 8, 16, 32, 64)
PEERS = ("quadprog", "daqp", "piqp")
ROUNDS = 5
SECONDS_PER_ROUND = 2e-3


def ours(gramian: np.ndarray, preference: np.ndarray) -> np.ndarray:
    return dual_cone.solve(gramian, preference).weights


def quadprog(gramian: np.ndarray, preference: np.ndarray) -> np.ndarray:
    package = import_module("quadprog")
    zero, identity = np.zeros(len(gramian)), np.eye(len(gramian))
    return np.stack([package.solve_qp(gramian, zero, identity, p)[0] for p in preference])


def daqp(gramian: np.ndarray, preference: np.ndarray) -> np.ndarray:
    package = import_module("daqp")
    size = len(gramian)
    zero, none, above = np.zeros(size), np.empty((0, size)), np.full(size, 1e30)
    sense = np.zeros(size, dtype=np.intc)
    return np.stack([package.solve(gramian, zero, none, above, p, sense)[0] for p in preference])


def piqp(gramian: np.ndarray, preference: np.ndarray) -> np.ndarray:
    package = import_module("piqp")
    found = []
    for p in preference:
        solver = package.DenseSolver()
        solver.setup(gramian, np.zeros(len(p)), x_l=p)
        solver.solve()
        found.append(solver.result.x)
    return np.stack(found)


SOLVERS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "ours": ours,
    "quadprog": quadprog,
    "daqp": daqp,
    "piqp": piqp,
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("solver", SOLVERS)
def test_upgrad(benchmark, solver, family, size):
    if solver in PEERS:
        pytest.importorskip(solver, reason=f"{solver} is not installed")
    gramian, preference = draw(family, size), np.eye(size) / size
    call = partial(SOLVERS[solver], gramian, preference)
    try:
        weights = call()
    except ValueError as error:
        # quadprog: "matrix G is not positive definite".
        pytest.skip(f"{solver} gives up: {error}")
    start = perf_counter()
    call()
    repeats = max(1, int(SECONDS_PER_ROUND / (perf_counter() - start)))
    gap = dual_cone.certificate(gramian, weights, preference) if np.isfinite(weights).all() else np.inf
    benchmark.group = f"UPGrad, {family}, K = {size}"
    benchmark.extra_info.update(
        room="dual_cone", package=solver, family=family, size=size, gap=gap, solved=bool(gap <= 1e-9)
    )
    benchmark.pedantic(call, rounds=ROUNDS, iterations=repeats, warmup_rounds=1)
    if solver == "ours":
        assert dual_cone.solve(gramian, preference).converged
