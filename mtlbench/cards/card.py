"""All that is measured of one subject, and the promises it kept and broke.

Everybody owes an answer of finite numbers to every finite question. Who claims to be one of our methods owes its
direction and each of its declared promises as well; a method derived from ours owes what it declares itself. Nothing
else is judged: what is not promised is measured and printed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtlbench.cards import behaviour, conflict
from mtlbench.cards.agreement import Claim, Pair, Problem, compare, factors, pairs
from mtlbench.cards.behaviour import SPECIAL, Laws, question
from mtlbench.cards.subject import Subject, said
from mtlbench.methods import Promises
from mtlbench.referee.families import FAMILIES, Array
from mtlbench.referee.ledger import Ledger


@dataclass(frozen=True)
class Settings:
    """The problems: ``per_size`` of every family for each number of tasks. ``tolerance``: relative errors up to it are
    agreement; the measured ones are in the card whatever it is.
    """

    sizes: tuple[int, ...] = (2, 3, 5, 8)
    per_size: int = 3
    seed: int = 0
    tolerance: float = 1e-3

    def problems(self) -> list[Problem]:
        """All of them, in the order of the families."""
        return [
            Problem(family, number, question(family, tasks, number, self.seed))
            for family in FAMILIES
            for tasks in self.sizes
            for number in range(self.per_size)
        ]


def card(subject: Subject, claim: Claim | None = None, settings: Settings | None = None) -> dict[str, Any]:
    """The card, ready for JSON; its ``passed`` says whether every promise is kept."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):  # a guest's warning is no answer
        warnings.simplefilter("ignore")
        return _card(subject, claim, settings or Settings())


def _card(subject: Subject, claim: Claim | None, settings: Settings) -> dict[str, Any]:
    ledger = Ledger()
    problems = settings.problems()
    answers = [_answer(subject, problem, ledger) for problem in problems]
    promises = claim.promises if claim else subject.promises
    result: dict[str, Any] = {
        "subject": subject.name,
        "package": subject.package,
        "options": dict(subject.options),
        "takes": subject.takes,
        "arrays": subject.arrays,
        "claims": claim.name if claim else None,
        "claims_options": dict(claim.options) if claim else {},
    }
    result |= _traits(subject, settings)
    result["agreement"] = _agreement(claim, problems, answers, ledger, settings) if claim else {}
    result["scaling"] = _laws(subject, promises, ledger, settings, result["random"])
    result["conflict"] = _conflict(subject, promises, problems, answers, ledger, settings)
    result["special"] = _special(subject, claim, ledger)
    result["cost"] = behaviour.cost(subject, claim, settings.seed)
    result["promises"] = ledger.entries()
    result["passed"] = not any(entry["broken"] for entry in result["promises"])
    return result


def _answer(subject: Subject, problem: Problem, ledger: Ledger) -> Array | None:
    """The direction, or ``None``; an exception and numbers that are not finite break the first promise."""
    answer, fault = None, ""
    try:
        answer = subject.ask(problem.question)
        wrong = int(np.count_nonzero(~np.isfinite(answer)))
        fault = f"{wrong} of {len(answer)} entries of the direction are not finite" if wrong else ""
    except (Exception, SystemExit) as error:
        fault = said(error)
    ledger.check("answers with finite numbers", problem.family, bool(fault), 0, lambda *_: f"{problem}: {fault}")
    return answer


def _traits(subject: Subject, settings: Settings) -> dict[str, Any]:
    tasks = max(settings.sizes)
    first, second = (question("gaussian", tasks, number, settings.seed) for number in (0, 1))
    traits: dict[str, bool | None] = {"random": None, "remembers": None}
    with suppress(Exception, SystemExit):
        traits = {
            "random": behaviour.draws(subject, first),
            "remembers": behaviour.remembers(subject, first, second),
        }
    return traits


def _agreement(
    claim: Claim, problems: Sequence[Problem], answers: Sequence[Array | None], ledger: Ledger, settings: Settings
) -> dict[str, Any]:
    """Against ours and against cvxpy; of a method that draws at random there is no one direction to agree with."""
    if claim.random:
        return {"omitted": f"{claim.name} draws at random: two runs of it do not agree either"}
    found = {}
    for name, reference in claim.references().items():
        compared = pairs(problems, answers, reference)
        constant = factors(compared, settings.tolerance)
        promise = f"agrees with {claim.name}" + (" solved by cvxpy" if name == "cvxpy" else "")
        for pair in compared:
            if not pair.stationary:
                _check_pair(ledger, promise, pair, constant[pair.problem.tasks], settings.tolerance)
        found[name] = compare(compared, settings.tolerance)
    return found


