"""Exponentiated gradient on the non-negative orthant: multipliers are multiplied, so they never reach 0.

    x_i ← x_i exp(−η s_i),   s_i = <g_i, u> / d_i,   x_i = λ_i d_i,   from x_i = ‖Jᵀp‖,

the same length for every task (λ_i = 1 for one as long as Jᵀp); a start at 0 would stay there. C is the matrix of
cosines, and s the gradient of h(x) = ½ ‖Jᵀp + Σ x_i g_i / d_i‖². η is the largest of 1 / Σ x_i, half of it, a quarter,
... with η (Σ x'_i + 2 Σ x_i) <= 3, x' being the result. Then h never rises, and after k steps of lengths η_j

    h − h* <= D(x*, x_0) / Σ_j η_j,   D(a, b) = Σ a_i log(a_i / b_i) − a_i + b_i.

The reason: |C_ij| <= 1, so h(x') is at most h(x) + s·(x' − x) + ½ (Σ |x'_i − x_i|)². By a log(a/b) − a + b >=
3 (a − b)² / (2a + 4b) and Cauchy-Schwarz the last term is at most D(x', x) (Σ x'_i + 2 Σ x_i) / 3 <= D(x', x) / η, and
x' minimises s·x' + D(x', x) / η.

Run on log x. A multiplier that should be 0 vanishes like exp(−Σ η_j s_i): slowly where s_i is small, and like 1/k where
it is 0 at the solution too. The tails are slow; ``hildreth`` is far ahead of it.

Source: J. Kivinen & M. Warmuth, Information and Computation 132 (1997) (unnormalised updates, EGU).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..algorithm import Algorithm
from ..gramian import Array
from .problem import EPS, Subject, unscaled


class State(NamedTuple):
    """The weights, log x, and a length for Σ x_i below which it is not followed: η stays finite as x goes to 0."""

    weights: Array
    logs: Array
    smallest: float


def start(subject: Subject, exponent: int) -> State:
    """x_i = ‖Jᵀp‖; a zero row has none."""
    norm = float(np.sqrt(subject.squares[0]))
    logs = np.where(subject.roots > 0.0, np.log(norm), -np.inf)
    return State(weights_of(subject, logs), logs, EPS * norm)


def step(subject: Subject, state: State, products: Array, iteration: int) -> State:
    """One multiplicative update, its length halved until the sum it leads to allows it."""
    slopes = products / lengths(subject)
    total = max(float(np.exp(state.logs).sum()), state.smallest)
    length = 1.0 / total
    while True:
        logs = state.logs - length * slopes
        if length * (float(np.exp(np.minimum(logs, 700.0)).sum()) + 2.0 * total) <= 3.0:
            return State(weights_of(subject, logs), logs, state.smallest)
        length /= 2.0


def weights_of(subject: Subject, logs: Array) -> Array:
    """v, that is q + x scaled back."""
    weights: Array = unscaled(subject, subject.starts + np.exp(logs) / lengths(subject))[0]
    return weights


def lengths(subject: Subject) -> Array:
    """√C_ii, what is left to unit diagonal after scaling by powers of two; 1 for a zero row."""
    return np.where(subject.roots > 0.0, subject.roots, 1.0)


ALGORITHM = Algorithm(
    name="exponentiated_gradient",
    summary="multiplicative updates of the multipliers; slow tails",
    iterative=True,
    monotone=True,
    start=start,
    step=step,
    reach={},
)
