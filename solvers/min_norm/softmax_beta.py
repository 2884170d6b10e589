"""Gradient descent on β with w = softmax(β).

    β_i ← β_i − η w_i ((Gw)_i − wᵀGw),   from β = 0 (uniform weights),

the bracket times w_i being ∂f/∂β_i of f(β) = ½‖Σ_i w_i g_i‖². The factor w_i is what slows it down: a weight that
should vanish obeys dw/dt ~ −w², so it decays like 1/t only, where the exponentiated gradient decays exponentially.

The default step is η = 1/L with L = D²/4 + D R/2, D = max_ij ‖g_i − g_j‖, R = max_i ‖g_i‖. It makes f fall at every
step, because f'' <= L along every line β + t h, ‖h‖ = 1. With E, Var for the mean and variance under the weights w:

    f'' = ‖Cov(h, g)‖² + E[(h − E h)² (s − E s)],   s_i = <g_i, u>,
    ‖Cov(h, g)‖² <= Var(h) E‖g − u‖² <= Var(h) D²/2,
    s_i − E s <= max_ij <g_i − g_j, u> <= D ‖u‖ <= D R,   Var(h) <= (max h − min h)²/4 <= ‖h‖²/2,

and a step 1/L lowers any such function (descent lemma: f(β − η∇f) <= f(β) − ‖∇f‖²/(2L)). Since D <= 2R, L <= 2R².

Source: J. Su, kexue.fm/archives/8896; descent lemma: Y. Nesterov, Introductory Lectures on Convex Optimization, 1.2.3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..algorithm import Algorithm, Reach
from ..gramian import Array
from .problem import distance, uniform


class State(NamedTuple):
    """Weights, β and the step length η."""

    weights: Array
    beta: Array
    step_size: float


def start(gramian: Array, exponent: int, *, step_size: float | None = None) -> State:
    """β = 0. ``step_size``: η > 0 in the unit 1/‖g‖² of the Gramian; by default the 1/L above."""
    size = len(gramian)
    if step_size is None:
        diameter = distance(gramian)
        curvature = diameter**2 / 4 + diameter * float(gramian.diagonal().max()) ** 0.5 / 2
        # Equal gradients: f does not depend on β, any step does.
        eta = 1.0 / curvature if curvature > 0.0 else 1.0
    else:
        with np.errstate(over="ignore", under="ignore"):
            eta = float(np.ldexp(step_size, exponent))
        if not (eta > 0.0 and np.isfinite(eta)):
            raise ValueError(
                f"step_size must be a positive number in the unit 1/‖g‖² of the Gramian, got {step_size!r}"
            )
    return State(uniform(size), np.zeros(size), eta)


def step(gramian: Array, state: State, products: Array, iteration: int) -> State:
    """One step of gradient descent on β."""
    weights = state.weights
    beta = state.beta - state.step_size * weights * (products - weights @ products)
    beta -= beta.max()
    weights = np.exp(beta)
    return State(weights / weights.sum(), beta, state.step_size)


# Gaps relative to min_i G_ii; measured shares less a margin for other seeds, 0.0: not to be counted on.
REACH: Reach = {
    "gaussian": {1e-2: (1000, 0.35), 1e-4: (1000, 0.15), 1e-8: (200, 0.1)},
    "norms_1_to_1e3": {1e-2: (1000, 0.0), 1e-4: (1000, 0.0), 1e-8: (1000, 0.0)},
    "near_collinear": {1e-2: (1, 0.95), 1e-4: (500, 0.95), 1e-8: (1000, 0.0)},
    "duplicated_rows": {1e-2: (1000, 0.6), 1e-4: (500, 0.25), 1e-8: (1000, 0.25)},
    "zero_row": {1e-2: (0, 1.0), 1e-4: (0, 1.0), 1e-8: (0, 1.0)},
    "zero_in_hull": {1e-2: (1000, 0.4), 1e-4: (1000, 0.2), 1e-8: (200, 0.15)},
    "rank_deficient": {1e-2: (1000, 0.0), 1e-4: (1000, 0.0), 1e-8: (1000, 0.0)},
    "collection": {1e-2: (1000, 0.3), 1e-4: (1000, 0.2), 1e-8: (1000, 0.2)},
    "recorded": {1e-2: (1000, 0.0), 1e-4: (1000, 0.0), 1e-8: (1000, 0.0)},
}

ALGORITHM = Algorithm(
    name="softmax_beta",
    summary="gradient descent on β with w = softmax(β)",
    iterative=True,
    monotone=True,
    start=start,
    step=step,
    reach=REACH,
)
