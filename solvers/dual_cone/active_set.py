"""Non-negative least squares by an active set: exact after finitely many moves, all rows of preferences at once.

The multipliers x = y − q minimise ½ (q + x)ᵀC(q + x) over x >= 0 on the matrix of cosines C: well scaled whatever the
norms of the gradients are, and no ridge is added. Nearly every row is solved by compiled pivoting in float64
(:mod:`.pivoting`), rows sharing their factor. A row that float64 does not bring to the tolerance is done again here:

1. if rounding has given C a negative eigenvalue −ε, by the same pivoting on C + εI, the nearest Gramian: the problem
   of C itself is not convex then, and may have no solution;
2. in extended precision, C_AA factored anew in each step, a task that turns out to depend on the active set followed
   along its flat direction to the boundary, and tasks that lower nothing barred, so that no active set returns.

The best of the three by their residuals is returned.

Source: see :mod:`.pivoting`; C. Lawson & R. Hanson, Solving Least Squares Problems (1974), chapter 23.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..algorithm import Algorithm
from ..gramian import Array
from .pivoting import ENOUGH, projected
from .problem import Subject, indefiniteness, residual, unscaled
from .quick import quick

Extended = NDArray[np.longdouble]
Indices = NDArray[np.intp]

STEPS = 10
"""In extended precision at most this many steps a task: they take one or two."""
UNIT = float(np.finfo(np.longdouble).eps)
NO_PIVOT = 64 * UNIT


def direct(subject: Subject, max_iterations: int) -> tuple[Array, int]:
    """The weights of every row and the moves of all of them; each row may take ``max_iterations``."""
    cosines, roots, _, starts, _, squares, _ = subject
    points, moves, solved = projected(cosines, roots, starts, squares, int(max_iterations))
    left = np.flatnonzero(~solved & (moves < max_iterations))
    if len(left):
        shift = indefiniteness(cosines)
        convex = cosines + np.diag(shift * cosines.diagonal())
        for r in left:
            points[r], more = careful(subject, convex, shift, int(r), points[r], int(max_iterations - moves[r]))
            moves[r] += more
    return unscaled(subject, points), int(moves.sum())


def careful(subject: Subject, convex: Array, shift: float, r: int, point: Array, limit: int) -> tuple[Array, int]:
    """The best y of row ``r`` that the three ways find, ``point`` being that of the first; and the moves taken."""
    candidates, total = [point], 0
    one = slice(r, r + 1)
    if shift > 0.0:
        points, moves, _ = projected(convex, subject.roots, subject.starts[one], subject.squares[one], limit)
        candidates.append(points[0])
        total += int(moves[0])
        gap, explained, square = residual(subject, r, points[0])
        if gap <= ENOUGH + explained + shift * (1.0 + square):
            return points[0], total
    if total < limit:
        found, steps = extended(convex, subject, r, min(limit - total, STEPS * len(point)))
        candidates.append(found)
        total += steps
    return min(candidates, key=lambda y: residual(subject, r, y)[0]), total


def extended(convex: Array, subject: Subject, r: int, limit: int) -> tuple[Array, int]:
    """y of row ``r`` and the tasks that were let in on the way, at most ``limit``."""
    matrix = convex.astype(np.longdouble)
    start = subject.starts[r].astype(np.longdouble)
    right = -matrix @ start
    roots = np.where(subject.roots > 0.0, subject.roots, 1.0)
    x = np.zeros(len(start), dtype=np.longdouble)
    support: Indices = np.empty(0, dtype=np.intp)
    barred: list[int] = []
    steps = 0
    while steps < limit:
        ratios = (matrix @ x - right) / roots
        ratios[support] = 0.0
        ratios[barred] = 0.0
        entering = int(ratios.argmin())
        if not ratios[entering] < 0.0:
            break
        moved, longer = walk(matrix, right, x, np.append(support, entering))
        if value(matrix, right, moved) < value(matrix, right, x):
            x, support, barred = moved, longer, []
        else:
            # Only rounding said that this task lowers the objective: barred until another one does.
            barred.append(entering)
        steps += 1
    return (start + x).astype(np.float64), steps


def value(matrix: Extended, right: Extended, x: Extended) -> np.longdouble:
    """½ xᵀCx + qᵀCx."""
    return np.longdouble(x @ (matrix @ x / 2 - right))


def walk(matrix: Extended, right: Extended, x: Extended, support: Indices) -> tuple[Extended, Indices]:
    """Go from x to the minimum on ``support``; drop what reaches 0 on the way, and go on.

    Where C is not positive definite on the support the walk follows a direction of no curvature down to the boundary.
    """
    while len(support):
        factor, failed = cholesky(matrix[np.ix_(support, support)])
        direction = np.zeros_like(x)
        if failed is None:
            direction[support] = substituted(factor, (right - matrix @ x)[support])
            end = x + direction
            if end[support].min() > 0.0:
                # Once more, for the rounding of a long step.
                end[support] += substituted(factor, (right - matrix @ end)[support])
                return np.maximum(end, 0), support
            longest = np.longdouble(1)
        else:
            before, task = support[:failed], support[failed]
            direction[task] = 1.0
            direction[before] = -substituted(factor[:failed, :failed], matrix[before, task])
            if direction @ (matrix @ x - right) > 0.0:
                direction = -direction
            longest = np.longdouble(np.inf)
        shrinking = support[direction[support] < 0.0]
        ratios = x[shrinking] / -direction[shrinking]
        if len(shrinking):
            first = int(shrinking[ratios.argmin()])
            x = np.maximum(x + min(longest, ratios.min()) * direction, 0)
        else:
            # Nothing shrinks along a flat direction: by rounding alone, and its task gives way.
            first = int(task)
            x = x.copy()
        x[first] = 0.0
        support = support[support != first]
    return x, support


def cholesky(matrix: Extended) -> tuple[Extended, int | None]:
    """(lower factor, None), or (its leading part, place of the first pivot that is 0 up to rounding)."""
    factor = np.zeros_like(matrix)
    for j in range(len(matrix)):
        column = matrix[j:, j] - factor[j:, :j] @ factor[j, :j]
        if not column[0] > NO_PIVOT * matrix[j, j]:
            return factor, j
        factor[j:, j] = column / np.sqrt(column[0])
    return factor, None


def substituted(factor: Extended, right: Extended) -> Extended:
    """L Lᵀ y = right by forward and backward substitution."""
    y = right.copy()
    for i in range(len(y)):
        y[i] = (y[i] - factor[i, :i] @ y[:i]) / factor[i, i]
    for i in reversed(range(len(y))):
        y[i] = (y[i] - factor[i + 1 :, i] @ y[i + 1 :]) / factor[i, i]
    return y


ALGORITHM = Algorithm(
    name="active_set",
    summary="non-negative least squares on the cosines: exact in finitely many moves; the default",
    iterative=False,
    direct=direct,
    quick=quick,
    reach={},
)
