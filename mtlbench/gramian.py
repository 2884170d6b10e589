"""The Gramian of gradients that lie on a device, perhaps on several ranks, and its way to the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist

from mtlbench.errors import InputError
from mtlbench.solvers.compiled import compiled

if TYPE_CHECKING:
    from mtlbench.methods.method import Array, Rows

# So many columns of all rows are multiplied before the next ones are read. On the host they stay in the cache; on a
# device, where they are copied side by side first, calls stay few.
_HOST_COLUMNS = 32_768
_DEVICE_COLUMNS = 65_536
_LANES = 64


def gramian(rows: Rows, other: Rows | None = None) -> Array:
    """G = J Jᵀ, or J₁ J₂ᵀ with ``other`` of L rows: float64 (K, K) or (K, L) on the host, from tuples of tensors
    that share their shapes.

    Products and sums are in float64 whatever the gradients are: float32 sums have no useful bound. Of gradients that
    are all of one size every addition rounds the same way, and after 16384 of them an entry is off by 2e-5 d_i d_j.
    J Jᵀ comes back exactly symmetric.
    """
    return host_gramian(rows, other)[0]


def host_gramian(rows: Rows, other: Rows | None, *more: Tensor, over_ranks: bool = False) -> list[Array]:
    """The Gramian and the tensors ``more``, brought to the host in one copy.

    ``over_ranks``: each rank holds the rows' columns of its own part of the batch, and the loss is the mean
    over the ranks, so the Gramian is the sum of the local ones over (number of ranks)².
    """
    return to_host(_product(rows, other, over_ranks), *more)


@torch.no_grad()
def _product(rows: Rows, other: Rows | None, over_ranks: bool) -> Tensor:
    device = rows[0][0].device
    add = _add_on_host if device.type == "cpu" else _add_on_device
    total = torch.zeros(len(rows), len(rows if other is None else other), dtype=torch.float64, device=device)
    for column in range(len(rows[0])):
        add(total, _flat(rows, column), None if other is None else _flat(other, column))
    if other is None:
        total = total.triu() + total.triu(1).T
    if over_ranks and ranks() > 1:
        dist.all_reduce(total)
        total /= ranks() ** 2
    return total


def _flat(rows: Rows, column: int) -> list[Tensor]:
    """The flattened gradients of one parameter."""
    tensors = [row[column] for row in rows]
    if any(tensor.is_sparse for tensor in tensors):
        raise InputError("a shared parameter has sparse gradients: build its embedding with sparse=False")
    return [tensor.detach().reshape(-1) for tensor in tensors]


def _add_on_host(total: Tensor, left: list[Tensor], right: list[Tensor] | None) -> None:
    """Add left rightᵀ, or the upper half of left leftᵀ: a dot product for each entry, read where the gradients lie."""
    x = [_array(tensor) for tensor in left]
    y = x if right is None else [_array(tensor) for tensor in right]
    sums = total.numpy()
    for start in range(0, len(x[0]), _HOST_COLUMNS):
        a = [row[start : start + _HOST_COLUMNS] for row in x]
        b = a if right is None else [row[start : start + _HOST_COLUMNS] for row in y]
        for i, row in enumerate(a):
            for j in range(i if right is None else 0, len(b)):
                sums[i, j] += _dot(row, b[j])


def _array(tensor: Tensor) -> Array:
    """The very numbers of a tensor on the host; half precision, which numpy does not multiply, as float32."""
    return (tensor if tensor.dtype == torch.float64 else tensor.float()).contiguous().numpy()


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
    flat = torch.cat([tensor.detach().reshape(-1).double() for tensor in tensors]).cpu().numpy()
    ends = np.cumsum([tensor.numel() for tensor in tensors])[:-1]
    return [part.reshape(tuple(t.shape)) for part, t in zip(np.split(flat, ends), tensors, strict=True)]


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
