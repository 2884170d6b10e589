"""The λ-smoothed problem: the fixed point w = softmax(−λ G w), for growing λ.

Replacing the minimum in max_u min_i <g_i, u> − ½‖u‖² by −(1/λ) log Σ_i exp(−λ <g_i, u>) gives the stationarity
condition u = Jᵀ softmax(−λ J u). Its dual is the entropic problem

    minimise φ(w) = ½ wᵀGw + (1/λ) Σ_i w_i log w_i   over the simplex,

whose solution w_λ has min-norm gap <= log K / λ, hence 0 <= f(w_λ) − f* <= log K / λ. Any w is certified for φ by
φ(w) − φ* <= KL(w ‖ softmax(−λ G w)) / λ; that KL divergence, in nats, is this problem's own :func:`residual`.

Iterating w ← softmax(−λ G w) as it stands cycles for λ above 1/λ_max(G). Here it is damped twice. The map is evaluated
at its own linear prediction of the fixed point, w + dw: with θ = log w, F = θ + λ G w up to a constant, and
W = diag(w) − w wᵀ, that is Newton's (I + λ W G) dw = −W F and dθ = −F − λ G dw, a descent direction of φ. Then the step
θ ← θ + t dθ is halved until φ decreases enough (Armijo). λ starts at 1/max_i G_ii, where no damping is needed, and
grows eightfold whenever the fixed point for the present λ is near: to ``smoothing``, or, by default, until the driver's
certificate stops it (at the latest at λ = 2⁴⁵ log K / min_i G_ii, a bias of 3e-14 min_i G_ii). λ multiplies the
rounding of G w, so θ, w and G w are kept in extended precision.

Source: J. Su, kexue.fm/archives/8896 (smoothed minimum); Y. Nesterov, Mathematical Programming 103 (2005).
"""

from __future__ import annotations

from math import log
from typing import Any, NamedTuple

import numpy as np

from ..algorithm import Algorithm, Reach
from ..gramian import Array, as_gramian
from .problem import Extended, as_weights

GROWTH = 8.0
ROUNDING = 2.0**-56
"""A rise of λφ by this much, in nats, is not a rise."""
NEAR = 0.1
"""λ grows when the Newton decrement, about twice the KL residual in nats, is below this."""


class State(NamedTuple):
    """Weights, θ = log w and G w in extended precision, the present λ and the last one (``target``)."""

    weights: Array
    logs: Extended
    products: Extended
    smoothing: float
    target: float


def start(gramian: Array, exponent: int, *, smoothing: float | None = None) -> State:
    """Uniform weights. ``smoothing``: λ > 0 in the unit 1/‖g‖² of the Gramian; by default as large as it takes."""
    size = len(gramian)
    if smoothing is None:
        target = 2.0**45 * max(log(size), 1.0) / float(gramian.diagonal().min())
    else:
        with np.errstate(over="ignore", under="ignore"):
            target = float(np.ldexp(smoothing, exponent))
        if not (target > 0.0 and np.isfinite(target)):
            raise ValueError(
                f"smoothing must be a positive number in the unit 1/‖g‖² of the Gramian, got {smoothing!r}"
            )
    first = min(target, 1.0 / float(gramian.diagonal().max()))
    logs = np.full(size, -np.log(np.longdouble(size)))
    return at(gramian, logs, first, target)


def at(gramian: Array, logs: Extended, smoothing: float, target: float) -> State:
    """The state with the given log w."""
    weights = np.exp(logs)
    return State(weights.astype(np.float64), logs, gramian.astype(np.longdouble) @ weights, smoothing, target)


def step(gramian: Array, state: State, products: Array, iteration: int) -> State:
    """One damped step at the present λ, or at the next one where the present fixed point is near."""
    logs, smoothing = state.logs, state.smoothing
    weights = np.exp(logs)
    change, decrement = direction(gramian, state, smoothing)
    if decrement <= NEAR and smoothing < state.target:
        smoothing = min(GROWTH * smoothing, state.target)
        change, decrement = direction(gramian, state, smoothing)
    length = 1.0
    # A decrease of φ that takes steps shorter than 2⁻³⁰ is rounding.
    while length > 2.0**-30:
        # A small step is straight in w, not in θ: for large λ the curve between the two would leave the valley of φ.
        share = length * change
        small = np.abs(share) <= 0.5
        share[small] = np.log1p(share[small])
        new = at(gramian, normalised_logs(logs + share), smoothing, state.target)
        # λ (φ(new) − φ(old)) = λ Σ (Gw)_i dw_i + Σ θ_i dw_i + ½ λ dw'G dw + KL(new ‖ old): small terms one by one.
        moved = np.exp(new.logs) - weights
        slope = logs + smoothing * (state.products + new.products) / 2
        # Centred, because Σ dw_i = 0 only up to rounding, and λ is large.
        along = (slope - weights @ slope) @ moved
        apart = np.exp(new.logs) @ (new.logs - logs)
        if along + apart <= ROUNDING - 1e-4 * length * decrement:
            return new
        length /= 2.0
    if smoothing >= state.target:
        return state
    return state._replace(smoothing=min(GROWTH * smoothing, state.target))


