"""One solver on one problem: every promise checked, whether or not the solver claims convergence.

The allowances are rounding only. Rounding of the weights moves f by at most ``Measured.rounding``, rounding
of the Gramian by at most :func:`~mtlbench.referee.measure.rounding_of`; both are relative to the Gramian's
own scale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtlbench.referee import theory
from mtlbench.referee.candidate import Candidate
from mtlbench.referee.families import Array
from mtlbench.referee.ledger import Ledger, Sentence
from mtlbench.referee.measure import EPS, Measured, distance_squared, measure, relative, rounding_of
from mtlbench.referee.problems import Problem
from mtlbench.referee.scores import Yardstick, clocked, iterations_to, score
from mtlbench.solvers import Solution

FEW = 2
"""An iteration limit under which no iterative solver has time to finish a hard problem."""


@dataclass(frozen=True)
class Trace:
    """The T iterates of a solver on one problem: what it says of each, and our measure of each."""

    iterations: NDArray[np.int64]
    weights: Array
    objectives: Array
    gaps: Array
    seconds: Array
    measured: Measured


class Bench:
    """One problem, its reference optimum measured, the allowance for rounding, and the ledger to write in."""

    def __init__(self, problem: Problem, ledger: Ledger) -> None:
        self.problem, self.ledger = problem, ledger
        self.gramian = problem.gramian
        self.reference = measure(problem.gramian, problem.reference)
        self.rounding = rounding_of(problem.gramian)
        self.yardstick = Yardstick.of(problem.gramian, problem.reference)
        self.tolerated = self.yardstick.tolerated

    def check(self, promise: str, measured: ArrayLike, allowed: ArrayLike, sentence: Sentence) -> None:
        """Hold ``measured <= allowed`` on this problem."""
        name = self.problem.name
        self.ledger.check(promise, self.problem.family, measured, allowed, lambda *found: f"{name}: {sentence(*found)}")


def judge(bench: Bench, solver: Candidate, limit: int, length: int) -> tuple[Trace | None, dict[str, Any]]:
    """Run ``solver`` on one problem and enter what it kept and broke; returns its trace and accuracy row.

    An iterative solver is given ``limit`` iterations, its trace has ``length``. One that raises has no trace. The row's
    ``seconds`` are those of one call, see :func:`~mtlbench.referee.scores.clocked`.
    """
    problem, iterative = bench.problem, solver.promises.iterative
    row = {
        "family": problem.family,
        "size": problem.size,
        "problem": problem.number,
        "algorithm": solver.name,
    }
    check_reference(bench)
    trace = attempt(bench, lambda: run_trace(bench, solver, length))
    solution, seconds = answer(bench, solver, **({"max_iterations": limit} if iterative else {}))
    hurried = answer(bench, solver, max_iterations=FEW)[0] if iterative else None
    if trace is None or solution is None:
        return None, row
    check_trace(bench, solver, trace)
    check_solution(bench, solution, limit if iterative else None)
    if hurried is not None:
        check_solution(bench, hurried, FEW)
    found = measure(bench.gramian, solution.weights)
    apart = float(distance_squared(bench.gramian, solution.weights, problem.reference)[0])
    return trace, row | {
        "iterations": int(solution.iterations),
        "converged": bool(solution.converged),
        "relative_gap": relative(float(found.gap[0]), bench.gramian),
        "objective_error": relative(float(found.objective[0] - bench.reference.objective[0]), bench.gramian),
        "direction_distance": relative(apart, bench.gramian) ** 0.5,
        "seconds": seconds,
        **score(bench.yardstick, found),
        **iterations_to(bench.yardstick, trace.iterations[trace.iterations <= limit], trace.measured.gap),
    }


Result = TypeVar("Result")


class NoAnswer(ValueError):
    """What a solver on trial returned is no answer; the message says why."""


def attempt(bench: Bench, call: Callable[[], Result]) -> Result | None:
    """What ``call`` returns; a solver on trial that raises has broken a promise, and the referee goes on."""
    try:
        result = call()
    except (Exception, SystemExit) as error:
        said = " ".join(str(error).split())
        sentence = said if isinstance(error, NoAnswer) else f"raised {type(error).__name__}: {said}"
        bench.check("answers", np.nan, 0, lambda *_: sentence)
        return None
    bench.check("answers", 0, 0, lambda *_: "")
    return result


def answer(bench: Bench, solver: Candidate, **options: Any) -> tuple[Solution | None, float]:
    """The solver's solution, its weights as a vector (K,), or ``None`` where it has none; and its seconds."""
    seconds = np.nan

    def call() -> Solution:
        nonlocal seconds
        solution, seconds = clocked(lambda: solver.solve(bench.gramian, **options))
        return solution._replace(weights=np.asarray(solution.weights, np.float64).reshape(bench.problem.size))

    return attempt(bench, call), seconds


