"""Seconds per solve of the bargaining weights, call overhead included, beside cvxpy with CLARABEL on the same problem.

Runs once as a plain test; ``pytest tests/benchmarks --benchmark-enable --benchmark-json=FILE`` times it. cvxpy runs at
its own tolerances, once with the model built for each call, once with a model built before, whose parameter is a square
root of the Gramian: a quadratic form in a parameter is no disciplined parametrised program.
"""

from time import perf_counter

import numpy as np
import pytest

from mtlbench.referee.families import draw
from mtlbench.solvers import bargaining

FAMILIES = ("gaussian", "norms_1_to_1e3", "near_collinear")
SIZES = (2, 4, 8, 16, 32, 64)
ROUNDS = 5
SECONDS_PER_ROUND = 2e-3


def timed(benchmark, call, *args, **extra):
    benchmark.extra_info.update(**extra)
    call(*args)
    start = perf_counter()
    call(*args)
    repeats = max(1, int(SECONDS_PER_ROUND / (perf_counter() - start)))
    return benchmark.pedantic(call, args=args, rounds=ROUNDS, iterations=repeats)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("algorithm", bargaining.ALGORITHMS)
@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_solve(benchmark, alpha, algorithm, family, size):
    gramian = draw(family, size)
    compared = (
        {"room": "bargaining", "package": "ours", "solved": True} if (alpha, algorithm) == (1.0, "newton") else {}
    )
    told = {"algorithm": algorithm, "family": family, "size": size}
    solution = timed(benchmark, bargaining.solve, gramian, alpha, None, algorithm, **told, **compared)
    # What was timed is what is judged.
    assert bargaining.certificate(gramian, solution.weights, alpha) == solution.gap
    assert solution.converged


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("model", ["rebuilt", "reused"])
def test_cvxpy_at_alpha_1(benchmark, model, family, size):
    cvxpy = pytest.importorskip("cvxpy", reason="the peer is cvxpy")
    gramian = draw(family, size)
    lengths = np.sqrt(gramian.diagonal())
    cosines = gramian / lengths[:, None] / lengths

    def root(matrix):
        values, vectors = np.linalg.eigh(matrix)
        return np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T

    def built(factor):
        y = cvxpy.Variable(size)
        return y, cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(factor @ y) / 2 - cvxpy.sum(cvxpy.log(y))))

    parameter = cvxpy.Parameter((size, size))
    y, reused = built(parameter)
    assert reused.is_dcp(dpp=True)

    def solve(matrix):
        if model == "rebuilt":
            variable, problem = built(root(matrix))
        else:
            parameter.value = root(matrix)
            variable, problem = y, reused
        problem.solve(solver=cvxpy.CLARABEL)
        return variable.value / lengths

    name = f"cvxpy, {model}"
    # At cvxpy's own tolerance: what a user gets, and a tighter one would only take longer.
    compared = {"room": "bargaining", "package": name, "solved": True}
    weights = timed(benchmark, solve, cosines, algorithm=name, family=family, size=size, **compared)
    assert bargaining.certificate(gramian, weights) < 1e-2
