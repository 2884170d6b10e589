"""How the direction answers: to other units, to another order, to special tasks, to being asked again; and how fast.

Everything is measured on Gaussian Jacobians, whatever is promised; a law holds if the relative error ‖u' − law(u)‖ /
‖law(u)‖ is within the tolerance on every one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from mtlbench.cards.agreement import Claim, finite
from mtlbench.cards.subject import Ask, Question, Subject, said
from mtlbench.referee.families import Array, draw_rows

COMMON = tuple(2.0**exponent for exponent in (-20, -10, 10, 20))
"""Common factors: powers of two, so that only a constant of the method's own can tell one unit from another."""

LAWS = ("invariant", "direction", "linear")

SPECIAL: Mapping[str, Sequence[Sequence[float]]] = {
    "one task": [[3, 4]],
    "a task without gradient": [[3, 4], [0, 0]],
    "no gradient at all": [[0, 0], [0, 0]],
    "identical tasks": [[3, 4], [3, 4], [3, 4]],
    "opposed tasks": [[3, 4], [-3, -4]],
    "opposed, one twice as long": [[3, 4], [-6, -8]],
    "NaN in one task": [[3, 4], [float("nan"), 1]],
    "infinity in one task": [[3, 4], [float("inf"), 1]],
}

COST_TASKS = (2, 8, 32)
SECONDS = 0.1


def question(family: str, tasks: int, number: int, seed: int) -> Question:
    """A problem of the family with losses between 0.2 and 3, all decided by the four values."""
    losses = np.random.default_rng([seed, tasks, number]).uniform(0.2, 3.0, tasks)
    return Question(draw_rows(family, tasks, number, seed), losses)


def scaled(asked: Question, factors: Any) -> Question:
    """The question after L_i ↦ c_i L_i."""
    c = np.broadcast_to(np.asarray(factors, dtype=np.float64), asked.losses.shape)
    return Question(c[:, None] * asked.jacobian, c * asked.losses)


def apart(found: Array, expected: Array) -> float:
    """‖found − expected‖ / ‖expected‖, 0/0 being 0; infinite where one of them is not finite."""
    difference, length = float(np.linalg.norm(found - expected)), float(np.linalg.norm(expected))
    if not np.isfinite(difference):
        return float(np.inf)
    return difference / length if length > 0 else float(np.inf if difference > 0 else 0.0)


def unit(direction: Array) -> Array:
    """The direction at length one; zero stays zero."""
    length = float(np.linalg.norm(direction))
    return direction / length if length > 0 else direction


class Laws:
    """The scaling laws and the permutation, measured on ``questions``; each error with the question it is worst on."""

    def __init__(self, ask: Ask, questions: Sequence[Question], seed: int = 0) -> None:
        self.ask, self.questions, self.seed = ask, questions, seed
        self.plain = [ask(asked) for asked in questions]
        given = list(zip(questions, self.plain, strict=True))
        self.rescaled = [(asked, c, plain, ask(scaled(asked, c))) for asked, plain in given for c in COMMON]

    def common(self) -> dict[str, Any]:
        """The degree p in u(cJ, cL) = c^p u, the median over all, and the worst relative error of that law."""
        degrees = [
            np.log(np.linalg.norm(u) / np.linalg.norm(plain)) / np.log(c)
            for _, c, plain, u in self.rescaled
            if u.any() and plain.any()
        ]
        degree = float(np.round(np.median(degrees), 3)) + 0.0 if degrees else 0.0
        return {"degree": degree} | self.common_error(degree)

    def common_error(self, degree: float) -> dict[str, Any]:
        """The worst relative error of u(cJ, cL) = c^degree u."""
        return worst((apart(u, c**degree * plain), f"{_tasks(q)}, c = {c:.3g}") for q, c, plain, u in self.rescaled)

    def task(self) -> dict[str, dict[str, Any]]:
        """The worst error of each law for L_i ↦ c_i L_i, c_i from 0.1 to 10."""
        errors: dict[str, list[tuple[float, str]]] = {law: [] for law in LAWS}
        for number, (asked, plain) in enumerate(zip(self.questions, self.plain, strict=True)):
            rng = np.random.default_rng([self.seed, number])
            a, b = 10 ** rng.uniform(-1, 1, (2, len(asked.losses)))
            for_a, for_b, for_both = (self.ask(scaled(asked, c)) for c in (a, b, a + b))
            errors["invariant"].append((apart(for_a, plain), _tasks(asked)))
            errors["direction"].append((apart(unit(for_a), unit(plain)), _tasks(asked)))
            errors["linear"].append((apart(for_both, for_a + for_b), _tasks(asked)))
        return {law: worst(iter(found)) for law, found in errors.items()}

    def permutation(self) -> dict[str, Any]:
        """The worst error of the direction when the tasks change their places."""
        found = []
        for asked, plain in zip(self.questions, self.plain, strict=True):
            order = np.random.default_rng(self.seed).permutation(len(asked.losses))
            order = order[::-1] if (order == np.arange(len(order))).all() else order
            found.append((apart(self.ask(Question(asked.jacobian[order], asked.losses[order])), plain), _tasks(asked)))
        return worst(iter(found))


