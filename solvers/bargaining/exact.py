"""The cvxpy model, solved by CLARABEL's interior point method: the referee, independent of every other file here.

Scaled with s_i = (p_i / G_ii^α)^(1/(1+α)), w_i = s_i y_i, M = diag(s) G diag(s), m_i = M_ii, so that each task's
solution on its own is y_i = 1:

    α = 1:   minimise ½ yᵀMy − Σ_i m_i log y_i                                     (exponential cones)
    α > 1:   minimise ½ yᵀMy − Σ_i m_i h_i / (1 − 1/α),   h_i <= y_i^(1−1/α)       (power cones)
    α < 1:   minimise ½ yᵀMy + Σ_i m_i h_i / (1/α − 1),   h_i >= y_i^(1−1/α)       (power cones)

The package's tolerances are 1e-14; it reaches about 1e-9. Its y is polished by Newton's method on the same potential in
extended precision, factors included, steps halved until the potential falls enough (Armijo); what the package says of
its accuracy is not asked, the driver certifies the weights by our own residual. No other algorithm takes part in this.

Source: P. Goulart & Y. Chen, arXiv 2405.12762 (Clarabel); S. Diamond & S. Boyd, arXiv 1603.00943 (CVXPY).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..algorithm import Algorithm
from ..clarabel import TIGHT, run
from ..gramian import Array, check
from .problem import Extended, Subject

LITTLE = 1e-3
POLISH = 100
"""Newton steps at most: 3 or 4 where the package came near."""


def direct(subject: Subject, max_iterations: int) -> tuple[Array, int]:
    """Weights and the number of iterations, the package's and the polishing ones.

    Raises :class:`~mtlbench.solvers.InvalidGramian` for a matrix with negative eigenvalues, and
    :class:`~mtlbench.solvers.SolverFailed` where the package gives no solution.
    """
    gramian, alpha, log_preference = subject
    check(gramian)
    scale = np.exp((log_preference - alpha * np.log(gramian.diagonal())) / (1.0 + alpha))
    matrix = gramian * scale[:, None] * scale
    y, iterations = interior_point(matrix, alpha, max_iterations)
    exact_matrix = gramian.astype(np.longdouble) * scale[:, None] * scale
    # p^(1/α) s^(1 − 1/α), in extended precision: M_ii but for the rounding of s
    linear = np.exp(log_preference.astype(np.longdouble) / alpha) * scale.astype(np.longdouble) ** (
        1 - 1 / np.longdouble(alpha)
    )
    # Where there is no solution the numbers run out, and the best so far is kept.
    with np.errstate(all="ignore"):
        polished, steps = polish(exact_matrix, linear, alpha, y, min(POLISH, int(max_iterations) - iterations))
    return (scale * polished).astype(np.float64), iterations + steps


def interior_point(matrix: Array, alpha: float, max_iterations: int) -> tuple[Array, int]:
    """The package's y > 0 and its number of iterations."""
    import cvxpy

    size = len(matrix)
    y = cvxpy.Variable(size)
    model = cvxpy.Problem(*statement(cvxpy, y, matrix, alpha))
    value, iterations = run(model, y, max_iterations, TIGHT)
    return np.maximum(value, value[value > 0.0].min()), iterations


def statement(cvxpy: Any, y: Any, matrix: Array, alpha: float) -> tuple[Any, list[Any]]:
    """Objective and constraints of the model in ``y``."""
    diagonal = matrix.diagonal()
    quadratic = cvxpy.quad_form(y, cvxpy.psd_wrap(matrix)) / 2
    if alpha == 1.0:
        return cvxpy.Minimize(quadratic - diagonal @ cvxpy.log(y)), []
    h, ones, power = cvxpy.Variable(len(matrix)), np.ones(len(matrix)), 1.0 - 1.0 / alpha
    cost = cvxpy.Minimize(quadratic - diagonal @ h / power)
    if alpha > 1.0:
        return cost, [cvxpy.constraints.PowCone3D(y, ones, h, power)]
    # h >= y^(1 − 1/α) is y^(1−α) h^α >= 1.
    return cost, [cvxpy.constraints.PowCone3D(y, h, ones, 1.0 - alpha)]


