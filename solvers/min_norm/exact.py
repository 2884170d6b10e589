"""The cvxpy model, solved by CLARABEL's interior point method: the referee, independent of every other file here.

The problem is scaled to unit diagonal, C = D⁻¹ G D⁻¹ with D = diag(√G_ii) and v_i = min_j √G_jj / √G_ii:

    minimise ½ yᵀCy   subject to   y >= 0, vᵀy = 1;      w_i = v_i y_i.

All three tolerances are 1e-14: at the package's own default the gap stays near 5e-9. Where 0 lies in the hull the KKT
matrix is singular at the solution, and the package's usual regularisation (1e-8) would stop it at a gap of 1e-7; so
that is made small, and every linear solve is refined to the end. What the package says of its accuracy is not asked,
nor is its warning about it passed on: the driver certifies the weights by our own gap.

An interior point lies in the middle of the optimal face. Where that face is large (0 in the hull many times over, or
copies of a task) its middle may have weights on gradients so long that rounding alone costs more than the tolerance.
So a solution with a gap above 1e-12 min_i G_ii is crossed over to a vertex of that face, as linear programming does:
tasks the package left near 0 are dropped, the others moved along null directions of (C; vᵀ) in which Σ y_i falls, until
none is left. Before and after the move the KKT equations on what remains are solved by Newton's method with residuals
in extended precision. The best by certificate is returned, the package's own solution among them. No other algorithm
takes part in this.

Source: P. Goulart & Y. Chen, arXiv 2405.12762 (Clarabel); S. Diamond & S. Boyd, arXiv 1603.00943 (CVXPY);
N. Megiddo, ORSA Journal on Computing 3 (1991) (crossover).
"""

from __future__ import annotations

import numpy as np

from ..algorithm import Algorithm, everywhere
from ..clarabel import run
from ..gramian import Array, check, unit_diagonal
from .problem import best_rounding, gap_and_square, tolerated

NEAR_ZERO = (1e-3, 1e-5, 1e-7, 1e-9, 1e-11, 1e-14)
"""Shares of max y below which a task is taken to be outside the support; each is tried."""
NULL = 1e-12


def direct(gramian: Array, max_iterations: int) -> tuple[Array, int]:
    """Weights and the number of interior point iterations.

    Raises :class:`~mtlbench.solvers.InvalidGramian` for a matrix with negative eigenvalues, and
    :class:`~mtlbench.solvers.SolverFailed` where the package gives no solution.
    """
    check(gramian)
    cosines, lengths = unit_diagonal(gramian)
    v = lengths.min() / lengths
    y, iterations = interior_point(cosines, v, max_iterations)
    weights = v * y / (v @ y)
    # Short of its limit the package has ended; at its limit it is judged where it stands.
    if iterations < max_iterations and float(gap_and_square(gramian, weights)[0]) > tolerated(gramian, 1e-12):
        found = [weights, best_rounding(gramian, weights.astype(np.longdouble))]
        for share in NEAR_ZERO:
            start = np.where(y > share * y.max(), y, 0.0)
            found += [newton(gramian, lengths, start), newton(gramian, lengths, to_vertex(cosines, v, start))]
        weights = min(found, key=lambda w: gap_and_square(gramian, w)[0])
    return weights, iterations


def interior_point(cosines: Array, v: Array, max_iterations: int) -> tuple[Array, int]:
    """The package's y >= 0 and its number of iterations."""
    import cvxpy

    y = cvxpy.Variable(len(v))
    cost = cvxpy.quad_form(y, cvxpy.psd_wrap(cosines)) / 2
    model = cvxpy.Problem(cvxpy.Minimize(cost), [y >= 0, v @ y == 1])
    value, iterations = run(model, y, max_iterations)
    return np.maximum(value, 0.0), iterations


def to_vertex(cosines: Array, v: Array, y: Array) -> Array:
    """Move ``y`` within its support, Cy and vᵀy unchanged, until the support admits no such move any more."""
    y = y.copy()
    while True:
        support = np.flatnonzero(y)
        _, values, vectors = np.linalg.svd(np.vstack([cosines[np.ix_(support, support)], v[support]]))
        null = vectors[np.count_nonzero(values > NULL * values[0]) :]
        if len(support) < 2 or not len(null):
            return y
        direction = -null.sum(axis=1) @ null  # the steepest descent of Σ y_i
        if not direction.min() < -NULL:
            direction = null[0] if null[0].min() < 0.0 else -null[0]
        shrinking = np.flatnonzero(direction < 0.0)
        ratios = y[support[shrinking]] / -direction[shrinking]
        first = int(ratios.argmin())
        y[support] = np.maximum(y[support] + ratios[first] * direction, 0.0)
        y[support[shrinking[first]]] = 0.0


def newton(gramian: Array, lengths: Array, y: Array) -> Array:
    """The weights after three steps of least squares on Cy = ν v, vᵀy = 1 on the support of ``y``, relative to y."""
    support = np.flatnonzero(y)
    d = lengths[support].astype(np.longdouble)
    v = lengths.min() / d
    cosines = gramian[np.ix_(support, support)] / d[:, None] / d
    x = y[support].astype(np.longdouble)
    for _ in range(3):
        products = cosines @ x
        residual = np.append(x @ products * v - products, 1 - v @ x)
        matrix = np.block([[cosines * x, -v[:, None]], [v * x, np.zeros(1)]])
        step = np.linalg.lstsq(matrix.astype(np.float64), residual.astype(np.float64))[0]
        moved = np.maximum(x * (1 + step[:-1]), 0)
        if not moved.any():
            break
        x = moved
    weights = np.zeros(len(y), dtype=np.longdouble)
    weights[support] = v * x / (v @ x)
    return best_rounding(gramian, weights)


ALGORITHM = Algorithm(
    name="exact",
    summary="the cvxpy model solved by CLARABEL: the referee",
    iterative=False,
    closed_form=False,
    direct=direct,
    reach=everywhere(200),
)
