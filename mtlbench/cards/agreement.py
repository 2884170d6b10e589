r"""Is it the method that it claims to be? Its direction beside ours and cvxpy's, problem by problem.

With u the direction asked for and u* ours, put together from w*, the relative error is

.. math:: \|u / t_K - u^*\| \,/\, \|u^*\|, \qquad t_K \text{ constant over all problems of } K \text{ tasks}.

The factor t_K is 1 unless one and the same number makes at least half of the K-task problems agree: sum and mean,
or a constant rescaling of CAGrad, are one method at two learning rates, and the card names the number. Where u* is
zero beside what it is put together from, ‖u*‖ <= 10⁻⁶ Σ w*_i ‖g_i‖, the point is stationary: errors there are
relative to that sum and stand apart, because methods differ in what they do where nothing is to be gained. The
family ``zero_row`` is left to the special tasks for the same reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mtlbench import methods
from mtlbench.cards.subject import Question, combined
from mtlbench.errors import unknown_name
from mtlbench.methods import Method, Promises
from mtlbench.referee.families import Array
from mtlbench.solvers import InvalidGramian, NoSolution, SolverFailed

STATIONARY = 1e-6
POLICY = "zero_row"
"""The family in which methods differ by policy."""

Reference = Callable[[Question], tuple[Array, float]]
"""A question → the direction (d,) and Σ |w_i| ‖g_i‖."""


@dataclass(frozen=True)
class Claim:
    """A method of ours: what it promises, its direction, and the same with its inner problem solved by cvxpy."""

    name: str
    promises: Promises
    ours: Reference
    cvxpy: Reference | None = None
    random: bool = False
    timed: Reference | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def references(self) -> dict[str, Reference]:
        """Whom the direction is compared with, by name."""
        return {"ours": self.ours} | ({"cvxpy": self.cvxpy} if self.cvxpy else {})


def claim(name: str, options: Mapping[str, Any] | None = None) -> Claim:
    """The claim to be our method ``name`` with ``options``; raises :class:`~mtlbench.errors.InputError`."""
    if name not in methods.names():
        raise unknown_name("method for --claims", name, methods.names())
    given = dict(options or {})
    method = methods.get(name, **given)
    exact = referee_option(method)
    return Claim(
        name,
        method.promises,
        lambda question: combined(methods.get(name, **given), question),
        (lambda question: combined(methods.get(name, **(given | exact)), question)) if exact else None,
        method.random is not None,
        lambda question: combined(method, question),
        given,
    )


def referee_option(method: Method) -> dict[str, Any]:
    """The option that has the inner problem solved by cvxpy, where the method has one."""
    # A method may be one algorithm by definition, as the greedy one is: no referee stands for it.
    fixed = getattr(method, "solvers", ())
    return {"solver": "exact"} if method.inner_problem and "solver" in method.parameters() and not fixed else {}


class Problem(NamedTuple):
    """A question of a family, and its name for a sentence."""

    family: str
    number: int
    question: Question

    @property
    def tasks(self) -> int:
        return len(self.question.jacobian)

    def __str__(self) -> str:
        return f"{self.family}, {self.tasks} tasks, problem {self.number}"


class Pair(NamedTuple):
    """A direction beside the one that it should be; ``total`` is what that one is put together from."""

    problem: Problem
    found: Array
    expected: Array
    total: float

    @property
    def stationary(self) -> bool:
        return bool(np.linalg.norm(self.expected) <= STATIONARY * self.total)

    def error(self, factor: float = 1.0) -> float:
        """‖u/t − u*‖ in the unit of the module's docstring; 0/0 is 0."""
        apart = float(np.linalg.norm(self.found / factor - self.expected))
        unit = self.total if self.stationary else float(np.linalg.norm(self.expected))
        return apart / unit if unit > 0 else float(np.inf if apart > 0 else 0.0)


def pairs(problems: Sequence[Problem], answers: Sequence[Array | None], reference: Reference) -> list[Pair]:
    """The finite answers beside the reference's; left out where the reference has none, and the family of policies."""
    found = []
    for problem, answer in zip(problems, answers, strict=True):
        if answer is None or problem.family == POLICY or not np.isfinite(answer).all():
            continue
        try:
            expected, total = reference(problem.question)
        except (NoSolution, SolverFailed, InvalidGramian):
            continue
        found.append(Pair(problem, answer, expected, total))
    return found


def factors(compared: Sequence[Pair], tolerance: float) -> dict[int, float]:
    """t_K for every K: the median of ⟨u, u*⟩/‖u*‖² where it makes half of the problems agree, and more than 1 does."""
    found = {}
    for tasks in sorted({pair.problem.tasks for pair in compared}):
        own = [pair for pair in compared if pair.problem.tasks == tasks and not pair.stationary]
        ratios = [float(pair.found @ pair.expected / (pair.expected @ pair.expected)) for pair in own]
        factor = float(np.median(ratios)) if ratios else 1.0

        def agreeing(t: float, own: list[Pair] = own) -> int:
            return sum(pair.error(t) <= tolerance for pair in own)

        constant = factor > 0 and agreeing(factor) > agreeing(1.0) and 2 * agreeing(factor) >= len(own)
        found[tasks] = factor if constant else 1.0
    return found


def summary(errors: Sequence[tuple[float, Problem]], tolerance: float) -> dict[str, Any]:
    """Median, worst and where; how many are within the tolerance."""
    if not errors:
        return {"compared": 0, "within": 0, "median": None, "worst": None, "where": None}
    values = [value for value, _ in errors]
    worst, where = max(errors, key=lambda entry: entry[0])
    return {
        "compared": len(values),
        "within": sum(value <= tolerance for value in values),
        "median": finite(float(np.median(values))),
        "worst": finite(worst),
        "where": str(where),
    }


def compare(compared: Sequence[Pair], tolerance: float) -> dict[str, Any]:
    """The errors over all problems, by family, and at stationary points; the factors t_K."""
    constant = factors(compared, tolerance)
    regular = [(pair.error(constant[pair.problem.tasks]), pair.problem) for pair in compared if not pair.stationary]
    resting = [(pair.error(), pair.problem) for pair in compared if pair.stationary]
    families = list(dict.fromkeys(problem.family for _, problem in regular))
    return {
        **summary(regular, tolerance),
        "factors": {str(tasks): factor for tasks, factor in constant.items()},
        "families": {
            name: summary([(e, problem) for e, problem in regular if problem.family == name], tolerance)
            for name in families
        },
        "stationary": summary(resting, tolerance),
    }


def finite(value: float) -> float | None:
    """``value`` for JSON, which knows no infinity."""
    return value if np.isfinite(value) else None
