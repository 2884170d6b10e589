"""The cvxpy model, a second-order cone program solved by CLARABEL: the referee, independent of every other file here.

With B Bᵀ = C the cosines of the gradients, r_i = h_i/(d_i q) and v_i = m/d_i, where m is the unit of length:

    minimise rᵀy + c ‖Bᵀy‖   subject to   y >= 0, vᵀy = 1;      w_i = v_i y_i.

The unit is chosen twice, m = min_i d_i and m = max_i d_i: the weights are of the order of 1/d_i where the short
gradients rule and of 1 where a long one does, and the package resolves y to an absolute accuracy only. What it leaves
is polished: tasks near 0 are dropped, and on the others <g_i, d> = F, Σ w = 1 are solved by Newton's method with
residuals in extended precision. The best by certificate is returned, the package's own among them.

Source: S. Diamond & S. Boyd, arXiv 1603.00943 (CVXPY); P. Goulart & Y. Chen, arXiv 2405.12762 (Clarabel).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..algorithm import Algorithm
from ..clarabel import run
from ..gramian import Array, check, unit_diagonal
from .problem import ZERO, Ball, Extended, judgement

NEAR_ZERO = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-11)
"""Shares of the largest y below which a task is taken to be outside the support; each is tried."""
GOOD = 1e-12
"""A gap that needs no more polish."""
STEPS = 12


def direct(ball: Ball, max_iterations: int) -> tuple[Array, int]:
    """Weights and the number of interior point iterations.

    Raises :class:`~mtlbench.solvers.InvalidGramian` for a matrix with negative eigenvalues, and
    :class:`~mtlbench.solvers.SolverFailed` where the package gives no solution.
    """
    check(ball.gramian)
    lengths = ball.lengths
    best, smallest, spent = np.full(len(lengths), 1.0 / len(lengths)), np.inf, 0
    for unit in dict.fromkeys([float(lengths.min()), float(lengths.max())]):
        y, iterations = interior_point(ball, unit / lengths, max_iterations - spent)
        spent += iterations
        found = [normal(y / lengths)]
        # At its limit the package is judged where it stands.
        if spent < max_iterations:
            supports = dict.fromkeys(tuple(np.flatnonzero(y > share * y.max())) for share in NEAR_ZERO)
            found += [polished(ball, found[0], np.array(support)) for support in supports]
        for weights in found:
            gap = judgement(ball, weights)[0]
            if gap < smallest:
                best, smallest = weights, gap
        if smallest <= GOOD or spent >= max_iterations:
            break
    return best, spent


def interior_point(ball: Ball, v: Array, max_iterations: int) -> tuple[Array, int]:
    """The package's y >= 0 and its number of iterations."""
    import cvxpy

    cosines, lengths = unit_diagonal(ball.gramian)
    values, vectors = np.linalg.eigh(cosines)
    factor = vectors * np.sqrt(np.maximum(values, 0.0))
    slopes = ball.high / lengths / ball.mean_length
    y = cvxpy.Variable(len(v))
    cost = slopes @ y + ball.radius * cvxpy.norm(factor.T @ y)
    model = cvxpy.Problem(cvxpy.Minimize(cost), [y >= 0, v @ y == 1])
    value, iterations = run(model, y, max_iterations)
    return np.maximum(value, 0.0), iterations


def polished(ball: Ball, weights: Array, support: NDArray[np.intp]) -> Array:
    """Newton's method on <g_i, d> = F, Σ w = 1 over the support; relative to w, each row to d_i q."""
    lengths = ball.lengths[support]
    matrix: Extended = ball.gramian[np.ix_(support, support)].astype(np.longdouble)
    h, reach = ball.high[support].astype(np.longdouble) + ball.low[support], ball.radius * ball.mean_length
    w = weights[support].astype(np.longdouble)
    w /= w.sum()
    for _ in range(STEPS):
        products = matrix @ w
        square = w @ products
        if not square > len(weights) * ZERO * (w @ lengths) ** 2:
            break
        length = np.sqrt(square)
        value = h @ w + reach * length
        unit = lengths * ball.mean_length
        residual = np.append((value - h - (reach / length) * products) / unit, 1 - w.sum())
        curved = (reach / length) * (matrix - products[:, None] * products / square)
        jacobian = np.block([[curved * w / unit[:, None], -1 / unit[:, None]], [w, np.zeros(1)]])
        scale = np.abs(jacobian).max(axis=0)
        jacobian = (jacobian / np.where(scale > 0, scale, 1)).astype(np.float64)
        move = np.linalg.lstsq(jacobian, residual.astype(np.float64))[0][:-1] / np.where(scale > 0, scale, 1)[:-1]
        w = np.maximum(w * (1 + np.maximum(move, -0.9)), 0)
        w /= w.sum()
        if np.abs(move).max() <= ZERO:
            break
    full = np.zeros(len(weights))
    full[support] = w
    return full


def normal(weights: Array) -> Array:
    """Divided by their sum."""
    result: Array = weights / weights.sum()
    return result


ALGORITHM = Algorithm(
    name="exact",
    summary="the cvxpy model solved by CLARABEL: the referee",
    iterative=False,
    closed_form=False,
    direct=direct,
    reach={},
)
