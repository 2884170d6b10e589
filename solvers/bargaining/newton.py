"""Newton's method on logarithms of weights and products: the default.

The products get variables s > 0 of their own, and two sets of equations are solved together:

    log w_i + α log s_i = log p_i,      (Gw)_i = s_i.

Linear changes z of log w and of log s satisfy, with r_i = √(α w_i / s_i), ρ = log w + α log s − log p and w z = r x,

    (I + diag(r) G diag(r)) x = −√(w s / α) ρ − r (Gw − s).

With s_i = (p_i / w_i)^(1/α) this is Newton's step on the convex potential, with s = Gw that on the logarithm of the
residual; the first is slow where a product is far too large, the second undefined where it is negative, and s of its
own is neither. The matrix is at least I, so every pivot of its Cholesky factor is at least 1; one below that, or below
K eps times its diagonal entry, is rounding and is raised to it. Steps are shortened until no task changes both its
logarithms by more than 1, and no w_i d_i outgrows e times their present sum. A task far from the others' scale changes
one logarithm only, and is right after a full step: the first equations are linear.

The start is w_i = (p_i / G_ii^α)^(1/(1+α)), each task's solution on its own. α = 1 has no scale: rows times any numbers
are the same problem. Far from it a path is followed: α from within [½, 2] is doubled, or halved, whenever the residual
is below ½. The products come in twice the precision, which gives the last digits; w_i far below 1 is kept as log w_i.

Source: the primal-dual interior point method (S. Wright, Primal-Dual Interior-Point Methods, 1997), whose centring
equations are those of α = 1; A. Navon et al., arXiv 2202.01017; H. Ban & K. Ji, arXiv 2402.15638.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..algorithm import Algorithm
from ..compiled import compiled
from ..gramian import Array
from .problem import EPS, NEGLIGIBLE, Subject

NEAR = 0.5
FAR = 2.0
LEAST = -200.0
"""log s below this is as good as 0 beside the other products."""
ENOUGH = 1000
"""Steps after which only rounding moves the weights: it takes 5 to 50, and up to 300 where rounding nearly wins."""
ENDLESS = 600.0
"""Weights beyond the exponential of this grow without end: there is no solution."""


class State(NamedTuple):
    """w, log w, log s, and the α they are solved for at present."""

    weights: Array
    logs: Array
    slacks: Array
    alpha: float


def start(subject: Subject, exponent: int) -> State:
    """Each task's solution on its own, for an α within [½, 2]."""
    alpha = min(max(subject.alpha, 1.0 / FAR), FAR)
    logs = (subject.log_preference - alpha * np.log(subject.gramian.diagonal())) / (1.0 + alpha)
    return State(np.exp(logs), logs, (subject.log_preference - logs) / alpha, alpha)


def step(subject: Subject, state: State, products: Array, iteration: int) -> State:
    """One step at the present α, or at the next one where the present solution is near."""
    if iteration > ENOUGH:
        return state
    alpha = state.alpha
    if alpha != subject.alpha and near(subject.gramian, *state, products, subject.log_preference):
        alpha = min(FAR * alpha, subject.alpha) if alpha < subject.alpha else max(alpha / FAR, subject.alpha)
    new = State(np.empty_like(products), np.empty_like(products), np.empty_like(products), alpha)
    finite = advance(
        subject.gramian, state.weights, state.logs, state.slacks, alpha, products, subject.log_preference, *new[:3]
    )
    return new if finite else state


@compiled
def near(
    gramian: Array, weights: Array, logs: Array, slacks: Array, alpha: float, products: Array, log_preference: Array
) -> bool:
    """Whether no equation has a relative error above :data:`NEAR`, the rounding of w apart."""
    for i in range(len(weights)):
        rounding = 0.0
        for j in range(len(weights)):
            rounding += EPS * abs(gramian[i, j]) * weights[j]
        value = np.exp(slacks[i])
        if abs(logs[i] + alpha * slacks[i] - log_preference[i]) > NEAR * max(1.0, alpha):
            return False
        if abs(products[i] - value) > NEAR * value + 2.0 * rounding:
            return False
    return True


