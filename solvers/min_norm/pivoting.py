"""Block pivoting in float64, compiled: the first step of ``active_set``, and nearly always its last.

The system is that of :mod:`.active_set`: C = D⁻¹ G D⁻¹ and v_i = min_j s_j / s_i with s_i the power of two next to
√G_ii, and x >= 0 minimises ½ xᵀMx − vᵀx, M = C + v vᵀ. For a set S of tasks solve M_SS x_S = v_S, and let r = v − Mx.
The set is right where x_S > 0 and r <= 0 outside it, since the gap of w_i ∝ v_i x_i is min_i s_i² max_i (r_i/v_i)/vᵀx.
A task that depends on others in S, its pivot being rounding, stays outside: its r is 0 as theirs is.

:func:`blocks` lets all tasks that break one of the two rules change sides at once. That takes a few factorisations,
but nothing promises its end, least of all where M is singular; so when the number of such tasks falls no more,
:func:`one_by_one` goes on from the positive part as Lawson and Hanson do, x feasible and f falling. Where nothing
settles, or the certificate does not accept the result, ``active_set`` goes on in extended precision.

Source: J. Júdice & F. Pires, Computers & Operations Research 21 (1994); J. Kim & H. Park, SIAM J. Sci. Comput. 33
(2011); C. Lawson & R. Hanson, Solving Least Squares Problems (1974), chapter 23.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import compiled, inner
from ..gramian import Array

NO_PIVOT = 1e-13
"""A pivot of M, whose diagonal lies in [¼, 2), below this is rounding."""
ENTERING = 1e-12
"""A task enters where r_i exceeds this share of v_i, which leaves a gap of 2e-12 min_i G_ii at most."""
EPS = 2.0**-52
ZERO: Any = np.intp(0)
"""Counts start from this one: for a plain 0 numba would compile what it is handed to a second time."""


class Work(NamedTuple):
    """C and v; S as marks and as a list; x_S and U, UᵀU = M_SS, in the order of the list; r, also room for columns."""

    cosines: Array
    v: Array
    inside: NDArray[np.bool_]
    entering: NDArray[np.bool_]
    support: NDArray[np.intp]
    values: Array
    upper: Array
    r: Array


@compiled
def weighed(gramian: Array) -> tuple[Array, int]:
    """(weights, 1) of the set that settled; (all on the shortest gradient, 0) where that is it, or where none did."""
    size = len(gramian)
    shortest = ZERO
    for i in range(size):
        if gramian[i, i] < gramian[shortest, shortest]:
            shortest = i
    weights = np.zeros(size)
    weights[shortest] = 1.0
    alone = True
    for i in range(size):
        alone = alone and gramian[shortest, i] >= gramian[shortest, shortest]
    if alone:
        return weights, 0
    work = scaled(gramian)
    found, right = settled(work, shortest)
    if not right:
        return weights, 0
    weights[shortest] = 0.0
    total = 0.0
    for k in range(found):
        i = work.support[k]
        weights[i] = work.v[i] * work.values[k]
        total += weights[i]
    for i in range(size):
        weights[i] /= total
    return weights, 1


@inner
def scaled(gramian: Array) -> Work:
    """C and v of the Gramian, and room for the rest."""
    size = len(gramian)
    # One block of memory: at few tasks, allocations are what takes time.
    block = np.empty((2 * size + 4, size))
    cosines, upper = block[:size], block[size : 2 * size]
    inverse, v, values, r = block[2 * size], block[2 * size + 1], block[2 * size + 2], block[2 * size + 3]
    longest = 0.0
    for i in range(size):
        inverse[i] = math.ldexp(1.0, -((math.frexp(gramian[i, i])[1] + 1) // 2))
        longest = max(longest, inverse[i])
    for i in range(size):
        v[i] = inverse[i] / longest
        for j in range(size):
            cosines[i, j] = gramian[i, j] * inverse[i] * inverse[j]
    marks = np.zeros((2, size), dtype=np.bool_)
    return Work(cosines, v, marks[0], marks[1], np.empty(size, dtype=np.intp), values, upper, r)


@inner
def settled(work: Work, shortest: int) -> tuple[int, bool]:
    """(|S|, whether S is right), started from the shortest gradient and what it has in conflict with it."""
    appended(work, ZERO, shortest)
    size, right = blocks(work, ZERO + 1)
    if right:
        return size, True
    while not positive(work, size):
        size = without_negative(work, size)
        if size == 0:
            appended(work, size, shortest)
            size += 1
        substituted(work, size)
    return one_by_one(work, size)


@inner
def blocks(work: Work, size: int) -> tuple[int, bool]:
    """Exchange all tasks that break a rule until none does, or until their number falls no more."""
    fewest = len(work.v) + 1
    substituted(work, size)
    while True:
        allowed = checked(work, size)
        broken = 0
        for k in range(size):
            broken += work.values[k] <= 0.0
        # Noted before r gives its room to the new columns of the factor.
        for i in range(len(work.v)):
            work.entering[i] = not work.inside[i] and work.r[i] > allowed + ENTERING * work.v[i]
            broken += work.entering[i]
        if broken == 0:
            return size, True
        size = without_negative(work, size)
        for i in range(len(work.v)):
            if work.entering[i] and appended(work, size, i):
                size += 1
        substituted(work, size)
        if broken >= fewest:
            return size, False
        fewest = broken


@inner
def one_by_one(work: Work, size: int) -> tuple[int, bool]:
    """From a set with x_S > 0: the task with the largest r enters, x walks to the new solution or to the boundary."""
    count = len(work.v)
    x = np.empty(count)
    for i in range(count):
        work.entering[i] = True
    for _ in range(10 * count):
        allowed = checked(work, size)
        chosen = ZERO - 1
        for i in range(count):
            free = work.entering[i] and not work.inside[i]
            if free and work.r[i] > allowed + ENTERING * work.v[i] and (chosen < 0 or work.r[i] > work.r[chosen]):
                chosen = i
        if chosen < 0:
            return size, True
        for k in range(size):
            x[k] = work.values[k]
        if not appended(work, size, chosen):
            # It depends on S: only a smaller S may take it up.
            work.entering[chosen] = False
            continue
        x[size] = 0.0
        size = walked(work, size + 1, x)
        if size == 0:
            return size, False
        for i in range(count):
            work.entering[i] = True
    return size, False


@inner
def walked(work: Work, size: int, x: Array) -> int:
    """Walk from the feasible ``x`` towards the solution on S, dropping what reaches 0; return |S|, 0: rounding won."""
    while True:
        substituted(work, size)
        if positive(work, size):
            return size
        length = 1.0
        for k in range(size):
            if work.values[k] <= 0.0:
                length = min(length, x[k] / (x[k] - work.values[k]))
        before = size
        for k in range(size - 1, -1, -1):
            moved = x[k] + length * (work.values[k] - x[k])
            if work.values[k] <= 0.0 and moved <= 4.0 * EPS * x[k]:
                removed(work, size, k)
                size -= 1
                for m in range(k, size):
                    x[m] = x[m + 1]
            else:
                x[k] = moved
        if size == before:
            return ZERO


@inner
def without_negative(work: Work, size: int) -> int:
    """Take every task with x_i <= 0 out of S; return |S|."""
    for k in range(size - 1, -1, -1):
        if work.values[k] <= 0.0:
            removed(work, size, k)
            size -= 1
    return size


@inner
def appended(work: Work, size: int, entering: int) -> bool:
    """Put a task at place ``size`` of support and factor; False where its pivot is rounding."""
    cosines, v, upper, column = work.cosines[entering], work.v, work.upper, work.r
    pivot = cosines[entering] + v[entering] * v[entering]
    for k in range(size):
        i = work.support[k]
        column[k] = cosines[i] + v[entering] * v[i]
    # Two rows at a time: half the traffic for the column.
    for k in range(0, size - 1, 2):
        first = column[k] / upper[k, k]
        second = (column[k + 1] - first * upper[k, k + 1]) / upper[k + 1, k + 1]
        upper[k, size] = first
        upper[k + 1, size] = second
        pivot -= first * first + second * second
        for m in range(k + 2, size):
            column[m] -= first * upper[k, m] + second * upper[k + 1, m]
    if size % 2 == 1:
        first = column[size - 1] / upper[size - 1, size - 1]
        upper[size - 1, size] = first
        pivot -= first * first
    if pivot <= NO_PIVOT:
        return False
    upper[size, size] = math.sqrt(pivot)
    work.support[size] = entering
    work.inside[entering] = True
    return True


@inner
def removed(work: Work, size: int, place: int) -> None:
    """Take the task at ``place`` out of support, values and factor, whose rows are rotated into a triangle again."""
    upper = work.upper
    work.inside[work.support[place]] = False
    for k in range(place, size - 1):
        work.support[k] = work.support[k + 1]
        work.values[k] = work.values[k + 1]
    for k in range(size):
        for m in range(max(place, k - 1), size - 1):
            upper[k, m] = upper[k, m + 1]
    for k in range(place, size - 1):
        length = math.sqrt(upper[k, k] ** 2 + upper[k + 1, k] ** 2)
        cosine = upper[k, k] / length
        sine = upper[k + 1, k] / length
        upper[k, k] = length
        for m in range(k + 1, size - 1):
            above = upper[k, m]
            upper[k, m] = cosine * above + sine * upper[k + 1, m]
            upper[k + 1, m] = cosine * upper[k + 1, m] - sine * above


@inner
def substituted(work: Work, size: int) -> None:
    """Solve UᵀU x_S = v_S."""
    upper, x = work.upper, work.values
    for k in range(size):
        x[k] = work.v[work.support[k]]
    for k in range(size):
        x[k] /= upper[k, k]
        factor = x[k]
        for m in range(k + 1, size):
            x[m] -= factor * upper[k, m]
    for k in range(size - 1, -1, -1):
        total = x[k]
        for m in range(k + 1, size):
            total -= upper[k, m] * x[m]
        x[k] = total / upper[k, k]


@inner
def positive(work: Work, size: int) -> bool:
    """Whether x_S > 0."""
    smallest = np.inf
    for k in range(size):
        smallest = min(smallest, work.values[k])
    return smallest > 0.0


@inner
def checked(work: Work, size: int) -> float:
    """Fill r = v − Mx for all tasks and return what rounding alone may leave in it."""
    r, v = work.r, work.v
    inner = 0.0
    weight = 0.0
    for k in range(size):
        inner += v[work.support[k]] * work.values[k]
        weight += abs(work.values[k])
    for i in range(len(v)):
        r[i] = (1.0 - inner) * v[i]
    for k in range(size):
        factor = work.values[k]
        row = work.cosines[work.support[k]]
        for i in range(len(v)):
            r[i] -= factor * row[i]
    return 4.0 * EPS * weight
