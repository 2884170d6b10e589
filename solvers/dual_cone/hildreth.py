"""Hildreth's method: one multiplier after the other is set to its best value, the others held fixed.

    λ_i ← max(0, λ_i − <g_i, u> / ‖g_i‖²),   u = Jᵀ(p + λ),   i = 1, ..., K, from λ = 0;

one iteration is one sweep over the tasks. It is coordinate descent on ½ vᵀGv, v = p + λ >= p: the objective never
rises, and the iterates converge linearly, at a rate that nearly dependent or nearly opposed gradients make slow. The
step γ = −<g_i, u> / ‖g_i‖² may be negative, down to −λ_i, which takes back what an earlier step had too much of. With
γ >= 0 instead the method is ``greedy``, and ends elsewhere. The norms of the gradients have no influence.

Source: C. Hildreth, Naval Research Logistics Quarterly 4 (1957); rate: A. Iusem & A. De Pierro, Numerische Mathematik
57 (1990).
"""

from __future__ import annotations

from typing import NamedTuple

from ..algorithm import Algorithm
from ..compiled import compiled, plain
from ..gramian import Array
from .problem import Subject, unscaled


class State(NamedTuple):
    """The weights, and y, which they are in the scaled problem."""

    weights: Array
    point: Array


def start(subject: Subject, exponent: int) -> State:
    """No multipliers: v = p."""
    point = subject.starts[0]
    return State(unscaled(subject, point[None])[0], point)


def step(subject: Subject, state: State, products: Array, iteration: int) -> State:
    """One sweep."""
    point = state.point.copy()
    if not sweep(subject.cosines, subject.starts[0], point, plain(products)):
        return state
    return State(unscaled(subject, point[None])[0], point)


@compiled
def sweep(cosines: Array, start: Array, point: Array, slacks: Array) -> bool:
    """Set each y_i >= q_i to its best value in turn, ``slacks`` being Cy; whether any of them changed."""
    changed = False
    for i in range(len(point)):
        if cosines[i, i] > 0.0:
            moved = max(start[i], point[i] - slacks[i] / cosines[i, i])
            length = moved - point[i]
            if length != 0.0:
                changed = True
                point[i] = moved
                row = cosines[i]
                for j in range(len(point)):
                    slacks[j] += length * row[j]
    return changed


ALGORITHM = Algorithm(
    name="hildreth",
    summary="coordinate descent: each multiplier in turn set to its best value, never below 0",
    iterative=True,
    monotone=True,
    start=start,
    step=step,
    reach={},
)
