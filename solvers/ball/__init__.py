"""The ball room: max over d of min_i <g_i, d> with ‖d − g0‖ <= c ‖g0‖, g0 the mean gradient: CAGrad's inner problem.

``problem.py`` states it, certifies any weights and says what happens where 0/0 leaves the direction open; each other
file is one algorithm, found by its ``ALGORITHM`` and run by the driver of all rooms until that certificate says stop.
No algorithm of the room calls another; ``reduction`` calls the room ``min_norm``, as its name says.

>>> solution = solve([[1.0, 0.0], [0.0, 4.0]])
>>> solution.converged
True
>>> direction_weights([[1.0, 0.0], [0.0, 4.0]], solution.weights)  # of d in g_1, g_2
array([0.9472136, 0.5      ])
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .. import driver
from ..algorithm import Algorithm, discover, find
from ..gramian import InvalidGramian
from ..solution import Solution
from .problem import Problem, certificate, direction_weights, objective, tolerated_gap

__all__ = [
    "ALGORITHMS",
    "algorithm",
    "certificate",
    "direction_weights",
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
    radius: float = 0.4,
    algorithm: str = "reduction",
    tolerance: float = 1e-11,
    max_iterations: int = 10_000,
    **options: Any,
) -> Solution:
    """Minimise wᵀGe/K + radius ‖g0‖ √(wᵀGw) over the simplex and certify the result.

    gramian: (K, K), any unit; G and cG have the same solution, c from 1e-200 to 1e200.
    radius: that of the ball in units of ‖g0‖, any finite number >= 0. Below 1 every d of the ball lowers the mean loss,
    <g0, d> >= (1 − radius) ‖g0‖²; from 1 on that is lost, while the problem stays convex. 0: d = g0, and w is the
    vertex of the smallest <g_i, g0>, lowest index first.
    The direction d = g0 + radius ‖g0‖ Jᵀw/‖Jᵀw‖ has the coefficients :func:`direction_weights`.
    Converged: gap <= tolerance + eps radius max_i G_ii/‖g0‖² (:func:`tolerated_gap`); reaching
    ``max_iterations`` is never counted as success. g0 = 0 (eᵀGe <= 64 K eps (Σ d_i)²) has uniform weights, d = 0 and
    gap 0, d_i = √G_ii. A zero row has weight 0 where the others alone have F <= 0, and otherwise all but 2⁻⁶⁰ of it.
    options: keyword arguments of the algorithm's own ``start``.
    Raises :class:`~mtlbench.solvers.InvalidGramian` for a malformed Gramian, :class:`ValueError` for any other
    argument, :class:`~mtlbench.solvers.SolverFailed` where a solver package fails.
    """
    record = find(_ALGORITHMS, algorithm)
    driver.check_arguments(record, tolerance, max_iterations, options)
    return driver.solve(record, Problem(gramian, radius, tolerance), tolerance, max_iterations, options)


def solve_batch(
    gramians: Iterable[Any],
    radius: float = 0.4,
    algorithm: str = "reduction",
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
            solutions.append(solve(gramian, radius, algorithm, tolerance, max_iterations, **options))
        except InvalidGramian as error:
            raise InvalidGramian(f"Gramian {place} of the batch: {error}") from None
    return tuple(solutions)


def trace(
    gramian: Any, algorithm: str, max_iterations: int, radius: float = 0.4, **options: Any
) -> Iterator[tuple[int, Any, float, float, float]]:
    """Yield (iteration, weights, objective, gap, seconds) of every iterate, the start being iteration 0.

    It ends after ``max_iterations`` steps, or when nothing is left to do. There is no tolerance. The objective is in
    the unit of ``gramian``, the gap has none, both in extended precision; seconds are those spent in the algorithm so
    far, without the certificates. ``exact`` and the policies have one entry.
    Raises like :func:`solve`, on the call.
    """
    record = find(_ALGORITHMS, algorithm)
    driver.check_arguments(record, 0.0, max_iterations, options)
    problem = Problem(gramian, radius, 0.0)
    entries = driver.trace(record, problem, max_iterations, options)
    return ((k, problem.lifted(weights), value, gap, seconds) for k, weights, value, gap, seconds in entries)
