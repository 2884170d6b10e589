"""The dual cone room: project Jᵀp onto {u : Ju >= 0}, the inner problem of UPGrad, DualProj, GEM, primary/auxiliary.

``problem.py`` states it and certifies any weights; each other file is one algorithm, found by its ``ALGORITHM`` and run
by the driver of all rooms until that certificate says stop (``pivoting.py``, ``inverse.py`` and ``quick.py`` are the
compiled parts of ``active_set``). No algorithm calls another.

>>> solution = solve([[1.0, -1.0], [-1.0, 2.0]], preference=[1.0, 0.0])
>>> solution.weights
array([1. , 0.5])
>>> solve([[1.0, -1.0], [-1.0, 2.0]], preference=[[1.0, 0.0], [0.0, 1.0]]).weights
array([[1. , 0.5],
       [1. , 1. ]])
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from .. import driver
from ..algorithm import Algorithm, discover, find
from ..compiled import is_plain_square
from ..gramian import InvalidGramian
from ..solution import Solution
from .problem import Problem, as_preference, certificate, objective, tolerated_gap

__all__ = [
    "ALGORITHMS",
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
    preference: Any = None,
    algorithm: str = "active_set",
    tolerance: float = 1e-11,
    max_iterations: int = 10_000,
    **options: Any,
) -> Solution:
    """Find v >= p for which u = Jᵀv is the projection of Jᵀp onto {u : Ju >= 0}, and certify it.

    gramian: (K, K), any unit; G and cG have the same solution, c from 1e-200 to 1e200.
    preference: p, finite. ``None``: the mean, 1/K for every task (DualProj). (K,): one p, weights (K,); e_i is GEM with
    task i primary. (R, K): one p a row, weights (R, K), which share one factorisation: their sum or mean is UPGrad for
    the rows p_i e_i. Entries may be negative: the conditions v >= p, Gv >= 0, (v − p)ᵀGv = 0 are the same.
    Converged: gap <= :func:`tolerated_gap`, the tolerance and what rounding v costs; reaching ``max_iterations`` is
    never counted as success. Of several rows ``gap`` is the worst, ``iterations`` the sum (each row may take
    ``max_iterations``), and all of them have to be converged, or non-conflicting, each by itself.
    ``non_conflicting``: (Gv)_i >= −K eps d_i Σ_j |v_j| d_j for every task: none but rounding has it worse.
    A zero row (G_ii = 0 exactly) has no multiplier, v_i = p_i; where Jᵀp = 0 (pᵀGp <= 0), v = p.
    options: keyword arguments of the algorithm's own ``start``; none has any so far.
    Raises :class:`~mtlbench.solvers.InvalidGramian` for a malformed Gramian, :class:`ValueError` for any other
    argument, :class:`~mtlbench.solvers.SolverFailed` where a solver package fails.
    """
    record = find(_ALGORITHMS, algorithm)
    driver.check_arguments(record, tolerance, max_iterations, options)
    if record.quick is not None and is_plain_square(gramian):
        given = as_preference(preference, len(gramian), finite=False)
        several = given.ndim == 2
        weights, gap, iterations, certified, non_conflicting = record.quick(
            gramian, given if several else given[None], float(tolerance), int(max_iterations)
        )
        if certified:
            return Solution(weights if several else weights[0], gap, iterations, True, non_conflicting)
    problem = Problem(gramian, tolerance, preference)
    if not problem.rows or record.direct is not None:
        return driver.solve(record, problem, tolerance, max_iterations, options)
    solutions = [
        driver.solve(record, problem.row(r), tolerance, max_iterations, options) for r in range(len(problem.preference))
    ]
    return problem.judged(np.stack([s.weights for s in solutions]), sum(s.iterations for s in solutions))


def solve_batch(
    gramians: Iterable[Any],
    preference: Any = None,
    algorithm: str = "active_set",
    tolerance: float = 1e-11,
    max_iterations: int = 10_000,
    **options: Any,
) -> tuple[Solution, ...]:
    """Solve each Gramian of a stack (B, K, K), or of any sequence, with the same preference; one solution each.

    Raises like :func:`solve`; a malformed Gramian is named by its place in the batch.
    """
    find(_ALGORITHMS, algorithm)
    solutions = []
    for place, gramian in enumerate(gramians):
        try:
            solutions.append(solve(gramian, preference, algorithm, tolerance, max_iterations, **options))
        except InvalidGramian as error:
            raise InvalidGramian(f"Gramian {place} of the batch: {error}") from None
    return tuple(solutions)


def trace(
    gramian: Any, algorithm: str, max_iterations: int, preference: Any = None, **options: Any
) -> Iterator[tuple[int, Any, float, float, float]]:
    """Yield (iteration, weights, objective, gap, seconds) of every iterate for one preference (K,), start included.

    It ends after ``max_iterations`` steps, or when nothing is left to do. There is no tolerance. Objective and gap are
    computed in extended precision, the objective in the unit of ``gramian``; seconds are those spent in the algorithm
    so far, without the certificates. ``active_set``, ``exact`` and the policy (Jᵀp = 0) have one entry.
    Raises like :func:`solve`, on the call; :class:`ValueError` for a matrix of preferences.
    """
    record = find(_ALGORITHMS, algorithm)
    driver.check_arguments(record, 0.0, max_iterations, options)
    problem = Problem(gramian, 0.0, preference)
    if problem.rows:
        raise ValueError(f"trace follows one preference, of shape ({len(problem.gramian)},): trace the rows one by one")
    return driver.trace(record, problem, max_iterations, options)
