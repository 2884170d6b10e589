"""The Gramian of gradients that lie on a device, perhaps on several ranks, and its way to the host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist

from mtlbench.errors import InputError
from mtlbench.solvers.compiled import compiled

if TYPE_CHECKING:
    from mtlbench.methods.method import Array, Rows

# So many columns of all rows are copied side by side and multiplied before the next ones are read: on the host they
# stay in the cache, on a device calls stay few.
_HOST_COLUMNS = 8_192
_DEVICE_COLUMNS = 65_536
_IN_PLACE_COLUMNS = 32_768
_FEW_PRODUCTS = 16
_LANES = 64


def gramian(rows: Rows, other: Rows | None = None) -> Array:
    """G = J Jᵀ, or J₁ J₂ᵀ with ``other`` of L rows: float64 (K, K) or (K, L) on the host, from tuples of tensors
    that share their shapes.

    Products and sums are in float64 whatever the gradients are: float32 sums have no useful bound. Of gradients that
    are all of one size every addition rounds the same way, and after 16384 of them an entry is off by 2e-5 d_i d_j.
    J Jᵀ comes back exactly symmetric.
    """
    return to_host(product(rows, other))[0]


@torch.no_grad()
def product(rows: Rows, other: Rows | None = None, *, over_ranks: bool = False) -> Tensor:
    """The Gramian as a float64 tensor on the gradients' device.

    ``over_ranks``: each rank holds the rows' columns of its own part of the batch, and the loss is the mean over the
    ranks, so the Gramian is the sum of the local ones over (number of ranks)².
    """
    device = rows[0][0].device
    if any(tensor.is_sparse for row in rows for tensor in row):
        raise InputError("a shared parameter has sparse gradients: build its embedding with sparse=False")
    if device.type == "cpu":
        total = torch.from_numpy(_on_host(rows, other))
    else:
        total = torch.zeros(len(rows), len(rows if other is None else other), dtype=torch.float64, device=device)
        for column in range(len(rows[0])):
            _add_on_device(total, _flat(rows, column), None if other is None else _flat(other, column))
        if other is None:
            total = total.triu() + total.triu(1).T
    return over_all_ranks(total) if over_ranks else total


def over_all_ranks(total: Tensor) -> Tensor:
    """The Gramian of the mean loss from those of each rank's own columns: their sum over (number of ranks)²."""
    if ranks() > 1:
        dist.all_reduce(total)
        total /= ranks() ** 2
    return total


def _flat(rows: Rows, column: int) -> list[Tensor]:
    """The flattened gradients of one parameter."""
    return [row[column].reshape(-1) for row in rows]


def _on_host(rows: Rows, other: Rows | None) -> Array:
    """The products of all pairs of rows, a dot product each."""
    left = [[_array(tensor) for tensor in row] for row in rows]
    right = left if other is None else [[_array(tensor) for tensor in row] for row in other]
    sums = np.zeros((len(left), len(right)))
    columns = list(range(len(left[0])))
    if len(left) * len(right) <= _FEW_PRODUCTS:
        # Where each number is read a few times only, copying it first would cost more than it saves.
        for column in [c for c in columns if len(left[0][c]) >= _HOST_COLUMNS]:
            columns.remove(column)
            _add_in_place(sums, [row[column] for row in left], [row[column] for row in right], other is None)
    if other is None:
        for part in _side_by_side(left, columns):
            _add_products(sums, part, part, True)
    else:
        for part, others in zip(_side_by_side(left, columns), _side_by_side(right, columns), strict=True):
            _add_products(sums, part, others, False)
    return sums


def _add_in_place(sums: Array, left: list[Array], right: list[Array], symmetric: bool) -> None:
    """Add left rightᵀ to ``sums``, reading the rows where they lie, some columns at a time."""
    for start in range(0, len(left[0]), _IN_PLACE_COLUMNS):
        part = slice(start, start + _IN_PLACE_COLUMNS)
        for i, x in enumerate(left):
            for j in range(i if symmetric else 0, len(right)):
                product = _dot(x[part], right[j][part])
                sums[i, j] += product
                if symmetric and i < j:
                    sums[j, i] += product


