"""The cvxpy model, solved by CLARABEL's interior point method: the referee, independent of every other file here.

The problem is scaled to unit diagonal, C = D⁻¹ G D⁻¹ with D = diag(√G_ii), and to ‖Jᵀp‖ = 1, x = D(v − p) / ‖Jᵀp‖:

    minimise ½ xᵀCx + bᵀx   subject to   x >= 0,   b = C D p / ‖Jᵀp‖.

All three tolerances are 1e-14 and the package's regularisation is made small, as for the min-norm problem; what it says
of its accuracy is not asked. Where rounding has given C a negative eigenvalue −ε the model is that of C + εI, b
included: the nearest one that is convex and has a solution.

An interior point has every x_i > 0. So its solution is crossed over: tasks it left near 0 are dropped, the others moved
along null directions of C in which Σ x_i falls, until those that are left are independent, and C_AA x_A = −b_A is
solved by Newton's method with residuals in extended precision. The best by certificate is returned, the package's own
solution among them. No other algorithm takes part in this.

Source: P. Goulart & Y. Chen, arXiv 2405.12762 (Clarabel); S. Diamond & S. Boyd, arXiv 1603.00943 (CVXPY);
N. Megiddo, ORSA Journal on Computing 3 (1991) (crossover).
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from ..algorithm import Algorithm
from ..clarabel import run
from ..gramian import Array, check
from .problem import Subject, indefiniteness, residual, unscaled

NEAR_ZERO = (1e-4, 1e-6, 1e-8, 1e-10, 1e-12, 1e-14)
"""x_i / max x, and x_i where max x > 1, below which a task is taken to have no multiplier; each is tried."""
NULL = 1e-12


def direct(subject: Subject, max_iterations: int) -> tuple[Array, int]:
    """The weights of every row, and the interior point iterations of all.

    Raises :class:`~mtlbench.solvers.InvalidGramian` for a matrix with negative eigenvalues, and
    :class:`~mtlbench.solvers.SolverFailed` where the package gives no solution.
    """
    check(subject.cosines)
    points, total = subject.starts.copy(), 0
    for r in np.flatnonzero(subject.squares > 0.0):
        points[r], iterations = one_row(subject, int(r), max_iterations)
        total += iterations
    return unscaled(subject, points), total


def one_row(subject: Subject, r: int, max_iterations: int) -> tuple[Array, int]:
    """y of one row and the number of interior point iterations; zero rows take no part."""
    present = np.flatnonzero(subject.roots)
    norm = sqrt(subject.squares[r])
    lengths = subject.roots[present].astype(np.longdouble)
    cosines = subject.cosines[np.ix_(present, present)] / lengths[:, None] / lengths
    cosines += indefiniteness(subject.cosines) * np.eye(len(present))
    right = cosines @ (lengths * subject.starts[r][present]) / norm
    x, iterations = interior_point(cosines.astype(np.float64), right.astype(np.float64), max_iterations)

    def point(multipliers: NDArray[np.floating]) -> Array:
        y = subject.starts[r].astype(np.longdouble)
        y[present] += norm * multipliers / lengths
        return y.astype(np.float64)

    found = [point(x)]
    # Short of its limit the package has ended; at its limit it is judged where it stands.
    if iterations < max_iterations:
        for share in NEAR_ZERO:
            kept = np.where(x > share * max(1.0, float(x.max())), x, 0.0)
            for begin in (kept, to_vertex(cosines.astype(np.float64), kept)):
                found.append(point(newton(cosines, right, begin)))
    return min(found, key=lambda y: residual(subject, r, y)[0]), iterations


def interior_point(cosines: Array, right: Array, max_iterations: int) -> tuple[Array, int]:
    """The package's x >= 0 and its number of iterations."""
    import cvxpy

    size = len(right)
    x = cvxpy.Variable(size)
    cost = cvxpy.quad_form(x, cvxpy.psd_wrap(cosines)) / 2 + right @ x
    model = cvxpy.Problem(cvxpy.Minimize(cost), [x >= 0])
    value, iterations = run(model, x, max_iterations, zero=True)
    return np.maximum(value, 0.0), iterations


def to_vertex(cosines: Array, x: Array) -> Array:
    """Move ``x`` within its support, Cx unchanged, until the support admits no such move any more."""
    x = x.copy()
    while True:
        support = np.flatnonzero(x)
        if len(support) < 2:
            return x
        _, values, vectors = np.linalg.svd(cosines[np.ix_(support, support)])
        null = vectors[np.count_nonzero(values > NULL * values[0]) :]
        if not len(null):
            return x
        direction = -null.sum(axis=1) @ null  # the steepest descent of Σ x_i
        if not direction.min() < -NULL:
            direction = null[0] if null[0].min() < 0.0 else -null[0]
        shrinking = np.flatnonzero(direction < 0.0)
        ratios = x[support[shrinking]] / -direction[shrinking]
        first = int(ratios.argmin())
        x[support] = np.maximum(x[support] + ratios[first] * direction, 0.0)
        x[support[shrinking[first]]] = 0.0


def newton(cosines: NDArray[np.longdouble], right: NDArray[np.longdouble], x: Array) -> NDArray[np.longdouble]:
    """Three steps of least squares on C_AA x_A = −b_A, A the support of ``x``."""
    support = np.flatnonzero(x)
    found = x.astype(np.longdouble)
    if len(support):
        matrix = cosines[np.ix_(support, support)]
        for _ in range(3):
            missing = -right[support] - matrix @ found[support]
            step = np.linalg.lstsq(matrix.astype(np.float64), missing.astype(np.float64))[0]
            found[support] = np.maximum(found[support] + step, 0)
    return found


ALGORITHM = Algorithm(
    name="exact",
    summary="the cvxpy model solved by CLARABEL: the referee",
    iterative=False,
    direct=direct,
    reach={},
)
