"""The min-norm room: min ½ wᵀGw over the simplex, the inner problem of MGDA and its relatives.

``problem.py`` states it and certifies any weights, ``bounded.py`` does so with lower bounds on the weights; each other
file is one algorithm, found by its ``ALGORITHM`` and run by the driver of all rooms until that certificate says stop.
No algorithm calls another.

>>> solution = solve([[1.0, 0.0], [0.0, 4.0]])
>>> solution.weights
array([0.8, 0.2])
>>> solution.converged
True
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .. import driver
from ..algorithm import Algorithm, discover, find
from ..compiled import is_plain_square
from ..gramian import InvalidGramian
from ..solution import Solution
from .bounded import Bounded
from .bounded import certificate as certificate_bounded
from .bounded import tolerated_gap as tolerated_gap_bounded
from .problem import Problem, certificate, objective, tolerated_gap

__all__ = [
    "ALGORITHMS",
    "algorithm",
    "certificate",
    "certificate_bounded",
    "duality_gap",
    "objective",
    "solve",
    "solve_batch",
    "solve_bounded",
    "tolerated_gap",
    "tolerated_gap_bounded",
    "trace",
]

_ALGORITHMS = discover(__name__, __path__)

ALGORITHMS: tuple[str, ...] = tuple(_ALGORITHMS)
"""The names of the algorithms in this folder."""

duality_gap = certificate


def algorithm(name: str) -> Algorithm:
    """What the file of algorithm ``name`` declares; :class:`ValueError` for an unknown one."""
    return find(_ALGORITHMS, name)


def solve(
    gramian: Any,
    algorithm: str = "active_set",
    tolerance: float = 1e-11,
    max_iterations: int = 10_000,
    **options: Any,
) -> Solution:
    """Minimise ½ wᵀGw over the simplex and certify the result.

    gramian: (K, K), any unit; G and cG have the same solution, c from 1e-200 to 1e200.
    Converged: gap <= (tolerance + eps max_i d_i / min_i d_i) min_i G_ii with d_i = √G_ii
    (:func:`tolerated_gap`); reaching ``max_iterations`` is never counted as success.
    options: keyword arguments of the algorithm's own ``start``, such as ``smoothing`` of ``smooth_min_entropic``.
    A zero row (G_ii = 0 exactly) is answered by its vertex, lowest index first, for every algorithm.
    Raises :class:`~mtlbench.solvers.InvalidGramian` for a malformed Gramian, :class:`ValueError` for any other
    argument, :class:`~mtlbench.solvers.SolverFailed` where a solver package fails.
    """
    record = find(_ALGORITHMS, algorithm)
    driver.check_arguments(record, tolerance, max_iterations, options)
    if record.quick is not None and is_plain_square(gramian):
        weights, gap, iterations, certified, non_conflicting = record.quick(gramian, float(tolerance))
        if certified:
            return Solution(weights, gap, iterations, True, non_conflicting)
    return driver.solve(record, Problem(gramian, tolerance), tolerance, max_iterations, options)


def solve_bounded(
    gramian: Any,
    lower: Any,
    algorithm: str = "active_set",
    tolerance: float = 1e-11,
    max_iterations: int = 10_000,
    **options: Any,
) -> Solution:
    """Minimise ½ wᵀGw over {w >= c, Σ w_i = 1}, c = ``lower`` (K,) with c >= 0 and Σ c_i <= 1, and certify the result.

    The plain problem for the corners of the smaller hull, solved by any algorithm of the room; c = 0 is :func:`solve`.
    ``gap`` is :func:`certificate_bounded`, converged within :func:`tolerated_gap_bounded`; weights never fall below c.
    ``non_conflicting``: no product (Gw)_i is negative, which lower bounds may well make impossible.
    Options with a unit are in the unit of ``gramian``. Raises like :func:`solve`, and :class:`ValueError` for wrong
    lower bounds.

    >>> solve_bounded([[1.0, 0.0], [0.0, 4.0]], [0.0, 0.5]).weights
    array([0.5, 0.5])
    """
    record = find(_ALGORITHMS, algorithm)
    driver.check_arguments(record, tolerance, max_iterations, options)
    return driver.solve(record, Bounded(gramian, lower, tolerance), tolerance, max_iterations, options)


def solve_batch(
    gramians: Iterable[Any],
    algorithm: str = "active_set",
    tolerance: float = 1e-11,
    max_iterations: int = 10_000,
    **options: Any,
) -> tuple[Solution, ...]:
    """Solve each Gramian of a stack (B, K, K), or of any sequence; one :class:`Solution` each, in order.

    Raises like :func:`solve`; a malformed Gramian is named by its place in the batch.
    """
    find(_ALGORITHMS, algorithm)
    solutions = []
    for place, gramian in enumerate(gramians):
        try:
            solutions.append(solve(gramian, algorithm, tolerance, max_iterations, **options))
        except InvalidGramian as error:
            raise InvalidGramian(f"Gramian {place} of the batch: {error}") from None
    return tuple(solutions)


def trace(
    gramian: Any, algorithm: str, max_iterations: int, **options: Any
) -> Iterator[tuple[int, Any, float, float, float]]:
    """Yield (iteration, weights, objective, gap, seconds) of every iterate, the start being iteration 0.

    The algorithm itself runs, at K = 2 too; it ends after ``max_iterations`` steps, or when nothing is left to do.
    There is no tolerance. Objective and gap are computed in extended precision, in the unit of ``gramian``; seconds are
    those spent in the algorithm so far, without the certificates. ``exact`` and the policies (K = 1, zero row) have one
    entry.
    Raises like :func:`solve`, on the call.
    """
    record = find(_ALGORITHMS, algorithm)
    driver.check_arguments(record, 0.0, max_iterations, options)
    return driver.trace(record, Problem(gramian, 0.0), max_iterations, options)