def _side_by_side(arrays: list[list[Array]], columns: list[int]) -> Iterator[Array]:
    """The rows' ``columns``, some numbers at a time, in one array that every turn overwrites."""
    width = min(_HOST_COLUMNS, sum(len(arrays[0][column]) for column in columns))
    if not width:
        return
    part = np.empty((len(arrays), width), np.result_type(*(row.dtype for row in arrays[0])))
    filled = 0
    for index in columns:
        column = [row[index] for row in arrays]
        first = 0
        while first < len(column[0]):
            last = min(first + width - filled, len(column[0]))
            upto = filled + last - first
            for line, array in zip(part, column, strict=True):
                line[filled:upto] = array[first:last]
            first, filled = last, upto
            if filled == width:
                yield part
                filled = 0
    if filled:
        # Copied: numba would compile once more for a view with gaps.
        yield np.ascontiguousarray(part[:, :filled])


def _array(tensor: Tensor) -> Array:
    """The very numbers of a tensor on the host; half precision, which numpy does not multiply, as float32."""
    wide = tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()
    return np.ascontiguousarray(wide.detach().numpy()).reshape(-1)


@compiled
def _add_products(sums: Array, left: Array, right: Array, symmetric: bool) -> None:
    """Add left rightᵀ to ``sums``; with ``symmetric`` the lower half is the mirror of the upper one."""
    for i in range(len(left)):
        for j in range(i if symmetric else 0, len(right)):
            product = _dot(left[i], right[j])
            sums[i, j] += product
            if symmetric and i < j:
                sums[j, i] += product


@compiled
def _dot(x: Array, y: Array) -> float:
    """Σ_k x_k y_k in float64, as :data:`_LANES` sums side by side: each addition of one sum waits for the last."""
    lanes = np.zeros(_LANES)
    whole = len(x) // _LANES
    for k in range(whole):
        for lane in range(_LANES):
            lanes[lane] += np.float64(x[_LANES * k + lane]) * np.float64(y[_LANES * k + lane])
    total = 0.0
    for lane in range(_LANES):
        total += lanes[lane]
    for k in range(_LANES * whole, len(x)):
        total += np.float64(x[k]) * np.float64(y[k])
    return total


def _add_on_device(total: Tensor, left: list[Tensor], right: list[Tensor] | None) -> None:
    """Add left rightᵀ by matrix products; with no ``right``, left leftᵀ, whose lower half need not be the mirror's."""
    for start in range(0, left[0].numel(), _DEVICE_COLUMNS):
        a = torch.stack([row[start : start + _DEVICE_COLUMNS] for row in left]).double()
        b = a if right is None else torch.stack([row[start : start + _DEVICE_COLUMNS] for row in right]).double()
        total.addmm_(a, b.T)


def to_host(*tensors: Tensor) -> list[Array]:
    """The tensors as float64 numpy arrays, in one copy from the device."""
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return [tensor.detach().to(torch.float64, copy=True).numpy() for tensor in tensors]
    flat = torch.cat([tensor.detach().reshape(-1).double() for tensor in tensors]).cpu().numpy()
    arrays, end = [], 0
    for tensor in tensors:
        first, end = end, end + tensor.numel()
        arrays.append(flat[first:end].reshape(tuple(tensor.shape)))
    return arrays


def ranks() -> int:
    """The number of processes of the ``torch.distributed`` group; 1 where there is none."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def averaged(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The mean of each tensor over all ranks; the tensors themselves where there is one process."""
    if ranks() == 1:
        return tensors
    # Autograd may hand out one tensor for two parameters: averaging it in place would happen twice.
    means = tuple(tensor.clone(memory_format=torch.contiguous_format) for tensor in tensors)
    for mean in means:
        dist.all_reduce(mean)
        mean.div_(ranks())
    return means