def run_trace(bench: Bench, solver: Candidate, iterations: int) -> Trace:
    """The solver's own account of at most ``iterations`` iterations, measured."""
    # islice: a solver that never stops is cut off, not waited for.
    steps = list(islice(solver.trace(bench.gramian, max_iterations=iterations), iterations + 1))
    numbers, weights, objectives, gaps, seconds = (np.array(column) for column in zip(*steps, strict=True))
    return Trace(numbers, weights, objectives, gaps, seconds, measure(bench.gramian, weights))


def check_trace(bench: Bench, solver: Candidate, trace: Trace) -> None:
    """What holds at every iteration: weights, reported gap, theory bound, monotone decrease."""
    number, found = trace.iterations, trace.measured
    check_weights(bench, trace.weights)
    check_gap(bench, trace.gaps, found)
    bench.check(
        "reported objective is true",
        np.abs(trace.objectives - found.objective),
        found.certainty + 4 * EPS * found.objective,
        lambda i, off, _: f"reported f at iteration {number[i]} is off by {off:.3g}",
    )
    # f_ref − gap_ref <= f* <= f_ref, so f − f_ref <= f − f*: what breaks here breaks the bound on f − f* too.
    bound = bounds(solver, bench.gramian, number)
    if not np.isposinf(bound).all():
        bench.check(
            "theory bound",
            found.objective - bench.reference.objective[0],
            bound + found.rounding + bench.rounding,
            lambda i, error, limit: f"f − f* = {error:.3g} at iteration {number[i]}, above the bound {limit:.3g}",
        )
    if solver.promises.monotone or solver.name in theory.MONOTONE:
        bench.check(
            "monotone decrease",
            found.objective[1:] - found.objective[:-1],
            found.rounding[1:],
            lambda i, rise, _: f"f rose by {rise:.3g} at iteration {number[i + 1]}",
        )
    check_statements(bench, solver, number)


def check_statements(bench: Bench, solver: Candidate, number: NDArray[np.int64]) -> None:
    """An algorithm that theory knows states no less than theory: a bound as tight, and its decrease."""
    known = theory.bounds(solver.name, bench.gramian, number)
    bounded = np.isfinite(known)
    if bounded.any():
        bench.check(
            "states the known bound",
            stated_bounds(solver, bench.gramian, number[bounded]),
            known[bounded] + bench.rounding,
            lambda i, bound, limit: f"the bound {bound:.3g} at iteration {number[bounded][i]}, known is {limit:.3g}",
        )
    if solver.name in theory.MONOTONE:
        bench.check(
            "states the known decrease",
            0 if solver.promises.monotone else np.inf,
            0,
            lambda *_: "monotone is not stated, but it is known that f never rises",
        )


def check_reference(bench: Bench) -> None:
    """The reference optimum itself meets the default tolerance: all that is measured against it rests on that."""
    bench.check(
        "reference optimum is certified",
        bench.reference.gap[0],
        bench.tolerated + bench.reference.certainty[0],
        lambda _, gap, most: f"the gap of the reference is {gap:.3g}, tolerated is {most:.3g}",
    )


def bounds(solver: Candidate, gramian: Array, iterations: NDArray[np.int64]) -> Array:
    """The tightest bounds (T,) on f − f*, stated or known; infinite where there is none."""
    return np.minimum(stated_bounds(solver, gramian, iterations), theory.bounds(solver.name, gramian, iterations))


