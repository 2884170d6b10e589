"""Seeded families of min-norm problems, each named after what makes it hard.

Every family is a function ``(rng, size) -> J`` that draws task gradients g_1..g_K, the rows of J, float64, shape
(K, d). :func:`draw` gives the Gramian G = J Jᵀ, shape (K, K), exactly symmetric, and :func:`draw_rows` J itself.
The products are summed without BLAS, so the number of threads of the machine does not change a bit of them. Sizes
K from 1 to 256 are defined for every family.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from mtlbench.errors import InputError, unknown_name

Array = NDArray[np.float64]
Family = Callable[[np.random.Generator, int], Array]

LARGEST_SIZE = 256


def gramian(rows: Array) -> Array:
    """G = J Jᵀ of the rows of ``rows`` (K, d), float64, summed in a fixed order."""
    product: Array = np.einsum("id,jd->ij", rows, rows, optimize=False)
    return np.maximum(product, product.T)


def gaussian_rows(rng: np.random.Generator, size: int) -> Array:
    """K standard normal rows in d = 2K dimensions: independent, so 0 is outside their hull."""
    return rng.standard_normal((size, 2 * size))


def gaussian(rng: np.random.Generator, size: int) -> Array:
    """Standard normal gradients, d = 2K: the easy case that every algorithm should do well on."""
    return gaussian_rows(rng, size)


def norms_1_to_1e3(rng: np.random.Generator, size: int) -> Array:
    """Random directions, norms spread evenly in the logarithm from 1 to 1e3 (K = 1: norm 1), shuffled."""
    rows = gaussian_rows(rng, size)
    norms = rng.permutation(np.geomspace(1.0, 1e3, size))
    return rows * (norms / np.linalg.norm(rows, axis=1))[:, None]


def near_collinear(rng: np.random.Generator, size: int) -> Array:
    """g_i = a + r e_i, ‖a‖ = ‖e_i‖ = 1: at relative distance r of one line, r log-uniform in [1e-6, 1e-3]."""
    common = rng.standard_normal(2 * size)
    apart = gaussian_rows(rng, size)
    distance = 10.0 ** rng.uniform(-6.0, -3.0)
    return common / np.linalg.norm(common) + distance * apart / np.linalg.norm(apart, axis=1, keepdims=True)


def duplicated_rows(rng: np.random.Generator, size: int) -> Array:
    """⌈K/2⌉ distinct normal gradients, the others exact copies of them: the weights are not unique."""
    distinct = (size + 1) // 2
    copies = rng.permutation(np.arange(size) % distinct)
    return rng.standard_normal((distinct, 2 * size))[copies]


def zero_row(rng: np.random.Generator, size: int) -> Array:
    """Normal gradients, one of them exactly zero (a task that is solved, or has no label in the batch)."""
    rows = gaussian_rows(rng, size)
    rows[rng.integers(size)] = 0.0
    return rows


def zero_in_hull(rng: np.random.Generator, size: int) -> Array:
    """Pareto stationary: normal gradients and −Σ a_i g_i / a_K, a > 0, so that Jᵀa = 0 up to rounding.

    K = 2 is an exactly opposed pair; at K = 1 the only hull that holds 0 is a zero gradient.
    """
    rows = gaussian_rows(rng, size)
    share = rng.uniform(0.5, 1.5, size)
    rows[-1] = -np.einsum("i,id->d", share[:-1], rows[:-1], optimize=False) / share[-1]
    return rows[rng.permutation(size)]


def rank_deficient(rng: np.random.Generator, size: int) -> Array:
    """K normal gradients in d = ⌊K/2⌋ < K dimensions, moved together by 0 to 2: 0 is in the hull of some.

    K = 1 is one positive number: a single gradient that is not zero has full rank.
    """
    rows = rng.standard_normal((size, max(1, size // 2)))
    rows[:, 0] += rng.uniform(0.0, 2.0)
    return rows


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "gaussian": gaussian,
        "norms_1_to_1e3": norms_1_to_1e3,
        "near_collinear": near_collinear,
        "duplicated_rows": duplicated_rows,
        "zero_row": zero_row,
        "zero_in_hull": zero_in_hull,
        "rank_deficient": rank_deficient,
    }
)
"""Name → generator ``(rng, size) -> J``, in the order of every table."""


def draw(family: str, size: int, problem: int = 0, seed: int = 0) -> Array:
    """The Gramian (K, K) of problem number ``problem`` of ``family`` at K = ``size``.

    It depends on these four values only: a problem named in a verdict can be drawn again alone.
    Raises :class:`~mtlbench.errors.InputError` for an unknown family or a size outside 1..256.
    """
    return gramian(draw_rows(family, size, problem, seed))


def draw_rows(family: str, size: int, problem: int = 0, seed: int = 0) -> Array:
    """The task gradients (K, d) whose Gramian is that of :func:`draw`; raises the same."""
    if family not in FAMILIES:
        raise unknown_name("problem family", family, FAMILIES)
    if not 1 <= size <= LARGEST_SIZE:
        raise InputError(f"problem size {size}: families are defined for 1 to {LARGEST_SIZE} tasks")
    rng = np.random.default_rng([seed, zlib.crc32(family.encode()), size, problem])
    return FAMILIES[family](rng, size)