def worst(found: Any) -> dict[str, Any]:
    """The largest of (error, where)."""
    error, where = max(found, key=lambda entry: np.inf if np.isnan(entry[0]) else entry[0])
    return {"error": finite(error), "where": where}


def holds(measured: Mapping[str, Any], tolerance: float) -> bool:
    """Whether the law of these measured errors holds."""
    return measured["error"] is not None and measured["error"] <= tolerance


def law(errors: Mapping[str, Mapping[str, Any]], tolerance: float) -> str:
    """The strongest law for each task's own unit that holds, or "none"."""
    return next((name for name in LAWS if holds(errors[name], tolerance)), "none")


def _tasks(asked: Question) -> str:
    return f"{len(asked.losses)} tasks"


def draws(subject: Subject, asked: Question) -> bool:
    """Whether the answer depends on the state of the global random generators."""
    return any(not np.array_equal(subject.ask(asked, seed), subject.ask(asked), equal_nan=True) for seed in (1, 2, 3))


def remembers(subject: Subject, asked: Question, between: Question) -> bool:
    """Whether the answer of one instance depends on what it was asked before."""
    again = subject.fresh(len(asked.losses))
    first = again(asked)
    again(between)
    return not np.array_equal(again(asked), first, equal_nan=True)


def special(ask: Ask) -> dict[str, str]:
    """What is answered to the special tasks, in words."""
    answers = {}
    for name, rows in SPECIAL.items():
        jacobian = np.array(rows, dtype=np.float64)
        try:
            answers[name] = worded(ask(Question(jacobian, np.ones(len(jacobian)))))
        except (Exception, SystemExit) as error:
            answers[name] = said(error)
    return answers


def worded(direction: Array) -> str:
    """``(3, 4)``, or that it is not finite."""
    if np.isnan(direction).any():
        return "NaN"
    return f"({', '.join(f'{value + 0.0:.4g}' for value in np.where(abs(direction) < 1e-12, 0.0, direction))})"


def cost(subject: Subject, claim: Claim | None, seed: int = 0) -> list[dict[str, Any]]:
    """Microseconds of a call at K = 2, 8 and 32 on Gaussian gradients in 2K dimensions; ours from J to u, in numpy."""
    rows = []
    for tasks in COST_TASKS:
        asked = question("gaussian", tasks, 0, seed)
        row: dict[str, Any] = {"tasks": tasks, "microseconds": None, "ours": None}
        try:
            row["microseconds"] = microseconds(subject.call(subject.make(tasks), asked))
            row["ours"] = microseconds(partial(claim.timed, asked)) if claim and claim.timed else None
        except (Exception, SystemExit) as error:
            row["failed"] = said(error)
        rows.append(row)
    return rows


def microseconds(call: Callable[[], Any]) -> float:
    """The median of as many calls as fit into a tenth of a second, five at least, after one that is not counted."""
    call()
    seconds: list[float] = []
    while len(seconds) < 5 or sum(seconds) < SECONDS:
        start = perf_counter()
        call()
        seconds.append(perf_counter() - start)
    return round(1e6 * float(np.median(seconds)), 1)
