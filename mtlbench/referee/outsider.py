"""Solvers that are not the project's, judged by the weights they return: a user's own function, and the QP packages.

A function owes what every solver owes: an answer, finite weights in the simplex, truth in what it claims, and the
same quality in every unit. It may return a :class:`~mtlbench.solvers.Solution`, whose claims are then checked, or
anything that numpy can read as K numbers. A package owes nothing: it is only measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from mtlbench.referee.families import Array, draw
from mtlbench.referee.guest import load
from mtlbench.referee.judge import Bench, NoAnswer, attempt, check_agreement, check_claims
from mtlbench.referee.ledger import Ledger
from mtlbench.referee.measure import distance_squared, measure, relative
from mtlbench.referee.problems import Problem
from mtlbench.referee.scores import SOLVED, clocked, plain, score
from mtlbench.solvers import Solution

ROUNDING = 1e-9
"""Weights down to −1e-9 are taken for 0 and a sum within 1e-9 of 1 for 1; in single precision 16 K eps, if larger."""

SCALES = (2.0**-40, 2.0**40)
"""The c at which a function is asked for cG too; powers of 4, so that only a constant of its own can tell."""

WARMUP = draw("gaussian", 3)


@dataclass(frozen=True)
class Outsider:
    """``prepare(gramian)`` → the call that is timed → weights. ``owes``: it is held to what every solver owes."""

    name: str
    prepare: Callable[[Array], Callable[[], Any]]
    owes: bool


@dataclass(frozen=True)
class Given:
    """One answer: the weights as float64 (K,), the rounding that their precision allows, what was claimed."""

    weights: Array
    rounding: float
    claims: Solution | None


def guest(specification: str) -> Outsider:
    """The user's function ``package.module:function``; raises :class:`~mtlbench.errors.InputError`."""
    function = load(specification)
    # A copy: what a function does to its argument is its own affair.
    return Outsider(specification, lambda gramian: partial(function, gramian.copy()), owes=True)


def packages(chosen: Mapping[str, Callable[[Array], Callable[[], Any]]]) -> list[Outsider]:
    """Third-party packages, of :func:`mtlbench.referee.packages.chosen`."""
    return [Outsider(name, prepare, owes=False) for name, prepare in chosen.items()]