@compiled
def advance(
    gramian: Array,
    weights: Array,
    logs: Array,
    slacks: Array,
    alpha: float,
    products: Array,
    log_preference: Array,
    new_weights: Array,
    new_logs: Array,
    new_slacks: Array,
) -> bool:
    """Write the next w, log w and log s; False where they are not finite or without end."""
    size = len(weights)
    matrix = np.empty((size, size))
    roots = np.empty(size)
    values = np.empty(size)
    errors = np.empty(size)
    x = np.empty(size)
    for i in range(size):
        values[i] = np.exp(max(slacks[i], LEAST))
        roots[i] = np.sqrt(alpha * weights[i] / values[i])
        errors[i] = logs[i] + alpha * slacks[i] - log_preference[i]
        x[i] = -np.sqrt(weights[i] * values[i] / alpha) * errors[i] - roots[i] * (products[i] - values[i])
    for i in range(size):
        for j in range(i, size):
            matrix[i, j] = roots[i] * gramian[i, j] * roots[j]
        matrix[i, i] += 1.0
    solve_positive(matrix, x)
    for i in range(size):
        x[i] *= roots[i]
    longest = 0.0
    total = 0.0
    for i in range(size):
        total += weights[i] * np.sqrt(gramian[i, i])
    for i in range(size):
        change = products[i] - values[i]
        for j in range(size):
            change += gramian[i, j] * x[j]
        change /= values[i]
        # Of two formulas for the same number: dividing by a tiny weight, or by a tiny product, would lose its digits.
        new_logs[i] = x[i] / weights[i] if weights[i] > 1e-8 else -errors[i] - alpha * change
        if abs(alpha * change) >= abs(new_logs[i]):
            change = -(errors[i] + new_logs[i]) / alpha
        new_slacks[i] = change
        room = 1.0 + np.log(total) - logs[i] - 0.5 * np.log(gramian[i, i])
        longest = max(longest, min(abs(new_logs[i]), abs(change)), new_logs[i] / room)
    length = 1.0 / max(1.0, longest)
    finite = True
    for i in range(size):
        share = length * new_logs[i]
        new_slacks[i] = slacks[i] + length * new_slacks[i]
        new_logs[i] = logs[i] + share
        # Near the solution this rounds once, the exponential of a logarithm would round at the scale of the logarithm.
        new_weights[i] = weights[i] + weights[i] * np.expm1(share)
        if new_weights[i] > NEGLIGIBLE:
            new_logs[i] = np.log(new_weights[i])
        else:
            new_weights[i] = np.exp(new_logs[i])
        finite = finite and new_logs[i] < ENDLESS and abs(new_slacks[i]) < np.inf
    return finite


@compiled
def solve_positive(matrix: Array, x: Array) -> None:
    """Overwrite ``x`` by matrix⁻¹ x; of the matrix, at least I, the upper triangle is read and overwritten."""
    size = len(x)
    least = np.empty(size)
    for k in range(size):
        least[k] = max(1.0, size * EPS * matrix[k, k])
    for k in range(size):
        pivot = np.sqrt(max(matrix[k, k], least[k]))
        for j in range(k, size):
            matrix[k, j] /= pivot
        matrix[k, k] = pivot
        x[k] /= pivot
        for i in range(k + 1, size):
            share = matrix[k, i]
            x[i] -= share * x[k]
            for j in range(i, size):
                matrix[i, j] -= share * matrix[k, j]
    for k in range(size - 1, -1, -1):
        rest = x[k]
        for j in range(k + 1, size):
            rest -= matrix[k, j] * x[j]
        x[k] = rest / matrix[k, k]


ALGORITHM = Algorithm(
    name="newton",
    summary="Newton's method on logarithms of weights and products: exact, the default",
    iterative=False,
    closed_form=False,
    start=start,
    step=step,
    reach={},
)
