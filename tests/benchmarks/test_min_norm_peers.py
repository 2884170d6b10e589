"""Our default against the QP packages on the min-norm problem, in one run: same Gramian, same thread, calls included.

The packages (optional: quadprog, daqp, piqp) get the problem as they like it: scaled to unit diagonal, its matrices
made before the clock starts. Ours gets the Gramian and starts from nothing. ``solved`` says whether the certificate of
what a package returned is within 1e-9 min_i G_ii; only such a time counts in a ratio.

    pytest tests/benchmarks/test_min_norm_peers.py --benchmark-enable --benchmark-only --benchmark-json=FILE
    python -m mtlbench.referee.speed FILE        # the table of ratios
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import numpy as np
import pytest

from mtlbench.referee.families import FAMILIES, draw
from mtlbench.solvers import min_norm

SIZES = (2, 4, 8, 16, 32, 64, 128, 256)
ROUNDS = 9
SECONDS_PER_ROUND = 4e-3
SOLVED = 1e-9


def scaled(gramian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """C = D⁻¹ G D⁻¹ and v_i = min_j d_j / d_i: min ½ yᵀCy over y >= 0, vᵀy = 1, and w_i = v_i y_i."""
    lengths = np.sqrt(gramian.diagonal())
    return gramian / lengths[:, None] / lengths, lengths.min() / lengths


def ours(gramian: np.ndarray) -> Callable[[], np.ndarray]:
    return lambda: min_norm.solve(gramian).weights


def quadprog(gramian: np.ndarray) -> Callable[[], np.ndarray]:
    package = pytest.importorskip("quadprog", reason="quadprog is not installed")
    cosines, v = scaled(gramian)
    columns = np.hstack([v[:, None], np.eye(len(v))])
    zero, right = np.zeros(len(v)), np.zeros(len(v) + 1)
    right[0] = 1.0
    return lambda: v * package.solve_qp(cosines, zero, columns, right, 1)[0]


def daqp(gramian: np.ndarray) -> Callable[[], np.ndarray]:
    package = pytest.importorskip("daqp", reason="daqp is not installed")
    cosines, v = scaled(gramian)
    size = len(v)
    # Bounds on y first, then the row vᵀy = 1, marked as an equality (5).
    upper, lower = np.full(size + 1, 1e30), np.zeros(size + 1)
    upper[size] = lower[size] = 1.0
    sense = np.zeros(size + 1, dtype=np.int32)
    sense[size] = 5
    zero, row = np.zeros(size), v[None, :].copy()
    return lambda: v * package.solve(cosines, zero, row, upper, lower, sense)[0]


def piqp(gramian: np.ndarray) -> Callable[[], np.ndarray]:
    package = pytest.importorskip("piqp", reason="piqp is not installed")
    cosines, v = scaled(gramian)
    size = len(v)

    def solve() -> np.ndarray:
        solver = package.DenseSolver()
        solver.settings.eps_abs = 1e-13
        solver.settings.eps_rel = 0.0
        solver.setup(cosines, np.zeros(size), v[None, :], np.ones(1), x_l=np.zeros(size))
        solver.solve()
        return v * solver.result.x

    return solve


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "zero_row"])
@pytest.mark.parametrize("package", [ours, quadprog, daqp, piqp], ids=lambda package: package.__name__)
def test_solve(benchmark, package, family, size):
    gramian = draw(family, size)
    solve = package(gramian)
    try:
        weights = np.maximum(solve(), 0.0)
        start = perf_counter()
        solve()
        repeats = max(1, int(SECONDS_PER_ROUND / (perf_counter() - start)))
        gap = min_norm.certificate(gramian, weights / weights.sum())
    except Exception as error:
        if package is ours:
            raise
        pytest.skip(f"{package.__name__} does not solve {family} at K = {size}: {error}")
    solved = bool(gap <= SOLVED * gramian.diagonal().min())
    benchmark.extra_info.update(
        room="min_norm", package=package.__name__, family=family, size=size, solved=solved, gap=gap
    )
    benchmark.pedantic(solve, rounds=ROUNDS, iterations=repeats, warmup_rounds=1)
    assert solved or package is not ours
