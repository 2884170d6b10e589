"""The compiled part of ``active_set``: principal pivoting in float64, refined to the rounding of the weights.

y starts at q, which is optimal if no task conflicts: s = Cy >= 0. Otherwise the task with the smallest s_i / √C_ii
enters the active set A. Its y_i grows, and with it those of A change so that s stays 0 on A, until s_i is 0 too; where
another y_j comes down to q_j on the way, that task leaves A and the move goes on without it. Every move lowers ½ yᵀCy
to the minimum over its active set, so that none returns; and a task that depends on those in A has s_i = 0 like them,
so A stays independent, without a ridge, even where C is singular.

Carried along is the inverse of C_AA (:mod:`.inverse`), K² operations in all for each move. When nothing is violated any
more, s is computed in twice the precision, and y_A − C_AA⁻¹ s_A is y_A refined. The next row of preferences starts from
the same active set, if most of its multipliers are positive there.

A row is given up where a task nearly depends on A (a pivot below 1e-13), or where the refined residual is still above
what rounding y explains: extended precision takes over.

Source: R. Keller, Mathematical Programming 4 (1973) (principal pivoting on a semidefinite matrix); C. Lawson &
R. Hanson, Solving Least Squares Problems (1974), chapter 23.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from ..compiled import compiled
from ..gramian import Array
from .inverse import append, emptied, remove, towards
from .problem import EPS, Integers, multiply

VIOLATED = 1e-13
"""−s_i / √C_ii / ‖Jᵀp‖ of a task that has to enter: well below the tolerance, well above the rounding of float64."""
SMALL_PIVOT = 1e-13
CAREFUL = 1e-5
"""Pivots from which on the direction is not refined: C_AA⁻¹ is accurate enough."""
REFINEMENTS = 4
ENOUGH = 1e-12


@compiled
def projected(
    cosines: Array, roots: Array, starts: Array, squares: Array, limit: int
) -> tuple[Array, Integers, NDArray[np.bool_]]:
    """(y, moves, solved) for each row of ``starts``, each with at most ``limit`` moves."""
    rows, size = starts.shape
    points = starts.copy()
    moves = np.zeros(rows, dtype=np.int64)
    solved = np.ones(rows, dtype=np.bool_)
    inverse = np.empty((size, size))
    order = np.empty(size, dtype=np.int64)
    active = np.zeros(size, dtype=np.bool_)
    work = np.empty((5, size))
    count = emptied(active)
    for r in range(rows):
        # A second time from nothing: the inverse may have lost its digits in earlier rows.
        again = squares[r] > 0.0
        while again:
            again = count > 0
            count, more, solved[r] = one_row(
                cosines, roots, starts[r], squares[r], limit - moves[r], points[r], inverse, order, active, count, work
            )
            moves[r] += more
            if solved[r] or moves[r] >= limit:
                again = False
            if not solved[r]:
                count = emptied(active)
    return points, moves, solved


@compiled
def one_row(
    cosines: Array,
    roots: Array,
    start: Array,
    square: float,
    limit: int,
    point: Array,
    inverse: Array,
    order: Integers,
    active: NDArray[np.bool_],
    count: int,
    work: Array,
) -> tuple[int, int, bool]:
    """(tasks in the active set, moves, whether solved); ``point`` is y."""
    size = len(start)
    slacks, low, direction, change, best = work[0], work[1], work[2], work[3], work[4]
    norm = sqrt(square)
    count = resumed(cosines, start, point, inverse, order, active, count, slacks, direction)
    moves = 0
    patience = min(limit, 6 * size + 20)
    least = np.inf
    enough = 0.0
    able = True
    threshold = VIOLATED * norm
    while True:
        entering = violated(slacks, roots, active, threshold)
        while able and entering >= 0:
            pivot = direct(cosines, inverse, order, count, entering, direction, change, low)
            able = moves < patience and pivot > SMALL_PIVOT * cosines[entering, entering]
            if able:
                moves += 1
                leaving = moved(order, count, entering, direction, change, pivot, start, point, slacks)
                if leaving < count:
                    # On with the same task, which is not yet active.
                    count = remove(inverse, order, active, count, leaving)
                else:
                    append(inverse, order, active, count, entering, direction, pivot)
                    count += 1
                    entering = violated(slacks, roots, active, threshold)
        for attempt in range(4):
            multiply(cosines, point, slacks, low)
            found, spread = quality(slacks, roots, start, point, norm)
            if found <= size * EPS * spread or attempt == 3:
                break
            count = refined(inverse, order, active, count, start, point, slacks, change)
        if found < least:
            least = found
            enough = ENOUGH + EPS * spread
            copied(point, best)
        # Now s is accurate: tasks may enter that float64 alone could not tell from rounding.
        threshold = size * EPS * spread * norm
        patience = min(patience, moves + size + 10)
        if found <= size * EPS * spread or not able or violated(slacks, roots, active, threshold) < 0:
            break
    if not able:
        count = emptied(active)
    copied(best if least < np.inf else start, point)
    return count, moves, least <= enough


@compiled
def copied(source: Array, target: Array) -> None:
    """target = source."""
    for i in range(len(source)):
        target[i] = source[i]


@compiled
def moved(
    order: Integers,
    count: int,
    entering: int,
    direction: Array,
    change: Array,
    pivot: float,
    start: Array,
    point: Array,
    slacks: Array,
) -> int:
    """Move to the minimum along ``direction`` or to the first y_j = q_j; the place of that j, ``count`` if none."""
    length = -slacks[entering] / pivot
    leaving = count
    for a in range(count):
        room = point[order[a]] - start[order[a]]
        if direction[a] < 0.0 and room < -length * direction[a]:
            length = room / -direction[a]
            leaving = a
    point[entering] += length
    for i in range(len(slacks)):
        slacks[i] += length * change[i]
    for a in range(count):
        point[order[a]] += length * direction[a]
        slacks[order[a]] = 0.0
    if leaving < count:
        point[order[leaving]] = start[order[leaving]]
    else:
        slacks[entering] = 0.0
    return leaving


@compiled
def resumed(
    cosines: Array,
    start: Array,
    point: Array,
    inverse: Array,
    order: Integers,
    active: NDArray[np.bool_],
    count: int,
    slacks: Array,
    wanted: Array,
) -> int:
    """Begin at ``start`` with the active set of the row before, less its negative multipliers; ``slacks`` is s.

    Where more than half of them are negative nothing is kept: to enter anew is cheaper than to leave.
    """
    copied(start, point)
    plain_product(cosines, start, slacks)
    towards(inverse, order, count, slacks, wanted)
    first = True
    while count > 0:
        negative = 0
        worst = count - 1
        for a in range(count):
            if wanted[a] <= 0.0:
                negative += 1
            if wanted[a] < wanted[worst]:
                worst = a
        if negative == 0:
            break
        # The first is not counted: often it is the task that this row prefers, which takes the others with it.
        if not first and 2 * negative > count:
            return emptied(active)
        first = False
        column = inverse[worst]
        share = wanted[worst] / column[worst]
        for a in range(count):
            wanted[a] -= share * column[a]
        wanted[worst] = wanted[count - 1]
        count = remove(inverse, order, active, count, worst)
    for a in range(count):
        point[order[a]] += wanted[a]
        row = cosines[order[a]]
        for i in range(len(start)):
            slacks[i] += wanted[a] * row[i]
    for a in range(count):
        slacks[order[a]] = 0.0
    return count


@compiled
def plain_product(matrix: Array, x: Array, out: Array) -> None:
    """out = Mx of a symmetric matrix, in float64; x_j = 0 costs nothing."""
    for i in range(len(x)):
        out[i] = 0.0
    for j in range(len(x)):
        if x[j] != 0.0:
            row = matrix[j]
            for i in range(len(x)):
                out[i] += x[j] * row[i]


@compiled
def violated(slacks: Array, roots: Array, active: NDArray[np.bool_], limit: float) -> int:
    """The task outside the active set with the smallest s_i / √C_ii, if that is below −limit; else −1."""
    found = -1
    least = -limit
    for i in range(len(slacks)):
        if not active[i] and slacks[i] < least * roots[i]:
            least = slacks[i] / roots[i]
            found = i
    return found


@compiled
def direct(
    cosines: Array,
    inverse: Array,
    order: Integers,
    count: int,
    entering: int,
    direction: Array,
    change: Array,
    correction: Array,
) -> float:
    """How y_A and s change per unit of the entering y_i, s_A staying 0; returns the pivot, the curvature of this move.

    As a quadratic form: the change of s_i alone would carry the direction's error, which C_AA⁻¹ makes large.
    """
    size = len(change)
    copied(cosines[entering], change)
    for a in range(count):
        direction[a] = 0.0
    for _ in range(REFINEMENTS):
        towards(inverse, order, count, change, correction)
        for a in range(count):
            direction[a] += correction[a]
            other = cosines[order[a]]
            step = correction[a]
            for i in range(size):
                change[i] += step * other[i]
        pivot = change[entering]
        for a in range(count):
            pivot += direction[a] * change[order[a]]
        if pivot > CAREFUL * cosines[entering, entering]:
            break
    return pivot


@compiled
def refined(
    inverse: Array,
    order: Integers,
    active: NDArray[np.bool_],
    count: int,
    start: Array,
    point: Array,
    slacks: Array,
    change: Array,
) -> int:
    """y_A − C_AA⁻¹ s_A; a task whose y_i would fall below q_i leaves. Returns the new count."""
    towards(inverse, order, count, slacks, change)
    for a in range(count):
        point[order[a]] += change[a]
    # From the last to the first: `remove` moves the last one up.
    a = count - 1
    while a >= 0:
        task = order[a]
        if point[task] <= start[task]:
            point[task] = start[task]
            count = remove(inverse, order, active, count, a)
        a -= 1
    return count


@compiled
def quality(slacks: Array, roots: Array, start: Array, point: Array, norm: float) -> tuple[float, float]:
    """The residual in the unit of y, and Σ |y_i| √C_ii / ‖Jᵀp‖."""
    conflict = 0.0
    slackness = 0.0
    spread = 0.0
    for i in range(len(slacks)):
        if roots[i] > 0.0:
            conflict = max(conflict, -slacks[i] / roots[i])
        slackness += (point[i] - start[i]) * slacks[i]
        spread += abs(point[i]) * roots[i]
    return max(conflict / norm, abs(slackness) / (norm * norm)), spread / norm