def stated_bounds(solver: Candidate, gramian: Array, iterations: NDArray[np.int64]) -> Array:
    """The bounds (T,) on f − f* that the solver's author states; infinite where nothing is stated."""
    stated = np.full(len(iterations), np.inf)
    if solver.promises.bound is not None:
        stated[:] = solver.promises.bound(gramian, iterations)
    return stated


def check_weights(bench: Bench, weights: Array) -> None:
    """Weights lie in the simplex: none negative, their sum 1 up to 16 K eps."""
    w = np.atleast_2d(weights)
    sums = np.abs(w.astype(np.longdouble).sum(axis=1) - 1)
    bench.check(
        "weights in the simplex",
        np.where(w.min(axis=1) < 0, np.inf, sums),
        16 * w.shape[1] * EPS,
        lambda i, found, _: f"weights {i} of {len(w)}: smallest {w[i].min():.3g}, sum 1 off by {sums[i]:.3g}",
    )


def check_gap(bench: Bench, reported: ArrayLike, found: Measured) -> None:
    """The gap that the solver reports is the certificate of its weights."""
    bench.check(
        "reported gap is the certificate",
        np.abs(np.atleast_1d(reported) - found.gap),
        found.certainty + 4 * EPS * np.abs(found.gap),
        lambda i, off, _: f"reported gap off by {off:.3g}, the certificate is {float(found.gap[i]):.3g}",
    )


def check_solution(bench: Bench, solution: Solution, limit: int | None) -> None:
    """What a solution says of itself, and its agreement with the reference, against our measure of its
    weights.

    ``limit`` is the iteration limit that was given; without one the default tolerance has to be met.
    """
    check_weights(bench, solution.weights)
    found = measure(bench.gramian, solution.weights)
    gap, tolerated = found.gap[0], bench.tolerated + found.certainty[0]
    check_claims(bench, solution, found)
    if limit is None:
        bench.check(
            "default tolerance met",
            gap if solution.converged else np.inf,
            tolerated,
            lambda *_: f"gap {gap:.3g}, converged is {solution.converged}, tolerated is {tolerated:.3g}",
        )
    else:
        bench.check(
            "keeps the iteration limit",
            solution.iterations,
            limit,
            lambda _, used, most: f"took {used:.0f} iterations of {most:.0f}",
        )
    check_agreement(bench, solution.weights, found)


def check_claims(bench: Bench, solution: Solution, found: Measured) -> None:
    """What a solution says of its own weights: gap, convergence, conflict."""
    gap = found.gap[0]
    check_gap(bench, solution.gap, found)
    bench.check(
        "converged only within the tolerance",
        gap if solution.converged else 0,
        bench.tolerated + found.certainty[0],
        lambda _, gap, most: f"said to have converged at a gap of {gap:.3g}, tolerated is {most:.3g}",
    )
    # <g_i, u> >= 0 for all i exactly where gap <= wᵀGw; within rounding of equality either answer is right.
    surplus = gap - 2 * found.objective[0]
    bench.check(
        "non_conflicting is true",
        surplus if solution.non_conflicting else -surplus,
        found.rounding[0],
        lambda *_: f"non_conflicting is {solution.non_conflicting}, but gap − wᵀGw is {surplus:.3g}",
    )


def check_agreement(bench: Bench, weights: Array, found: Measured) -> None:
    """No farther from cvxpy's optimum, in direction and objective, than the two gaps allow."""
    gap, error = found.gap[0], found.objective[0] - bench.reference.objective[0]
    rounding = bench.rounding + found.rounding[0]
    bench.check(
        "agrees with cvxpy on the direction",
        distance_squared(bench.gramian, weights, bench.problem.reference)[0],
        max(gap, 0) + max(bench.reference.gap[0], 0) + rounding,
        lambda _, apart, most: f"‖u − u*‖² = {apart:.3g}, the gaps allow {most:.3g}",
    )
    bench.check(
        "agrees with cvxpy on the objective",
        abs(error),
        max(gap if error > 0 else bench.reference.gap[0], 0) + rounding,
        lambda _, off, most: f"f differs from f* by {off:.3g}, the gap allows {most:.3g}",
    )
