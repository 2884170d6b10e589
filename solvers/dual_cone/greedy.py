"""The greedy projection: step onto the most violated half-space until none is violated. NOT a solver of the problem.

    τ = argmin_i <g_i, u>,   γ = (−<g_τ, u>)₊ / ‖g_τ‖²,   u ← u + γ g_τ,   λ_τ ← λ_τ + γ,   from u = Jᵀp

(ties: lowest index). This is the relaxation of Agmon and Motzkin. It converges to *a* direction in which no task
conflicts, not to the nearest one: γ is never negative, so a multiplier can only grow, and what an early step had too
much of stays. With more than one conflict its result is usually not optimal, and depends on the norms of the gradients
and not on their directions only; ``hildreth`` is the same step with γ >= −λ_τ, and does solve the problem.

It is here because it is in use. Its own residual, max_i (−(Gv)_i)₊ / (d_i ‖Jᵀp‖), says when it has arrived;
``converged`` is true only where it happens to have found the projection.

Source: J. Su, kexue.fm/archives/8907; S. Agmon and T. Motzkin & I. Schoenberg, Canadian J. Math. 6 (1954).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..algorithm import Algorithm
from ..gramian import Array
from .problem import Subject, unscaled


class State(NamedTuple):
    """The weights; y, which they are in the scaled problem; √C_ii ‖Jᵀp‖, infinite for a zero row."""

    weights: Array
    point: Array
    lengths: Array


def start(subject: Subject, exponent: int) -> State:
    """No multipliers: v = p."""
    point = subject.starts[0]
    lengths = np.where(subject.roots > 0.0, subject.roots * np.sqrt(subject.squares[0]), np.inf)
    return State(unscaled(subject, point[None])[0], point, lengths)


def step(subject: Subject, state: State, products: Array, iteration: int) -> State:
    """One projection."""
    # <g_i, u> in one unit for all tasks; (Cy)_i alone is <g_i, u> / s_i.
    worst = int(np.ldexp(products, subject.exponents - subject.exponents.max()).argmin())
    if not products[worst] < 0.0:
        return state
    point = state.point.copy()
    point[worst] -= products[worst] / subject.cosines[worst, worst]
    return State(unscaled(subject, point[None])[0], point, state.lengths)


def residual(state: State, products: Array) -> float:
    """How far the worst conflict is from none: its cosine with u, times ‖u‖ / ‖Jᵀp‖."""
    return max(0.0, float((-products / state.lengths).max()))


ALGORITHM = Algorithm(
    name="greedy",
    summary="not a solver of this problem: steps onto the most violated half-space, multipliers only grow",
    iterative=True,
    start=start,
    step=step,
    residual=residual,
    reach={},
)
