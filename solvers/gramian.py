"""What a valid Gramian is, the errors that others get, and scaling without rounding.

G = J Jᵀ holds the inner products of the task gradients g_1..g_K (rows of J); d_i = √G_ii = ‖g_i‖. Every threshold is
relative to d_i d_j, the largest value that |<g_i, g_j>| can have.
"""

from __future__ import annotations

from math import frexp, ldexp
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ASYMMETRY = 1e-6
"""|G_ij − G_ji| up to this times d_i d_j is rounding and is averaged away."""
EXCESS = 1e-5
"""|G_ij| may exceed d_i d_j (Cauchy-Schwarz) by this share: sums in single precision do."""


class InvalidGramian(ValueError):
    """The matrix is no Gramian; the message names the entry and says why."""


def as_gramian(value: Any) -> Array:
    """Return ``value`` as a float64 Gramian (K, K), K >= 1, exactly symmetric; the input is never written to.

    Accepts whatever numpy can convert (nested lists, integers, float32, strided or read-only arrays) and torch tensors
    on any device. Required: square, finite, |G_ij − G_ji| <= 1e-6 d_i d_j (then symmetrised), G_ii >= 0,
    |G_ij| <= (1 + 1e-5) d_i d_j; a zero row is therefore exactly zero.
    Raises :class:`InvalidGramian`. The costlier test of the eigenvalues is :func:`check`.
    """
    gramian = _numeric(value)
    if gramian.ndim != 2 or gramian.shape[0] != gramian.shape[1] or gramian.shape[0] == 0:
        raise InvalidGramian(f"a Gramian is a square matrix (K, K) of at least one task, got the shape {gramian.shape}")
    diagonal = gramian.diagonal()
    # Runs at every training step: few passes, each failing for NaN too; what is wrong is found out only then.
    if not (diagonal.min() >= 0.0 and diagonal.max() < np.inf):
        raise _explanation(gramian)
    lengths = np.sqrt(diagonal)
    limit = lengths[:, None] * lengths
    if not (np.abs(gramian) <= (1.0 + EXCESS) * limit).all():
        raise _explanation(gramian)
    if (gramian == gramian.T).all():
        return gramian
    if not (np.abs(gramian - gramian.T) <= ASYMMETRY * limit).all():
        raise _explanation(gramian)
    # Halved before they are added: the sum of two large entries may not be representable.
    return 0.5 * gramian + 0.5 * gramian.T


def check(value: Any) -> Array:
    """Validate ``value`` like :func:`as_gramian` and by its eigenvalues as well; returns the Gramian.

    With every non-zero row scaled to unit length the smallest eigenvalue must be >= −1e-5 K: accumulation in single
    precision leaves about −2e-7, a matrix that is no Gramian much less. Raises :class:`InvalidGramian`.
    """
    gramian = as_gramian(value)
    smallest = float(np.linalg.eigvalsh(unit_diagonal(gramian)[0])[0])
    if smallest < -1e-5 * len(gramian):
        raise InvalidGramian(
            f"the matrix is no Gramian: scaled to unit diagonal its smallest eigenvalue is {smallest:.3g}, "
            f"where a Gramian of {len(gramian)} tasks has at least 0 (down to {-1e-5 * len(gramian):.0e} is rounding)"
        )
    return gramian


def unit_diagonal(gramian: Array) -> tuple[Array, Array]:
    """Return C = D⁻¹ G D⁻¹ and the diagonal d of D, d_i = √G_ii (1 where G_ii = 0): the cosines of the gradients."""
    lengths = np.sqrt(gramian.diagonal())
    lengths = np.where(lengths > 0.0, lengths, 1.0)
    cosines: Array = gramian / lengths[:, None] / lengths
    return cosines, lengths


def normalised(gramian: Array) -> tuple[Array, int]:
    """Return (2⁻ᵉ G, e), the geometric mean of the largest and the smallest non-zero G_ii brought near 1.

    A power of two scales without rounding, so G and 2ᵐ G lead to bit-equal weights.
    """
    diagonal = gramian.diagonal()
    largest = float(diagonal.max())
    if largest == 0.0:
        return gramian, 0
    smallest = float(diagonal.min()) or float(diagonal[diagonal > 0.0].min())
    exponent = (frexp(largest)[1] + frexp(smallest)[1]) // 2
    if exponent == 0:
        return gramian, 0
    if abs(exponent) < 1000:
        return gramian * ldexp(1.0, -exponent), exponent
    return np.ldexp(gramian, -exponent), exponent


def _numeric(value: Any) -> Array:
    if type(value) is np.ndarray and value.dtype == np.float64:
        return value if value.flags.c_contiguous else np.ascontiguousarray(value)
    # A tensor of torch, recognised without importing torch: off its graph and device, in double precision.
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu().double().numpy()
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InvalidGramian(f"the Gramian's rows differ in length: {error}") from None
    if array.dtype.kind not in "buif":
        raise InvalidGramian(f"a Gramian holds real numbers, got {type(value).__name__} of type {array.dtype}")
    with np.errstate(over="ignore"):  # what float64 cannot hold becomes infinite and is named as such
        return np.asarray(array, dtype=np.float64, order="C")


def _explanation(gramian: Array) -> InvalidGramian:
    """The first thing wrong with a square matrix that did not pass, as the error to raise."""
    wrong = ~np.isfinite(gramian)
    if wrong.any():
        i, j = _first(wrong)
        return InvalidGramian(f"entry ({i}, {j}) of the Gramian is {gramian[i, j]}: every entry must be finite")
    diagonal = gramian.diagonal()
    if (diagonal < 0.0).any():
        i = int(np.argmax(diagonal < 0.0))
        return InvalidGramian(
            f"entry ({i}, {i}) of the Gramian is {diagonal[i]:.6g}: a squared norm cannot be negative"
        )
    lengths = np.sqrt(diagonal)
    limit = lengths[:, None] * lengths
    wrong = np.abs(gramian - gramian.T) > ASYMMETRY * limit
    if wrong.any():
        i, j = _first(wrong)
        return InvalidGramian(
            f"the Gramian is not symmetric: entry ({i}, {j}) is {gramian[i, j]:.9g} "
            f"but entry ({j}, {i}) is {gramian[j, i]:.9g}"
        )
    i, j = _first(np.abs(gramian) > (1.0 + EXCESS) * limit)
    return InvalidGramian(
        f"entry ({i}, {j}) of the Gramian is {gramian[i, j]:.9g}: by Cauchy-Schwarz it cannot exceed "
        f"√(G_{i}{i} G_{j}{j}) = {limit[i, j]:.9g} in size"
    )


def _first(wrong: NDArray[np.bool_]) -> tuple[int, int]:
    i, j = np.argwhere(wrong)[0]
    return int(i), int(j)