def _check_pair(ledger: Ledger, promise: str, pair: Pair, factor: float, tolerance: float) -> None:
    def sentence(_: int, measured: float, allowed: float) -> str:
        return f"{pair.problem}: relative error {measured:.3g} of the direction, agreement is {allowed:.3g}"

    ledger.check(promise, pair.problem.family, pair.error(factor), tolerance, sentence)


def _laws(
    subject: Subject, promises: Promises | None, ledger: Ledger, settings: Settings, random: bool | None
) -> dict[str, Any]:
    """Common and per-task scaling, and the permutation unless the answer is drawn at random."""
    numbers = range(min(settings.per_size, 2))
    asked = [question("gaussian", tasks, number, settings.seed) for tasks in settings.sizes for number in numbers]
    tolerance = settings.tolerance
    try:
        laws = Laws(subject.ask, asked, settings.seed)
        common, task = laws.common(), laws.task()
        permutation = None if random else laws.permutation()
        degree = promises.common_scale if promises else None
        common_promised = None if degree is None else laws.common_error(degree + 1)
    except (Exception, SystemExit) as error:
        sentence = f"scaled or permuted: {said(error)}"
        ledger.check("answers with finite numbers", "gaussian", True, 0, lambda *_: sentence)
        return {"failed": said(error)}

    def check(promise: str, measured: dict[str, Any] | None, law: str) -> None:
        if measured is not None:
            error = np.inf if measured["error"] is None else measured["error"]
            sentence = f"{measured['where']}: {law} is off by {error:.3g}"
            ledger.check(promise, "gaussian", error, tolerance, lambda *_: sentence)

    if promises:
        check("scales with all losses as declared", common_promised, f"u(cJ) = c^{(degree or 0) + 1:g} u(J)")
        if promises.task_scale != "none":
            law = f"the law {promises.task_scale!r} for losses times c_i"
            check("scales with each loss as declared", task[promises.task_scale], law)
        if promises.permutation:
            check("does not mind the order of the tasks", permutation, "u after a permutation")
    return {
        "common": common | {"holds": behaviour.holds(common, tolerance)},
        "task": {"law": behaviour.law(task, tolerance), "errors": task},
        "permutation": permutation and permutation | {"holds": behaviour.holds(permutation, tolerance)},
    }


def _conflict(
    subject: Subject,
    promises: Promises | None,
    problems: Sequence[Problem],
    answers: Sequence[Array | None],
    ledger: Ledger,
    settings: Settings,
) -> dict[str, Any]:
    found = conflict.over(problems, answers)
    found |= conflict.witness(subject, problems, found["where"] if found["conflicts"] else None, settings.seed)
    for fault in found.pop("faults"):
        ledger.check("answers with finite numbers", "witness", True, 0, lambda *_, f=fault: f)
    if promises and promises.non_conflicting:
        for name, least in found["families"].items():
            sentence = (
                f"{least['where']}: the smallest cosine of a gradient with the direction is {least['cosine']:.3g}"
            )
            ledger.check("no task gets worse", name, -least["cosine"], -conflict.BELOW, lambda *_, s=sentence: s)
        if found["witness"]:
            ledger.check("no task gets worse", "witness", 1, 0, lambda *_: witness_sentence(found["witness"]))
    return found


def witness_sentence(witness: dict[str, Any]) -> str:
    """The gradients, and the task that gets worse."""
    products = witness["products"]
    lengths = np.linalg.norm(witness["jacobian"], axis=1)
    task = int(np.argmin(np.array(products) / np.where(lengths > 0, lengths, np.inf)))
    rows = ", ".join("[" + ", ".join(f"{value:.6g}" for value in row) + "]" for row in witness["jacobian"])
    return f"at J = [{rows}] task {task + 1} has ⟨g, u⟩ = {products[task]:.3g} < 0 (cosine {witness['cosine']:.3g})"


def _special(subject: Subject, claim: Claim | None, ledger: Ledger) -> dict[str, dict[str, str]]:
    """Subject and our method on the special tasks; finite ones are owed a finite answer."""
    theirs = behaviour.special(subject.ask)
    ours = behaviour.special(lambda asked: claim.ours(asked)[0]) if claim else {}
    for name, rows in SPECIAL.items():
        if np.isfinite(rows).all():
            answer = theirs[name]
            fault = not answer.startswith("(")
            ledger.check("answers with finite numbers", "special", fault, 0, lambda *_, t=name, a=answer: f"{t}: {a}")
    return {name: {"answer": theirs[name]} | ({"ours": ours[name]} if claim else {}) for name in SPECIAL}
