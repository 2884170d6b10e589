"""The bargaining room: (Gw)_i = (p_i / w_i)^(1/α), w > 0, the inner problem of Nash-MTL, FairGrad and PIVRG.

``problem.py`` states it and certifies any weights; each other file is one algorithm, found by its ``ALGORITHM`` and run
by the driver of all rooms until that certificate says stop. No algorithm calls another.

>>> solution = solve([[1.0, 0.0], [0.0, 4.0]])
>>> solution.weights
array([1. , 0.5])
>>> solution.converged
True
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .. import driver
from ..algorithm import Algorithm, SolverFailed, discover, find
from ..gramian import InvalidGramian
from ..solution import Solution
from .problem import NoSolution, Problem, certificate, objective, tolerated_gap

__all__ = [
    "ALGORITHMS",
    "NoSolution",
    "algorithm",
    "certificate",
    "objective",
    "solve",
    "solve_batch",
    "tolerated_gap",
    "trace",
]

_ALGORITHMS = discover(__name__, __path__)

ALGORITHMS: tuple[str, ...] = tuple(_ALGORITHMS)
"""The names of the algorithms in this folder."""


def algorithm(name: str) -> Algorithm:
    """What the file of algorithm ``name`` declares; :class:`ValueError` for an unknown one."""
    return find(_ALGORITHMS, name)


def solve(
    gramian: Any,
    alpha: float = 1.0,
    preference: Any = None,
    algorithm: str = "newton",
    tolerance: float = 1e-11,
    max_iterations: int = 10_000,
    **options: Any,
) -> Solution:
    """Find the w > 0 with (Gw)_i = (p_i / w_i)^(1/α) and certify it.

    gramian: (K, K), any unit; cG has the solution c^(−α/(1+α)) w, c from 1e-200 to 1e200.
    alpha: 1 is Nash-MTL, others FairGrad; from 1e-3 to 1e4.
    preference: p (K,), positive, any scale; by default 1 for every task. PIVRG is ``alpha=2`` with its weights.
    Converged: every task's residual |(w_i / p_i)^(1/α) (Gw)_i − 1| is within ``tolerance`` and what rounding w costs it
    (:func:`tolerated_gap`); ``gap`` is the largest.
    Raises :class:`~mtlbench.solvers.NoSolution`, with weights that show it, where a row is zero (G_ii = 0 exactly) or
    the point is Pareto stationary; :class:`~mtlbench.solvers.InvalidGramian` for a malformed Gramian,
    :class:`ValueError` for any other argument, :class:`~mtlbench.solvers.SolverFailed` where a solver package fails.
    """
    record = find(_ALGORITHMS, algorithm)
    driver.check_arguments(record, tolerance, max_iterations, options)
    problem = Problem(gramian, alpha, preference, tolerance)
    try:
        solution = driver.solve(record, problem, tolerance, max_iterations, options)
    except SolverFailed:
        problem.refuse_stationary()
        raise
    if not problem.evident(solution.weights):
        problem.refuse_stationary()
    return solution


def solve_batch(
    gramians: Iterable[Any],
    alpha: float = 1.0,
    preference: Any = None,
    algorithm: str = "newton",
    tolerance: float = 1e-11,
    max_iterations: int = 10_000,
    **options: Any,
) -> tuple[Solution, ...]:
    """Solve each Gramian of a stack (B, K, K), or of any sequence; one :class:`Solution` each, in order.

    Raises like :func:`solve`; a Gramian that is malformed or has no solution is named by its place in the batch.
    """
    find(_ALGORITHMS, algorithm)
    solutions = []
    for place, gramian in enumerate(gramians):
        try:
            solutions.append(solve(gramian, alpha, preference, algorithm, tolerance, max_iterations, **options))
        except InvalidGramian as error:
            raise InvalidGramian(f"Gramian {place} of the batch: {error}") from None
        except NoSolution as error:
            raise NoSolution(f"Gramian {place} of the batch: {error}", error.weights) from None
    return tuple(solutions)


def trace(
    gramian: Any, algorithm: str, max_iterations: int, alpha: float = 1.0, preference: Any = None, **options: Any
) -> Iterator[tuple[int, Any, float, float, float]]:
    """Yield (iteration, weights, objective, gap, seconds) of every iterate, the start being iteration 0.

    The algorithm runs for ``max_iterations`` steps, or until nothing is left to do. There is no tolerance, and no test
    of stationarity: at a stationary point the weights are seen to grow without end. Objective and gap are computed in
    extended precision, in the unit of ``gramian``; seconds are those spent in the algorithm so far, without the
    certificates. ``exact`` and K = 1 have one entry.
    Raises like :func:`solve`, on the call.
    """
    record = find(_ALGORITHMS, algorithm)
    driver.check_arguments(record, 0.0, max_iterations, options)
    problem = Problem(gramian, alpha, preference, 0.0)
    steps = driver.trace(record, problem, max_iterations, options)
    return ((i, problem.unscaled(weights), value, gap, seconds) for i, weights, value, gap, seconds in steps)
