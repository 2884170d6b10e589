"""The one driver of every room: it runs the step of any algorithm until the certificate says stop.

An algorithm has no stopping rule of its own. Each iteration the driver computes the products, from which both the step
and the gap are made; when the gap seems small enough in float64, the certificate is computed in extended precision, and
that alone decides. What a room decides before any algorithm runs (policies, closed forms) comes from its problem's
``decided``. :func:`trace` never uses a closed form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from .algorithm import Algorithm
from .gramian import Array
from .solution import Solution

Entry = tuple[int, Array, float, float, float]

# Made once: to join types at every call takes longer than to check them.
NUMBER = (int, float, np.number)
WHOLE = (int, np.integer)


class Problem(Protocol):
    """One problem of a room, scaled for its algorithms; the certificate is that of the problem as it was given.

    ``subject``: what ``start``, ``step`` and ``direct`` of the room's algorithms receive (``min_norm``: the scaled
    Gramian). ``exponent``: the scaled Gramian is 2^(−exponent) times the given one.
    """

    @property
    def subject(self) -> Any: ...
    @property
    def exponent(self) -> int: ...
    def decided(self, closed_form: bool) -> Array | None:
        """The weights that no algorithm is asked for: by policy, or by a closed form where that is allowed."""

    def products(self, weights: Array) -> Array:
        """What the gap and the step are made of, such as Gw."""

    def gap(self, weights: Array, products: Array) -> float:
        """The gap of the scaled problem in float64."""

    def promising(self, weights: Array, gap: float) -> bool:
        """Whether that gap, its rounding allowed for, may be within the tolerance: it screens, ``judged`` decides."""

    def judged(self, weights: Array, iterations: int) -> Solution:
        """The weights with their certificate, in extended precision."""

    def objective(self, weights: Array) -> float:
        """The room's objective, in extended precision and in the unit of the given Gramian."""


def solve(
    algorithm: Algorithm, problem: Problem, tolerance: float, max_iterations: int, options: Mapping[str, Any]
) -> Solution:
    """Run ``algorithm`` on ``problem`` until it is certified or ``max_iterations`` are spent."""
    weights = problem.decided(algorithm.closed_form)
    if weights is not None:
        return problem.judged(weights, 0)
    if algorithm.direct is not None:
        return problem.judged(*algorithm.direct(problem.subject, max_iterations))
    assert algorithm.start is not None
    assert algorithm.step is not None
    state = algorithm.start(problem.subject, problem.exponent, **options)
    best, smallest = state.weights, np.inf
    for iteration in range(max_iterations + 1):
        weights = state.weights
        products = problem.products(weights)
        gap = problem.gap(weights, products)
        if problem.promising(weights, gap):
            solution = problem.judged(weights, iteration)
            if solution.converged:
                return solution
        # A finite algorithm that ends outside the tolerance was misled by rounding; what it had before may be better.
        # An iterative one is stopped on its way: its answer is where it is.
        if algorithm.iterative or gap < smallest:
            best, smallest = weights, gap
        if algorithm.residual is not None and algorithm.residual(state, products) <= tolerance:
            break
        if iteration == max_iterations:
            break
        previous = state
        state = algorithm.step(problem.subject, previous, products, iteration + 1)
        if state is previous:
            break
    return problem.judged(best, iteration)


def trace(algorithm: Algorithm, problem: Problem, max_iterations: int, options: Mapping[str, Any]) -> Iterator[Entry]:
    """Yield (iteration, weights, objective, gap, seconds) of every iterate of ``algorithm``, the start included."""
    begin = perf_counter()
    weights = problem.decided(False)
    if weights is not None or algorithm.direct is not None:
        iterations = 0
        if weights is None and algorithm.direct is not None:
            weights, iterations = algorithm.direct(problem.subject, max_iterations)
        assert weights is not None
        seconds = perf_counter() - begin
        yield iterations, weights, problem.objective(weights), problem.judged(weights, iterations).gap, seconds
        return
    assert algorithm.start is not None
    assert algorithm.step is not None
    state = algorithm.start(problem.subject, problem.exponent, **options)
    seconds = perf_counter() - begin
    for iteration in range(max_iterations + 1):
        # Copied: a reader may keep or change what was yielded.
        weights = state.weights.copy()
        yield iteration, weights, problem.objective(weights), problem.judged(weights, iteration).gap, seconds
        # Timed apart from the certificate and from whatever the reader does between two steps.
        begin = perf_counter()
        previous = state
        products = problem.products(previous.weights)
        if iteration == max_iterations:
            return
        state = algorithm.step(problem.subject, previous, products, iteration + 1)
        seconds += perf_counter() - begin
        if state is previous:
            return


def check_arguments(algorithm: Algorithm, tolerance: float, max_iterations: int, options: Mapping[str, Any]) -> None:
    """Raise :class:`ValueError`, one sentence, for a wrong tolerance or limit, or an option that nobody has."""
    # At every training step: the usual case first.
    usual = type(tolerance) is float and 0.0 <= tolerance < np.inf and type(max_iterations) is int
    if usual and max_iterations >= 1 and not options:
        return
    # not (... >= 0): NaN fails too.
    if not isinstance(tolerance, NUMBER) or not 0.0 <= tolerance < np.inf:
        raise ValueError(f"tolerance must be a finite number >= 0, got {tolerance!r}")
    if isinstance(max_iterations, bool) or not isinstance(max_iterations, WHOLE) or max_iterations < 1:
        raise ValueError(f"max_iterations must be a whole number >= 1, got {max_iterations!r}")
    algorithm.check_options(options)
