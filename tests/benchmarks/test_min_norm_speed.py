"""Seconds per solve of every min-norm algorithm over families and sizes, with the gap that was reached.

Runs once as a plain test; ``pytest tests/benchmarks --benchmark-enable --benchmark-json=FILE`` times it.
"""

from time import perf_counter

import pytest

from mtlbench.referee.families import draw
from mtlbench.referee.measure import relative
from mtlbench.solvers import min_norm

FAMILIES = ("gaussian", "norms_1_to_1e3", "near_collinear", "rank_deficient")
SIZES = (2, 10, 32)
LIMIT = 500
ROUNDS = 5
SECONDS_PER_ROUND = 2e-3


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("algorithm", min_norm.ALGORITHMS)
def test_solve(benchmark, algorithm, family, size):
    gramian = draw(family, size)
    start = perf_counter()
    solution = min_norm.solve(gramian, algorithm=algorithm, max_iterations=LIMIT)
    repeats = max(1, int(SECONDS_PER_ROUND / (perf_counter() - start)))
    gap = float(min_norm.certificate(gramian, solution.weights))
    benchmark.extra_info.update(algorithm=algorithm, family=family, size=size, relative_gap=relative(gap, gramian))
    timed = benchmark.pedantic(
        min_norm.solve,
        args=(gramian,),
        kwargs={"algorithm": algorithm, "max_iterations": LIMIT},
        rounds=ROUNDS,
        iterations=repeats,
        warmup_rounds=1,
    )
    # What was timed is what was judged.
    assert timed.weights.tolist() == solution.weights.tolist()
    assert timed.converged <= (gap <= min_norm.tolerated_gap(gramian))