def polish(matrix: Extended, linear: Extended, alpha: float, y: Array, limit: int) -> tuple[Extended, int]:
    """Newton's method on ½ yᵀMy − Σ_i l_i y_i^(1−1/α) / (1 − 1/α) until it gains nothing more."""
    x = followed(matrix, linear, alpha, y.astype(np.longdouble))
    best, smallest = x, worst(matrix, linear, alpha, x)
    for steps in range(limit):
        barrier = linear * x ** (1 - 1 / np.longdouble(alpha))
        gradient = x * (matrix @ x) - barrier
        hessian = x[:, None] * matrix * x + np.diag(barrier / alpha)
        change = -solved(hessian, gradient)
        decrement = -float(gradient @ change)
        if not decrement > 0.0:
            return best, steps
        # In x itself, never to 0 or below.
        length = min(np.longdouble(1), np.longdouble(0.9) / max(-change.min(), np.longdouble(1e-300)))
        while length > 1e-12:
            moved = x * (1 + length * change)
            if increase(matrix, linear, alpha, x, length * change) <= -1e-4 * length * decrement:
                break
            length /= 2
        else:
            moved = x * (1 + change)
            if not moved.min() > 0:
                return best, steps
        x = moved
        residual = worst(matrix, linear, alpha, x)
        if residual < smallest:
            best, smallest = x, residual
        elif decrement < 1e-20:
            return best, steps + 1
    return best, max(limit, 0)


def followed(matrix: Extended, linear: Extended, alpha: float, x: Extended) -> Extended:
    """``x``, but where y_i counts for little in its own product, from that product: y_i = (l_i / (My)_i)^α.

    The package's error is absolute; for large α such a y_i is far below it.
    """
    products = matrix @ x
    little = x * matrix.diagonal() < LITTLE * products
    x = x.copy()
    x[little] = np.exp(alpha * np.log(linear[little] / products[little]))
    return x


def worst(matrix: Extended, linear: Extended, alpha: float, x: Extended) -> np.longdouble:
    """max_i |x_i^(1/α) (Mx)_i / l_i − 1|."""
    return np.longdouble(np.abs(x ** (1 / np.longdouble(alpha)) * (matrix @ x) / linear - 1).max())


def increase(matrix: Extended, linear: Extended, alpha: float, x: Extended, change: Extended) -> np.longdouble:
    """The potential at x (1 + change) less that at x, term by term: a small change is not made from the two."""
    quadratic = (x * change) @ (matrix @ (x * (2 + change))) / 2
    logs = np.log1p(change)
    if alpha == 1.0:
        return np.longdouble(quadratic - linear @ logs)
    power = 1 - 1 / np.longdouble(alpha)
    return np.longdouble(quadratic - (linear * x**power) @ (np.expm1(power * logs) / power))


def solved(matrix: Extended, right: Extended) -> Extended:
    """The solution of a positive definite system, by Cholesky's factor in extended precision, diagonal scaled to 1."""
    scale = 1 / np.sqrt(matrix.diagonal())
    lower = matrix * scale[:, None] * scale
    y = right * scale
    size = len(y)
    for k in range(size):
        # The floor is far below any pivot that is not rounding.
        lower[k:, k] /= np.sqrt(max(lower[k, k], np.longdouble(1e-30)))
        lower[k + 1 :, k + 1 :] -= lower[k + 1 :, k, None] * lower[k + 1 :, k]
    for k in range(size):
        y[k] = (y[k] - lower[k, :k] @ y[:k]) / lower[k, k]
    for k in reversed(range(size)):
        y[k] = (y[k] - lower[k + 1 :, k] @ y[k + 1 :]) / lower[k, k]
    return np.multiply(y, scale, dtype=np.longdouble)


ALGORITHM = Algorithm(
    name="exact",
    summary="the cvxpy model solved by CLARABEL and polished: the referee",
    iterative=False,
    closed_form=False,
    direct=direct,
    reach={},
)
