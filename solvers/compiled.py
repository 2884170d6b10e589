"""Compiled loops, and sums in twice the precision for them.

Numba compiles on the first call ever and keeps the result on disk; no fast mathematics, no threads, so the same input
gives the same bits. ``NUMBA_DISABLE_JIT=1`` runs the same functions as plain Python. A kept result notices a change of
its own file only, not of the functions it calls in others: so the results lie in a folder named after the contents of
all files here.

numba knows no long double. Here a number in twice float64's precision is an unevaluated sum high + low of two float64
numbers (T. Dekker, Numerische Mathematik 18 (1971); T. Ogita, S. Rump & S. Oishi, SIAM J. Sci. Comput. 26 (2005)).
Factors must stay within 1e-140 to 1e140 in size for the products to be exact: scale first.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np

from .gramian import Array

Function = TypeVar("Function", bound=Callable[..., object])

NDARRAY = np.ndarray
FLOAT64 = np.dtype(np.float64)
SPLITTER = 134217729.0  # 2²⁷ + 1 cuts 53 bits into 26 + 26


def compiled(function: Function) -> Function:
    """``function`` compiled by numba, with numpy's rules for division by zero."""
    return _compiled(function)


def inner(function: Function) -> Function:
    """Like :func:`compiled`, to be called by compiled functions only: without the costly entrance from Python."""
    return _compiled(function, no_cpython_wrapper=True)


def _compiled(function: Function, **options: Any) -> Function:
    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = str(_kept(before))
    try:
        # Where the result is kept is settled here, before the first call.
        decorate: Any = numba.njit(cache=True, error_model="numpy", nogil=True, **options)
        return cast(Function, decorate(function))
    finally:
        config.CACHE_DIR = before


@cache
def _kept(chosen: str) -> Path:
    """The folder of compiled results: in the one that the user has ``chosen`` for numba, here, or in the user's own."""
    here = Path(__file__).resolve().parent
    total = hashlib.sha256()
    for file in sorted(here.rglob("*.py")):
        total.update(file.relative_to(here).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    homes = [Path(chosen)] if chosen else [here / "__pycache__", Path.home() / ".cache" / "mtlbench"]
    for home in homes:
        folder = home / f"solvers-{total.hexdigest()[:16]}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            for other in home.glob("solvers-*"):
                if other != folder:
                    shutil.rmtree(other, ignore_errors=True)
            return folder
    return Path(tempfile.mkdtemp(prefix="mtlbench-solvers-"))


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


def is_plain_square(matrix: Any) -> bool:
    """Whether ``matrix`` is square, not empty, and such as :func:`plain` makes already."""
    # At every training step, hence written out: a call of is_plain costs as much again.
    if type(matrix) is not NDARRAY or matrix.dtype != FLOAT64:
        return False
    shape = matrix.shape
    return len(shape) == 2 and shape[0] == shape[1] > 0 and matrix.flags.carray


def is_plain(array: Any) -> bool:
    """Whether ``array`` is such as :func:`plain` makes already."""
    # Arrays made by compiled code carry a dtype of their own, which equals the usual one.
    return bool(type(array) is NDARRAY and array.dtype == FLOAT64 and array.flags.carray)


def plain(array: Array) -> Array:
    """``array`` as numba compiles for it: one writable float64 block in C order; copied only where it is not."""
    return array if is_plain(array) else np.require(array, dtype=np.float64, requirements=["C", "W"])