def judge_outsider(outsider: Outsider, given: Iterable[Problem]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What it did on the problems: the part for the verdict, and the seconds of each call."""
    ledger = Ledger()
    rows: list[dict[str, Any]] = []
    calls: list[float | None] = []
    with suppress(Exception, SystemExit):  # if it cannot do this, the problems will show it
        outsider.prepare(WARMUP)()
    for problem in given:
        row = judge_one(Bench(problem, ledger), outsider)
        calls.append(plain(row.pop("seconds", None)))
        rows.append({key: plain(value) for key, value in row.items()})
    part: dict[str, Any] = {"rows": rows, "promises": ledger.entries() if outsider.owes else [], "traces": []}
    clipped = [row["clipped"] for row in rows if row.get("clipped", 0) < 0]
    if outsider.owes:
        part["notes"] = [_note(clipped, len(rows))] if clipped else []
    return part, {"seconds": [], "calls": calls}


def _note(clipped: list[float], asked: int) -> str:
    return f"{len(clipped)} of {asked} answers had negative weights, down to {min(clipped):.2g}, which were taken for 0"


def judge_one(bench: Bench, outsider: Outsider) -> dict[str, Any]:
    """Ask for the weights of one problem and enter what was kept and broken; returns the accuracy row."""
    problem = bench.problem
    row = {"family": problem.family, "size": problem.size, "problem": problem.number, "algorithm": outsider.name}
    asked = attempt(bench, lambda: ask(outsider, bench.gramian))
    if asked is None:
        return row
    given, seconds = asked
    if not _acceptable(bench, outsider, given):
        return row
    weights = cleaned(given)
    found = measure(bench.gramian, weights)
    check_agreement(bench, weights, found)
    if given.claims is not None:
        row["iterations"], row["converged"] = given.claims.iterations, given.claims.converged
        check_claims(bench, given.claims, measure(bench.gramian, given.weights))
    if outsider.owes:
        check_scales(bench, outsider, float(found.gap[0]))
    apart = float(distance_squared(bench.gramian, weights, problem.reference)[0])
    return row | {
        "relative_gap": relative(float(found.gap[0]), bench.gramian),
        "objective_error": relative(float(found.objective[0] - bench.reference.objective[0]), bench.gramian),
        "direction_distance": relative(apart, bench.gramian) ** 0.5,
        "clipped": float(min(given.weights.min(), 0.0)),
        "seconds": seconds,
        **score(bench.yardstick, found),
    }


def ask(outsider: Outsider, gramian: Array) -> tuple[Given, float]:
    """The answer and the seconds it took; raises what the solver raises, and :class:`NoAnswer`."""
    result, seconds = clocked(outsider.prepare(gramian))
    return read(result, len(gramian)), seconds


def read(result: Any, size: int) -> Given:
    """What a solver returned, as weights; :class:`NoAnswer` unless it is K real numbers."""
    claims = result if isinstance(result, Solution) else None
    value = result.weights if claims is not None else result
    if hasattr(value, "detach") and hasattr(value, "cpu"):  # a tensor of torch, perhaps on a graph or a device
        value = value.detach().cpu().numpy()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise NoAnswer(f"returned what is no array: {error}") from None
    if array.dtype.kind not in "buif":
        raise NoAnswer(f"returned {type(value).__name__}, not {size} real numbers")
    if array.shape != (size,):
        raise NoAnswer(f"returned an array of shape {array.shape}, expected ({size},)")
    single = array.dtype == np.float32
    rounding = max(ROUNDING, 16 * size * float(np.finfo(np.float32).eps)) if single else ROUNDING
    weights = array.astype(np.float64)
    if claims is not None:
        claims = Solution(
            weights, float(claims.gap), claims.iterations, bool(claims.converged), bool(claims.non_conflicting)
        )
    return Given(weights, rounding, claims)


def cleaned(given: Given) -> Array:
    """The weights with what is below 0 taken for 0, divided by their sum."""
    weights = np.maximum(given.weights, 0.0)
    return weights / weights.sum()


def _acceptable(bench: Bench, outsider: Outsider, given: Given) -> bool:
    """Whether the weights can be judged: finite and, of who owes it, in the simplex up to rounding."""
    weights = given.weights
    wrong = int(np.count_nonzero(~np.isfinite(weights)))
    bench.check("weights are finite", wrong, 0, lambda *_: f"{wrong} of {len(weights)} weights are not finite")
    if wrong:
        return False
    smallest, off = float(weights.min()), abs(float(weights.astype(np.longdouble).sum() - 1))
    outside = max(-smallest, off)
    bench.check(
        "weights in the simplex",
        outside,
        given.rounding,
        lambda _, __, most: f"smallest weight {smallest:.3g}, sum 1 off by {off:.3g}, rounding is {most:.3g}",
    )
    # A package is judged by what is left of its weights, if anything is.
    return outside <= given.rounding or (not outsider.owes and bool(weights.max() > 0.0))


def check_scales(bench: Bench, outsider: Outsider, gap: float) -> None:
    """In another unit the weights are as good: cG has the same solution, and no loss has a natural unit."""
    allowed = 2 * gap + max(SOLVED * bench.yardstick.unit, bench.tolerated)
    for scale in SCALES:
        found, failed = np.inf, "the weights were not in the simplex"
        try:
            given, _ = ask(outsider, scale * bench.gramian)
            if np.isfinite(given.weights).all() and given.weights.min() >= -given.rounding:
                found = float(measure(bench.gramian, cleaned(given)).gap[0])
                failed = f"the gap is {found:.3g} in the unit of G, for G itself {gap:.3g}"
        except (Exception, SystemExit) as error:
            failed = f"raised {type(error).__name__}: {' '.join(str(error).split())}"
        sentence = f"for {scale:.3g} G {failed}"
        bench.check("as exact for cG as for G", found, allowed, lambda *_, text=sentence: text)
