"""Block pivoting in float64, compiled: the first step of ``active_set``, and nearly always its last.

The system is that of :mod:`.active_set`: C = D⁻¹ G D⁻¹ and v_i = min_j s_j / s_i with s_i the power of two next to
√G_ii, and x >= 0 minimises ½ xᵀMx − vᵀx, M = C + v vᵀ. For a set S of tasks solve M_SS x_S = v_S, and let r = v − Mx.
The set is right where x_S > 0 and r <= 0 outside it, since the gap of w_i ∝ v_i x_i is min_i s_i² max_i (r_i/v_i)/vᵀx.
A task that depends on others in S, its pivot being rounding, stays outside: its r is 0 as theirs is.

:func:`blocks` lets all tasks that break one of the two rules change sides at once. That takes a few factorisations,
but nothing promises its end where M is singular; so when the number of such tasks has not fallen for a few rounds,
:func:`one_by_one` goes on from the positive part as Lawson and Hanson do, x feasible and f falling. Where nothing
settles, or the certificate does not accept the result, ``active_set`` goes on in extended precision.

Source: J. Júdice & F. Pires, Computers & Operations Research 21 (1994); J. Kim & H. Park, SIAM J. Sci. Comput. 33
(2011); C. Lawson & R. Hanson, Solving Least Squares Problems (1974), chapter 23.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..compiled import compiled
from ..gramian import Array

PATIENCE = 3
NO_PIVOT = 1e-13
"""A pivot of M, whose diagonal lies in [¼, 2), below this is rounding."""
ENTERING = 1e-12
"""A task enters where r_i exceeds this share of v_i, which leaves a gap of 2e-12 min_i G_ii at most."""
EPS = 2.0**-52


class Work(NamedTuple):
    """C and v; the set S as marks and as a list; x_S, U with UᵀU = M_SS, both in the order of the list; r."""

    cosines: Array
    v: Array
    inside: NDArray[np.bool_]
    support: NDArray[np.intp]
    values: Array
    upper: Array
    r: Array


@compiled
def weighed(gramian: Array) -> tuple[Array, int]:
    """(weights, 1) of the set that settled; (all on the shortest gradient, 0) where that is it, or where none did."""
    size = len(gramian)
    shortest = 0
    for i in range(size):
        if gramian[i, i] < gramian[shortest, shortest]:
            shortest = i
    weights = np.zeros(size)
    weights[shortest] = 1.0
    if gramian[shortest].min() >= gramian[shortest, shortest]:
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
    weights /= total
    return weights, 1


@compiled
def scaled(gramian: Array) -> Work:
    """C and v of the Gramian, and room for the rest."""
    size = len(gramian)
    exponents = np.empty(size, dtype=np.int64)
    inverse = np.empty(size)
    for i in range(size):
        exponents[i] = (math.frexp(gramian[i, i])[1] + 1) // 2
        inverse[i] = math.ldexp(1.0, -exponents[i])
    cosines = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            cosines[i, j] = gramian[i, j] * inverse[i] * inverse[j]
    least = exponents.min()
    v = np.empty(size)
    for i in range(size):
        v[i] = math.ldexp(1.0, least - exponents[i])
    inside = np.zeros(size, dtype=np.bool_)
    support = np.empty(size, dtype=np.intp)
    return Work(cosines, v, inside, support, np.empty(size), np.empty((size, size)), np.empty(size))


@compiled
def settled(work: Work, shortest: int) -> tuple[int, bool]:
    """(|S|, whether S is right), started from the shortest gradient and what it has in conflict with it."""
    work.inside[shortest] = True
    size, right = blocks(work)
    if right:
        return size, True
    while size > 0 and work.values[:size].min() <= 0.0:
        for k in range(size):
            work.inside[work.support[k]] = work.values[k] > 0.0
        size = solved(work)
    if size == 0:
        work.inside[shortest] = True
        size = solved(work)
    return one_by_one(work, size)


@compiled
def blocks(work: Work) -> tuple[int, bool]:
    """Exchange all tasks that break a rule until none does, or until their number falls no more."""
    fewest = len(work.v) + 1
    patience = PATIENCE
    size = solved(work)
    while True:
        allowed = checked(work, size)
        broken = 0
        place = 0
        for i in range(len(work.v)):
            if work.inside[i]:
                if work.values[place] <= 0.0:
                    work.inside[i] = False
                    broken += 1
                place += 1
            elif work.r[i] > allowed + ENTERING * work.v[i]:
                work.inside[i] = True
                broken += 1
        if broken == 0:
            return size, True
        size = solved(work)
        if broken < fewest:
            fewest = broken
            patience = PATIENCE
        elif patience == 0:
            return size, False
        else:
            patience -= 1


@compiled
def one_by_one(work: Work, size: int) -> tuple[int, bool]:
    """From a set with x_S > 0: the task with the largest r enters, x walks to the new solution or to the boundary."""
    count = len(work.v)
    x = np.empty(count)
    barred = np.zeros(count, dtype=np.bool_)
    for _ in range(10 * count):
        allowed = checked(work, size)
        entering = -1
        for i in range(count):
            free = not (work.inside[i] or barred[i])
            if free and work.r[i] > allowed + ENTERING * work.v[i] and (entering < 0 or work.r[i] > work.r[entering]):
                entering = i
        if entering < 0:
            return size, True
        x[:size] = work.values[:size]
        if size == count or not appended(work, size, entering):
            barred[entering] = True
            continue
        x[size] = 0.0
        work.inside[entering] = True
        size = walked(work, size + 1, x)
        if size == 0:
            return 0, False
        barred[:] = False
    return size, False


@compiled
def walked(work: Work, size: int, x: Array) -> int:
    """Walk from the feasible ``x`` towards the solution on S, dropping what reaches 0; return |S|, 0: rounding won."""
    while True:
        substituted(work, size)
        length = 1.0
        for k in range(size):
            if work.values[k] <= 0.0:
                length = min(length, x[k] / (x[k] - work.values[k]))
        if work.values[:size].min() > 0.0:
            return size
        kept = 0
        for k in range(size):
            moved = x[k] + length * (work.values[k] - x[k])
            i = work.support[k]
            if work.values[k] <= 0.0 and moved <= 4.0 * EPS * x[k]:
                work.inside[i] = False
            elif appended(work, kept, i):
                x[kept] = moved
                kept += 1
            else:
                work.inside[i] = False
        if kept == size:
            return 0
        size = kept


@compiled
def solved(work: Work) -> int:
    """Factor M_SS and solve for x_S; tasks that depend on others leave S. Return |S|."""
    size = 0
    for i in range(len(work.v)):
        if work.inside[i]:
            if appended(work, size, i):
                size += 1
            else:
                work.inside[i] = False
    substituted(work, size)
    return size


@compiled
def appended(work: Work, size: int, entering: int) -> bool:
    """Put a task at place ``size`` of support and factor; False where its pivot is rounding."""
    cosines, v, upper, column = work.cosines[entering], work.v, work.upper, work.r
    pivot = cosines[entering] + v[entering] * v[entering]
    for k in range(size):
        i = work.support[k]
        column[k] = cosines[i] + v[entering] * v[i]
    for k in range(size):
        factor = column[k] / upper[k, k]
        upper[k, size] = factor
        pivot -= factor * factor
        for m in range(k + 1, size):
            column[m] -= factor * upper[k, m]
    if pivot <= NO_PIVOT:
        return False
    upper[size, size] = math.sqrt(pivot)
    work.support[size] = entering
    return True


@compiled
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


@compiled
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
