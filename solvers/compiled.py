"""Compiled loops, and sums in twice the precision for them.

Numba compiles on the first call ever and keeps the result on disk; no fast mathematics, no threads, so the same input
gives the same bits. ``NUMBA_DISABLE_JIT=1`` runs the same functions as plain Python.

numba knows no long double. Here a number in twice float64's precision is an unevaluated sum high + low of two float64
numbers (T. Dekker, Numerische Mathematik 18 (1971); T. Ogita, S. Rump & S. Oishi, SIAM J. Sci. Comput. 26 (2005)).
Factors must stay within 1e-140 to 1e140 in size for the products to be exact: scale first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from .gramian import Array

Function = TypeVar("Function", bound=Callable[..., object])

SPLITTER = 134217729.0  # 2²⁷ + 1 cuts 53 bits into 26 + 26


def compiled(function: Function) -> Function:
    """``function`` compiled by numba, with numpy's rules for division by zero."""
    result: Any = numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    return cast(Function, result)


@compiled
def multiplied(x: float, y: float) -> tuple[float, float]:
    """x y as (high, low), exactly."""
    product = x * y
    a = SPLITTER * x
    a = a - (a - x)
    b = SPLITTER * y
    b = b - (b - y)
    c = x - a
    d = y - b
    return product, c * d - (((product - a * b) - c * b) - a * d)


@compiled
def added(x: float, y: float) -> tuple[float, float]:
    """x + y as (high, low), exactly."""
    total = x + y
    back = total - x
    return total, (x - (total - back)) + (y - back)


@compiled
def dot(x: Array, y: Array) -> tuple[float, float]:
    """Σ_i x_i y_i of two vectors as (high, low), its relative error some 1e-32 times the condition of the sum."""
    high = 0.0
    low = 0.0
    for i in range(len(x)):
        product, rest = multiplied(x[i], y[i])
        high, lost = added(high, product)
        low += lost + rest
    return high + low, (high - (high + low)) + low


@compiled
def residual(matrix: Array, x: Array, right: Array, out: Array) -> None:
    """out_i = right_i − Σ_j matrix_ij x_j, each summed in twice the precision and rounded once."""
    for i in range(len(right)):
        high, low = dot(matrix[i], x)
        out[i] = (right[i] - high) - low


def plain(array: Array) -> Array:
    """``array`` as numba compiles for it: one writable float64 block in C order; copied only where it is not."""
    return np.require(array, dtype=np.float64, requirements=["C", "W"])
