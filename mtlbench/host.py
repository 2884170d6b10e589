"""Gramian and weighted sum of gradients that lie on the host: compiled loops that read every tensor where it lies.

Copying the gradients side by side first would cost a third of the products, and handing them to compiled code as one
array each more than the products of a small network: so the loops are handed addresses, of such tensors alone as can
be read by one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from torch import Tensor

from mtlbench.errors import InputError
from mtlbench.solvers.compiled import compiled, inner

if TYPE_CHECKING:
    from mtlbench.methods.method import Array, Rows

_COLUMNS = 4096
"""So many numbers of all rows are multiplied before the next ones are read: they stay in the cache meanwhile."""
_LANES = 32
"""Each product is so many sums side by side: every addition of one sum waits for the one before."""
SPARSE = "a shared parameter has sparse gradients: build its embedding with sparse=False"
_TYPES: dict[torch.dtype, Any] = {torch.float32: np.empty(0, np.float32), torch.float64: np.empty(0, np.float64)}
"""An empty array for every type of tensor that is read as it is: compiled code takes the type from it."""


def products(rows: Rows, other: Rows | None) -> Array:
    """J Jᵀ, or J₁ J₂ᵀ, float64: products and sums in float64, the same bits wherever the tensors lie.

    Half precision is read as float32, and all as float64 if any tensor is; what lies elsewhere or in no order is copied
    first. Raises :class:`~mtlbench.errors.InputError` for tensors of different size, complex ones, and those that have
    no numbers of their own to copy (sparse, meta, distributed over processes).
    """
    both = rows if other is None else (*rows, *other)
    dtypes = {t.dtype for row in both for t in row}
    dtype = torch.float64 if torch.float64 in dtypes else torch.float32
    # Named, because the copies among them must outlive the loops.
    dense = [[t if t.dtype == dtype and _readable(t) else _copied(t, dtype) for t in row] for row in both]
    sizes = _sizes(dense)
    addresses = _addresses(dense)
    left, right = addresses[: len(rows)], addresses if other is None else addresses[len(rows) :]
    sums = np.zeros((len(left), len(right)))
    _add_products(sums, left, right, sizes, _TYPES[dtype], other is None)
    return sums


def combination(rows: Rows | Sequence[Sequence[Tensor]], weights: Array) -> list[Tensor] | None:
    """Σ_i w_i rows_i in new tensors; None where one is of another type or cannot be read by address, so torch must.

    A row of weight 0 is not read. Raises :class:`~mtlbench.errors.InputError` for tensors of different size, or where
    there is not one weight for each row.
    """
    dtype = rows[0][0].dtype
    if dtype not in _TYPES or not all([t.dtype == dtype and _readable(t) for row in rows for t in row]):
        return None
    if len(weights) != len(rows):
        raise InputError(f"{len(weights)} weights do not fit the gradients of {len(rows)} tasks")
    sizes = _sizes(rows)
    sums = [torch.empty_like(t) for t in rows[0]]
    like = _TYPES[dtype]
    _combine(_addresses([sums])[0], _addresses(rows), sizes, weights.astype(like.dtype), like)
    return sums


def _readable(tensor: Tensor) -> bool:
    """Whether the numbers lie at the tensor's address, in order, with their own sign.

    Nothing lies at the address 0: there are tensors that only stand for numbers, such as autograd's zeros.
    """
    return (
        tensor.is_cpu
        and tensor.layout is torch.strided
        and tensor.is_contiguous()
        and not tensor.is_neg()
        and (tensor.data_ptr() != 0 or tensor.numel() == 0)
    )


def _copied(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """The numbers of ``tensor`` as a new tensor that can be read."""
    if tensor.is_sparse:
        raise InputError(SPARSE)
    try:
        if tensor.is_complex():
            raise RuntimeError("it is complex")
        return torch.empty(tensor.shape, dtype=dtype).copy_(tensor)
    except RuntimeError as error:
        kind = f"{type(tensor).__name__} ({str(tensor.layout).removeprefix('torch.')}, {tensor.device})"
        raise InputError(
            f"a gradient cannot be multiplied, a {kind}: {str(error).splitlines()[0]}; it must be a dense real tensor"
        ) from None


def _sizes(rows: Sequence[Sequence[Tensor]]) -> Any:
    sizes = [tensor.numel() for tensor in rows[0]]
    if any([[tensor.numel() for tensor in row] != sizes for row in rows]):
        raise InputError("the gradients of one parameter must have the same size for all tasks")
    return np.array(sizes)


def _addresses(rows: Sequence[Sequence[Tensor]]) -> Any:
    return np.array([[tensor.data_ptr() for tensor in row] for row in rows])


@compiled
def _combine(sums: Any, rows: Any, sizes: Any, weights: Any, like: Any) -> None:
    """Write Σ_i w_i rows_i, a few numbers of all rows at a time."""
    for column in range(len(sizes)):
        for start in range(0, sizes[column], _COLUMNS):
            count, skipped = min(_COLUMNS, sizes[column] - start), start * like.itemsize
            total = _numbers(sums[column] + skipped, count, like)
            total[:] = 0.0
            for i in range(len(rows)):
                if weights[i] != 0.0:
                    row = _numbers(rows[i, column] + skipped, count, like)
                    weight = weights[i]
                    for k in range(count):
                        total[k] += weight * row[k]


@compiled
def _add_products(sums: Array, left: Any, right: Any, sizes: Any, like: Any, symmetric: bool) -> None:
    """Add left rightᵀ to ``sums``, two rows of each at a time; with ``symmetric`` the lower half mirrors the upper."""
    lanes = np.empty((4, _LANES))
    for column in range(len(sizes)):
        for start in range(0, sizes[column], _COLUMNS):
            count, skipped = min(_COLUMNS, sizes[column] - start), start * like.itemsize
            for i in range(0, len(left), 2):
                # Where there is no second row the first one stands in, and what it gives is not looked at.
                a = _numbers(left[i, column] + skipped, count, like)
                b = _numbers(left[min(i + 1, len(left) - 1), column] + skipped, count, like)
                for j in range(i if symmetric else 0, len(right), 2):
                    c = _numbers(right[j, column] + skipped, count, like)
                    d = _numbers(right[min(j + 1, len(right) - 1), column] + skipped, count, like)
                    _multiply(lanes.reshape(-1), a, b, c, d)
                    for pair in range(4):
                        m, n = i + pair // 2, j + pair % 2
                        if m < len(left) and n < len(right) and (m <= n or not symmetric):
                            total = 0.0
                            for lane in range(_LANES):
                                total += lanes[pair, lane]
                            sums[m, n] += total
                            if symmetric and m < n:
                                sums[n, m] += total


@inner
def _multiply(lanes: Array, a: Array, b: Array, c: Array, d: Array) -> None:
    """The four products ac, ad, bc, bd, each as the sum of its ``lanes``: every number is converted once for two."""
    lanes[:] = 0.0
    whole = len(a) // (2 * _LANES)
    for k in range(whole):
        for lane in range(_LANES):
            a0, a1 = np.float64(a[2 * _LANES * k + lane]), np.float64(a[2 * _LANES * k + _LANES + lane])
            b0, b1 = np.float64(b[2 * _LANES * k + lane]), np.float64(b[2 * _LANES * k + _LANES + lane])
            c0, c1 = np.float64(c[2 * _LANES * k + lane]), np.float64(c[2 * _LANES * k + _LANES + lane])
            d0, d1 = np.float64(d[2 * _LANES * k + lane]), np.float64(d[2 * _LANES * k + _LANES + lane])
            lanes[lane] += a0 * c0 + a1 * c1
            lanes[_LANES + lane] += a0 * d0 + a1 * d1
            lanes[2 * _LANES + lane] += b0 * c0 + b1 * c1
            lanes[3 * _LANES + lane] += b0 * d0 + b1 * d1
    for k in range(2 * _LANES * whole, len(a)):
        lanes[0] += np.float64(a[k]) * np.float64(c[k])
        lanes[_LANES] += np.float64(a[k]) * np.float64(d[k])
        lanes[2 * _LANES] += np.float64(b[k]) * np.float64(c[k])
        lanes[3 * _LANES] += np.float64(b[k]) * np.float64(d[k])


def _numbers(address: int, count: int, like: Array) -> Array:
    """The ``count`` numbers, of the type of ``like``, that begin at ``address``."""
    found: Array = carray(ctypes.c_void_p(int(address)), (count,), like.dtype)
    return found


@overload(_numbers, strict=False)
def _compiled_numbers(address: Any, count: Any, like: Any) -> Any:
    return lambda address, count, like: carray(_pointer(address), (count,), like.dtype)  # type: ignore[call-arg]


@intrinsic
def _pointer(typing: Any, address: Any) -> Any:
    """``address`` as the pointer that ``carray`` takes."""
    signature = types.voidptr(types.int64)
    return signature, lambda context, builder, signature, given: builder.inttoptr(given[0], cgutils.voidptr_t)
