"""The one driver: it runs the step of any algorithm until the certificate says stop.

An algorithm has no stopping rule of its own. Each iteration the driver computes the products Gw, from which both the
step and the gap are made; when the gap seems small enough in float64, the certificate is computed in extended
precision, and that alone decides. What is decided before any algorithm runs: K = 1 has w = (1); a zero row is answered
by its vertex; K = 2 by the closed form, except for `exact` (the referee stays an independent computation) and for an
algorithm of a nearby problem (whose answer at K = 2 is another one). :func:`trace` never uses the closed form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from time import perf_counter
from typing import Any

import numpy as np

from ..algorithm import Algorithm
from ..gramian import Array, as_gramian, normalised
from ..solution import Solution
from . import problem

Step = tuple[int, Array, float, float, float]


def solve(
    algorithm: Algorithm, gramian: Any, tolerance: float, max_iterations: int, options: Mapping[str, Any]
) -> Solution:
    """Run ``algorithm`` on ``gramian``; see :func:`mtlbench.solvers.min_norm.solve`."""
    # not (... >= 0): NaN fails too.
    if not isinstance(tolerance, int | float | np.number) or not 0.0 <= tolerance < np.inf:
        raise ValueError(f"tolerance must be a finite number >= 0, got {tolerance!r}")
    _check_limit(max_iterations)
    algorithm.check_options(options)
    g = as_gramian(gramian)
    target = problem.tolerated(g, tolerance)
    weights = _given(g)
    if weights is None and len(g) == 2 and algorithm.closed_form:
        weights = problem.two_tasks(g)
    if weights is not None:
        return _judged(g, weights, 0, target)
    scaled, exponent = normalised(g)
    if algorithm.direct is not None:
        weights, iterations = algorithm.direct(scaled, max_iterations)
        return _judged(g, weights, iterations, target)
    assert algorithm.start is not None
    assert algorithm.step is not None
    # The certificate of the scaled problem is that of the given one, scaled: compare there, report in the given unit.
    within = problem.tolerated(scaled, tolerance)
    lengths = np.sqrt(scaled.diagonal())
    rounding = 4.0 * len(g) * problem.EPS * float(lengths.max())
    state = algorithm.start(scaled, exponent, **options)
    best, smallest = state.weights, np.inf
    for iteration in range(max_iterations + 1):
        weights = state.weights
        products = scaled @ weights
        gap = weights @ products - products.min()
        # The float64 gap may be off by its rounding: it screens, the certificate decides.
        if gap <= within + rounding * (weights @ lengths):
            solution = _judged(g, weights, iteration, target)
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
        state = algorithm.step(scaled, previous, products, iteration + 1)
        if state is previous:
            break
    return _judged(g, best, iteration, target)


def trace(algorithm: Algorithm, gramian: Any, max_iterations: int, options: Mapping[str, Any]) -> Iterator[Step]:
    """Yield every iterate of ``algorithm``; see :func:`mtlbench.solvers.min_norm.trace`."""
    _check_limit(max_iterations)
    algorithm.check_options(options)
    return _trace(algorithm, as_gramian(gramian), max_iterations, options)


def _trace(algorithm: Algorithm, g: Array, max_iterations: int, options: Mapping[str, Any]) -> Iterator[Step]:
    begin = perf_counter()
    weights = _given(g)
    scaled, exponent = normalised(g)
    if weights is not None or algorithm.direct is not None:
        iterations = 0
        if weights is None and algorithm.direct is not None:
            weights, iterations = algorithm.direct(scaled, max_iterations)
        assert weights is not None
        seconds = perf_counter() - begin
        yield _entry(g.astype(np.longdouble), weights, iterations, seconds)
        return
    assert algorithm.start is not None
    assert algorithm.step is not None
    state = algorithm.start(scaled, exponent, **options)
    seconds = perf_counter() - begin
    exact = g.astype(np.longdouble)
    for iteration in range(max_iterations + 1):
        # Copied: a reader may keep or change what was yielded.
        yield _entry(exact, state.weights.copy(), iteration, seconds)
        # Timed apart from the certificate and from whatever the reader does between two steps.
        begin = perf_counter()
        previous = state
        products = scaled @ previous.weights
        if iteration == max_iterations:
            return
        state = algorithm.step(scaled, previous, products, iteration + 1)
        seconds += perf_counter() - begin
        if state is previous:
            return


def _given(g: Array) -> Array | None:
    """The answer that no algorithm is asked for: K = 1, or a zero row."""
    zero = problem.vertex_of_zero_row(g)
    if zero is not None:
        return problem.vertex(len(g), zero)
    return np.ones(1) if len(g) == 1 else None


def _judged(g: Array, weights: Array, iterations: int, target: float) -> Solution:
    gap, square = problem.gap_and_square(g, weights)
    # Compared as it is reported: whoever compares `gap` with the tolerance again comes to the same answer.
    reported = float(gap)
    return Solution(weights, reported, iterations, reported <= target, bool(gap <= square))


def _entry(g: problem.Extended, weights: Array, iteration: int, seconds: float) -> Step:
    gap, square = problem.extended_gap_and_square(g, weights)
    return iteration, weights, float(square / 2), float(gap), seconds


def _check_limit(max_iterations: int) -> None:
    if isinstance(max_iterations, bool) or not isinstance(max_iterations, int | np.integer) or max_iterations < 1:
        raise ValueError(f"max_iterations must be a whole number >= 1, got {max_iterations!r}")
