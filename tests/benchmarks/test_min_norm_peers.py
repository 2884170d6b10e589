"""Our default against the QP packages on the min-norm problem, in one run: same Gramian, same thread, calls included.

The packages (optional: quadprog, daqp, piqp) get the problem as they like it (``mtlbench/referee/packages.py``): scaled
to unit diagonal, its matrices made before the clock starts, at their tightest tolerance. Ours gets the Gramian and
starts from nothing. ``solved`` says whether the certificate of what a package returned is within 1e-9 min_i G_ii; only
such a time counts in a ratio.

    pytest tests/benchmarks/test_min_norm_peers.py --benchmark-enable --benchmark-only --benchmark-json=FILE
    python -m mtlbench.referee.speed FILE        # the table of ratios
"""

from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest

from mtlbench.referee import packages
from mtlbench.referee.families import FAMILIES, Array, draw
from mtlbench.solvers import min_norm

SIZES = (2, 4, 8, 16, 32, 64, 128, 256)
ROUNDS = 9
SECONDS_PER_ROUND = 4e-3
SOLVED = 1e-9


def ours(gramian: Array) -> packages.Solve:
    return lambda: min_norm.solve(gramian).weights


PEERS = {"ours": ours, **packages.DIRECT}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "zero_row"])
@pytest.mark.parametrize("package", PEERS)
def test_solve(benchmark, package, family, size):
    if package != "ours":
        pytest.importorskip(package, reason=f"{package} is not installed")
    gramian = draw(family, size)
    solve = PEERS[package](gramian)
    try:
        weights = np.maximum(solve(), 0.0)
        start = perf_counter()
        solve()
        repeats = max(1, int(SECONDS_PER_ROUND / (perf_counter() - start)))
        gap = min_norm.certificate(gramian, weights / weights.sum())
    except Exception as error:
        if package == "ours":
            raise
        pytest.skip(f"{package} does not solve {family} at K = {size}: {error}")
    solved = bool(gap <= SOLVED * gramian.diagonal().min())
    benchmark.extra_info.update(room="min_norm", package=package, family=family, size=size, solved=solved, gap=gap)
    benchmark.pedantic(solve, rounds=ROUNDS, iterations=repeats, warmup_rounds=1)
    assert solved or package != "ours"
