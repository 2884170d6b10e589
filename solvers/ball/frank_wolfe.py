"""Frank-Wolfe with exact line search, on the dual F(w) = hᵀw + c q ‖Jᵀw‖.

From the vertex of the smallest F, each step moves towards the task that the present direction d(w) helps least,
s = argmin_i <g_i, d> (ties: lowest index), w ← (1 − γ) w + γ e_s. Its gap is the certificate of the room. Along the
way F = α γ + c q √(‖u‖² + 2 β γ + ρ γ²) + constant, with

    α = h_s − hᵀw,   β = <u, g_s − u>,   ρ = ‖g_s − u‖².

In τ = γ + β/ρ the root is √ρ √(τ² + m²), m² = (‖u‖² − β²/ρ)/ρ: m√ρ is the distance of 0 from the line. The derivative
vanishes at τ = m κ/√(1 − κ²), κ = −α/(c q √ρ); at |κ| >= 1 it never does and γ = 1. F never rises. Where 0 is in the
hull F may have a kink at its minimum, and where the minimum is on a face the method zigzags: no rate is stated.

Source: M. Frank & P. Wolfe (1956); M. Jaggi, ICML 2013.
"""

from __future__ import annotations

from typing import NamedTuple

from ..algorithm import Algorithm
from ..gramian import Array
from .problem import Ball, vertex


class State(NamedTuple):
    """The weights are all there is."""

    weights: Array


def start(ball: Ball, exponent: int) -> State:
    """Everything on the task of the smallest F(e_i) = h_i + c q ‖g_i‖."""
    values = ball.high + ball.radius * ball.mean_length * ball.lengths
    return State(vertex(len(values), int(values.argmin())))


def step(ball: Ball, state: State, products: Array, iteration: int) -> State:
    """One line search towards the task with the smallest product."""
    h, reach = ball.high, ball.radius * ball.mean_length
    square = float(state.weights @ products)
    if not square > 0.0:
        return state
    slope = h + (reach / square**0.5) * products
    s = int(slope.argmin())
    if not state.weights @ slope > slope[s]:
        return state
    alpha, beta = float(h[s] - state.weights @ h), float(products[s]) - square
    rho = float(ball.gramian[s, s]) - float(products[s]) - beta
    if not rho > 0.0:
        return state
    kappa = -alpha / (reach * rho**0.5)
    distance = max((square - beta**2 / rho) / rho, 0.0) ** 0.5
    # Outside (−1, 1) F is monotone along the line; falling back, which only an indefinite matrix does, moves nothing.
    if kappa <= -1.0:
        return state
    length = 1.0 if kappa >= 1.0 else distance * kappa / (1.0 - kappa**2) ** 0.5 - beta / rho
    length = min(max(length, 0.0), 1.0)
    weights = (1.0 - length) * state.weights
    weights[s] += length
    return State(weights)


ALGORITHM = Algorithm(
    name="frank_wolfe",
    summary="Frank-Wolfe with exact line search on the dual",
    iterative=True,
    monotone=True,
    start=start,
    step=step,
    reach={},
)
