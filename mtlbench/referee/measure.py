"""The referee's own numbers: objective, gap and distances of weights, in extended precision, from the Gramian
alone.

Nothing that a solver says enters here. With f(w) = ½ wᵀGw, u = Jᵀw and gap(w) = wᵀGw − min_i (Gw)_i, for any
w, v in the simplex: f(w) − f(v) <= gap(w) and ‖u_w − u_v‖² <= gap(w) + gap(v) (``docs/mathematics.md``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtlbench.referee.families import Array

Extended = NDArray[np.longdouble]

EPS = float(np.finfo(np.float64).eps)
EPS_EXTENDED = float(np.finfo(np.longdouble).eps)


@dataclass(frozen=True)
class Measured:
    """T weights of one problem, measured: each array has shape (T,) and the Gramian's unit.

    ``objective`` ½ wᵀGw; ``gap`` the duality gap; ``rounding`` how far the objective can move when the
    entries of w are rounded to float64, 8 K eps max_i d_i Σ_i |w_i| d_i with d_i = √G_ii; ``certainty`` the
    error of ``gap`` itself.
    """

    objective: Extended
    gap: Extended
    rounding: Extended
    certainty: Extended


def measure(gramian: Array, weights: Array) -> Measured:
    """Measure ``weights``, shape (T, K), on ``gramian``, shape (K, K), in extended precision.

    They are divided by their sum first, so that rounding of the sum is not taken for a gap.
    """
    g, w = gramian.astype(np.longdouble), np.atleast_2d(weights).astype(np.longdouble)
    with np.errstate(invalid="ignore", divide="ignore"):  # weights that are no weights measure as NaN
        w = w / w.sum(axis=1, keepdims=True)
    products = w @ g
    square = np.sum(w * products, axis=1)
    lengths = np.sqrt(np.diagonal(g))
    scale = len(g) * lengths.max() * (np.abs(w) @ lengths)
    return Measured(square / 2, square - products.min(axis=1), 8 * EPS * scale, 8 * EPS_EXTENDED * scale)


def distance_squared(gramian: Array, weights: Array, others: Array) -> Extended:
    """‖u − u'‖² = (w − w')ᵀ G (w − w') of each of the (T, K) ``weights`` against ``others``; not below 0."""
    g = gramian.astype(np.longdouble)
    difference = np.atleast_2d(weights).astype(np.longdouble) - np.atleast_2d(others).astype(np.longdouble)
    return np.maximum(np.sum((difference @ g) * difference, axis=1), 0)


def rounding_of(gramian: Array) -> float:
    """How far rounding of the Gramian itself can move f on the simplex: 16 K eps max_i G_ii + max(0,
    −λ_min(G)).

    The second term is what a recorded Gramian, summed in single precision, lacks to being a Gramian.
    """
    smallest = float(np.linalg.eigvalsh(gramian)[0])
    return 16 * len(gramian) * EPS * float(np.diagonal(gramian).max()) + max(0.0, -smallest)


def relative(gap: float, gramian: Array) -> float:
    """gap / min_i G_ii; a gap of 0 is 0 also where a row is zero, any other gap there is infinite."""
    smallest = float(np.diagonal(gramian).min())
    if smallest > 0.0:
        return gap / smallest
    return 0.0 if gap == 0.0 else float("inf") if gap > 0.0 else float("-inf")
