"""The inverse of C_AA, the cosines of the active set A: bordered when a task enters, reduced when one leaves.

``inverse`` holds it in its leading ``count`` rows and columns, in the order of entry that ``order`` keeps; ``active``
marks the tasks of A. An update takes ``count``² operations, where a factor made anew would take its third power.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..compiled import compiled
from ..gramian import Array
from .problem import Integers


@compiled
def emptied(active: NDArray[np.bool_]) -> int:
    """No task is in the active set; returns their number."""
    for i in range(len(active)):
        active[i] = False
    # Not the constant 0, for which numba would compile whatever it is passed to once more.
    return 0 * len(active)


@compiled
def towards(inverse: Array, order: Integers, count: int, values: Array, out: Array) -> None:
    """out = −C_AA⁻¹ values_A."""
    for a in range(count):
        out[a] = 0.0
    for b in range(count):
        share = values[order[b]]
        column = inverse[b]
        for a in range(count):
            out[a] -= share * column[a]


@compiled
def append(
    inverse: Array,
    order: Integers,
    active: NDArray[np.bool_],
    count: int,
    entering: int,
    direction: Array,
    pivot: float,
) -> None:
    """The inverse of C_AA with the entering task added, bordered by its ``direction``."""
    for a in range(count):
        share = direction[a] / pivot
        row = inverse[a]
        for b in range(count):
            row[b] += share * direction[b]
        inverse[a, count] = share
        inverse[count, a] = share
    inverse[count, count] = 1.0 / pivot
    order[count] = entering
    active[entering] = True


@compiled
def remove(inverse: Array, order: Integers, active: NDArray[np.bool_], count: int, place: int) -> int:
    """The inverse of C_AA without the task at ``place``, the last one moved there; returns the new count."""
    leaving = inverse[place]
    pivot = leaving[place]
    for a in range(count):
        if a != place:
            row = inverse[a]
            share = row[place] / pivot
            for b in range(count):
                row[b] -= share * leaving[b]
    last = count - 1
    active[order[place]] = False
    order[place] = order[last]
    for a in range(last):
        inverse[a, place] = inverse[a, last]
    for a in range(last):
        inverse[place, a] = inverse[last, a]
    inverse[place, place] = inverse[last, last]
    return last