def normalised_logs(logs: Extended) -> Extended:
    """log w with Σ w = 1."""
    logs = logs - logs.max()
    normalised: Extended = logs - np.log(np.exp(logs).sum())
    return normalised


def direction(gramian: Array, state: State, smoothing: float) -> tuple[Extended, float]:
    """(dθ, Newton decrement F'W(I + λGW)⁻¹F >= 0) at λ = ``smoothing``."""
    force = state.logs + smoothing * state.products
    force = (force - np.exp(state.logs) @ force).astype(np.float64)
    roots = np.exp(state.logs / 2).astype(np.float64)
    # W = L Lᵀ with L = diag(√w)(I − √w √wᵀ): the symmetric form stays well scaled where weights are tiny.
    projector = np.eye(len(roots)) - roots[:, None] * roots
    eigenvalues, vectors = np.linalg.eigh(projector @ (roots[:, None] * gramian * roots) @ projector)
    right = vectors.T @ (projector @ (roots * force))
    # Eigenvalues below 0 are rounding.
    solution = right / (1.0 + smoothing * np.maximum(eigenvalues, 0.0))
    inner = projector @ (vectors @ solution)
    change = -force - smoothing * (gramian @ (-roots * inner))
    # On the support dθ_i = dw_i / w_i, which has no rounding of λ G dw in it.
    weighty = roots > 1e-4
    change = change - roots**2 @ change
    change[weighty] = -inner[weighty] / roots[weighty]
    return change.astype(np.longdouble), float(right @ solution)


def divergence(logs: Extended, products: Extended, smoothing: float) -> float:
    """KL(w ‖ softmax(−λ G w)) in nats, w = exp(logs)."""
    weights = np.exp(logs)
    terms = np.where(weights > 0, logs, 0) - normalised_logs(-smoothing * products)
    return max(0.0, float(weights @ terms))


def residual(gramian: Any, weights: Any, smoothing: float) -> float:
    """How far ``weights`` are from the fixed point: KL(w ‖ softmax(−λ G w)) in nats, λ = ``smoothing`` in 1/‖g‖².

    φ(w) − φ* is at most this divided by λ. Raises like :func:`mtlbench.solvers.min_norm.certificate`.
    """
    g = as_gramian(gramian)
    w = as_weights(weights, len(g)).astype(np.longdouble)
    with np.errstate(divide="ignore"):
        return divergence(np.log(w / w.sum()), g.astype(np.longdouble) @ w, smoothing)


def own_residual(state: State, products: Array) -> float:
    """The residual at the last λ; before that the problem is not yet the one that was asked for."""
    if state.smoothing < state.target:
        return float("inf")
    return divergence(state.logs, state.products, state.smoothing)


def bound(gramian: Array, iteration: Any, *, smoothing: float | None = None) -> Any:
    """log K / λ for the fixed point at λ = ``smoothing``, whatever the iteration; nothing for a growing λ."""
    return np.full(np.shape(iteration), np.inf if smoothing is None else log(len(gramian)) / smoothing)


# Gaps relative to min_i G_ii; measured shares less a margin for other seeds, 0.0: not to be counted on.
REACH: Reach = {
    "gaussian": {1e-2: (10, 0.95), 1e-4: (20, 0.95), 1e-8: (50, 0.95)},
    "norms_1_to_1e3": {1e-2: (50, 0.95), 1e-4: (50, 0.95), 1e-8: (50, 0.95)},
    "near_collinear": {1e-2: (1, 0.95), 1e-4: (10, 0.95), 1e-8: (20, 0.95)},
    "duplicated_rows": {1e-2: (10, 0.95), 1e-4: (20, 0.95), 1e-8: (20, 0.95)},
    "zero_row": {1e-2: (0, 1.0), 1e-4: (0, 1.0), 1e-8: (0, 1.0)},
    "zero_in_hull": {1e-2: (10, 0.95), 1e-4: (20, 0.95), 1e-8: (20, 0.95)},
    "rank_deficient": {1e-2: (50, 0.95), 1e-4: (100, 0.95), 1e-8: (100, 0.95)},
    "collection": {1e-2: (50, 0.9), 1e-4: (50, 0.9), 1e-8: (50, 0.9)},
    "recorded": {1e-2: (200, 0.9), 1e-4: (200, 0.9), 1e-8: (200, 0.8)},
}

ALGORITHM = Algorithm(
    name="smooth_min_entropic",
    summary="the λ-smoothed fixed point w = softmax(−λGw), damped, λ growing",
    iterative=True,
    closed_form=False,
    start=start,
    step=step,
    bound=bound,
    residual=own_residual,
    reach=REACH,
)
