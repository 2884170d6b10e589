"""Does some task get worse? The smallest cosine over the families, and a small integer Jacobian that shows it.

A conflict is ⟨g_i, u⟩ < −10⁻⁶ ‖g_i‖ ‖u‖ for some task, and counts only where a direction exists that lowers every
loss; whether one does is certified by the min-norm weights (:class:`~mtlbench.referee.scores.Yardstick`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from mtlbench.cards.agreement import Problem
from mtlbench.cards.subject import Question, Subject, said
from mtlbench.referee.families import Array, gramian
from mtlbench.referee.measure import EPS
from mtlbench.referee.scores import Yardstick
from mtlbench.solvers import min_norm

BELOW = -1e-6
"""A cosine from here on upwards is rounding, of single precision if need be."""

KINDS: tuple[tuple[str, tuple[int, ...], int], ...] = (
    ("2 tasks", (1, 1), 60),
    ("3 tasks", (1, 1, 1), 60),
    ("2 tasks, norms 1:1000", (1, 1000), 40),
    ("3 tasks, norms 1:30:1000", (1, 30, 1000), 40),
)
"""Integer Jacobians, the simplest first: entries from −3 to 3 times the number of the row, and how many are tried."""


def smallest_cosine(jacobian: Array, direction: Array) -> float | None:
    """min_i cos(g_i, u); ``None`` where u is zero or rounding, or no direction lowers every loss."""
    lengths, length = np.linalg.norm(jacobian, axis=1), float(np.linalg.norm(direction))
    # The length of u has a unit of its own; beside the gradients it is rounding only if it is that small.
    if not length > 64 * len(jacobian) * EPS * lengths.max() or not improvable(jacobian):
        return None
    used = lengths > 0
    return float((jacobian[used] @ (direction / length) / lengths[used]).min())


def improvable(jacobian: Array) -> bool:
    """Whether a direction exists that lowers every loss whose gradient is not zero."""
    used = jacobian[np.any(jacobian != 0, axis=1)]
    if not len(used):
        return False
    g = gramian(used)
    return Yardstick.of(g, min_norm.solve(g).weights).descent


def over(problems: Sequence[Problem], answers: Sequence[Array | None]) -> dict[str, Any]:
    """How many directions conflict, and the smallest cosine of each family and where."""
    found: list[tuple[float, Problem]] = []
    for problem, answer in zip(problems, answers, strict=True):
        if answer is not None and np.isfinite(answer).all():
            cosine = smallest_cosine(problem.question.jacobian, answer)
            if cosine is not None:
                found.append((cosine, problem))
    families = dict.fromkeys(problem.family for _, problem in found)
    worst = min(found, key=lambda entry: entry[0], default=None)
    return {
        "judged": len(found),
        "conflicts": sum(cosine < BELOW for cosine, _ in found),
        "smallest_cosine": worst[0] if worst else None,
        "where": str(worst[1]) if worst else None,
        "families": {name: dict(zip(("cosine", "where"), _least(found, name), strict=True)) for name in families},
    }


def _least(found: Sequence[tuple[float, Problem]], family: str) -> tuple[float, str]:
    cosine, problem = min(((c, problem) for c, problem in found if problem.family == family), key=lambda e: e[0])
    return cosine, str(problem)


def candidates(seed: int) -> Iterator[tuple[str, Array]]:
    """The integer Jacobians (K, K) that are tried, no row zero, by kind."""
    rng = np.random.default_rng(seed)
    for kind, norms, count in KINDS:
        for _ in range(count):
            while True:
                rows = rng.integers(-3, 4, (len(norms), len(norms)))
                if rows.any(axis=1).all():
                    break
            yield kind, (rows * np.array(norms)[:, None]).astype(np.float64)


def witness(subject: Subject, problems: Sequence[Problem], worst: str | None, seed: int = 0) -> dict[str, Any]:
    """The sharpest conflict of the simplest kind of integer Jacobians that has one, and how many were tried.

    Where there is none, the problem named ``worst`` is rounded to as few digits as keep its conflict. ``faults``: a
    sentence for every Jacobian that was not answered with finite numbers.
    """
    best: dict[str, Any] | None = None
    tried = 0
    faults: list[str] = []
    for kind, jacobian in candidates(seed):
        if best is not None and best["kind"] != kind:
            break
        tried += 1
        shown = _shown(subject, kind, jacobian, faults)
        if shown and shown["cosine"] < (best["cosine"] if best else BELOW):
            best = shown
    for problem in problems:
        if best is None and str(problem) == worst:
            best = _rounded(subject, problem)
    return {"tried": tried, "witness": best, "faults": faults}


def _rounded(subject: Subject, problem: Problem) -> dict[str, Any] | None:
    """The problem in K dimensions, or as it is for a method to which the axes matter, rounded."""
    jacobian = problem.question.jacobian
    for rows in (np.linalg.qr(jacobian.T)[1].T, jacobian):
        for digits in (1, 2, 3, 4, 6):
            coarse = np.array([float(f"{value:.{digits - 1}e}") + 0.0 for value in rows.flat]).reshape(rows.shape)
            shown = _shown(subject, f"{problem}, rounded", coarse)
            if shown and shown["cosine"] < BELOW:
                return shown
    return None


def _shown(subject: Subject, kind: str, jacobian: Array, faults: list[str] | None = None) -> dict[str, Any] | None:
    """Direction, products and smallest cosine at a Jacobian; ``None`` where nothing can conflict.

    A product is that of the Jacobian with the direction as it came, exact: no rounding of ours is in it.
    """
    try:
        direction = subject.ask(Question(jacobian, np.ones(len(jacobian))))
    except (Exception, SystemExit) as error:
        if faults is not None:
            faults.append(f"{kind}, J = {jacobian.tolist()}: {said(error)}")
        return None
    if faults is not None and not np.isfinite(direction).all():
        faults.append(f"{kind}, J = {jacobian.tolist()}: not finite")
    cosine = smallest_cosine(jacobian, direction) if np.isfinite(direction).all() else None
    if cosine is None:
        return None
    return {
        "kind": kind,
        "jacobian": jacobian.tolist(),
        "direction": direction.tolist(),
        "products": [float(exact(row, direction)) for row in jacobian],
        "cosine": cosine,
    }


def exact(row: Array, direction: Array) -> Fraction:
    """⟨g, u⟩ without rounding."""
    return sum((Fraction(float(a)) * Fraction(float(b)) for a, b in zip(row, direction, strict=True)), Fraction(0))
