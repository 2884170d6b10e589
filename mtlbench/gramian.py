"""The Gramian of gradients that lie on a device, perhaps on several ranks, and its way to the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist

from mtlbench.errors import InputError

if TYPE_CHECKING:
    from mtlbench.methods.method import Array, Rows

# A block of this many columns stays in the cache while its rows are multiplied, and keeps float32 sums short: gradients
# of one sign, the worst case, are off by 1.4e-6 with blocks of 32768 columns, by less than 1e-6 with these.
_COLUMNS = 16_384


def gramian(rows: Rows, other: Rows | None = None) -> Array:
    """G = J Jᵀ, or J₁ J₂ᵀ with ``other``: float64 (K, K) on the host, from K tuples of tensors that share
    their shapes.

    Products are taken in float32 over blocks of 16384 columns and summed in float64: an entry is off by less than
    1e-6 ‖g_i‖ ‖g_j‖. Parameters of a single block cost little and are multiplied in float64, like float64 gradients and
    those so small or large that float32 products leave its range. J Jᵀ comes back exactly symmetric.
    """
    return host_gramian(rows, other)[0]


def host_gramian(rows: Rows, other: Rows | None, *more: Tensor, over_ranks: bool = False) -> list[Array]:
    """The Gramian and the tensors ``more``, brought to the host in one copy.

    ``over_ranks``: each rank holds the rows' columns of its own part of the batch, and the loss is the mean
    over the ranks, so the Gramian is the sum of the local ones over (number of ranks)².
    """
    wide = _wide(rows)
    matrix, *rest = to_host(_product(rows, other, wide, over_ranks), *more)
    if not wide and _out_of_range(matrix, rows):
        (matrix,) = to_host(_product(rows, other, True, over_ranks))
    return [matrix, *rest]


def _wide(rows: Rows) -> bool:
    """Whether float32 products would be rounded further, by autocast or by a lower matmul precision."""
    first = rows[0][0]
    lowered = torch.is_autocast_enabled(first.device.type) or torch.get_float32_matmul_precision() != "highest"
    return lowered or first.dtype == torch.float64


@torch.no_grad()
def _product(rows: Rows, other: Rows | None, wide: bool, over_ranks: bool) -> Tensor:
    kind = torch.float64 if wide else torch.float32
    total = torch.zeros(len(rows), len(rows), dtype=torch.float64, device=rows[0][0].device)
    for columns in range(len(rows[0])):
        left = _flat(rows, columns)
        exact = torch.float64 if left[0].numel() <= _COLUMNS else kind
        right = left if other is None else _flat(other, columns)
        for start in range(0, left[0].numel(), _COLUMNS):
            block = _block(left, start, exact)
            total += block @ (block if right is left else _block(right, start, exact)).T
    if other is None:
        # A matrix product need not sum the entry (i, j) in the order of (j, i).
        total = (total + total.T) / 2
    if over_ranks and ranks() > 1:
        dist.all_reduce(total)
        total /= ranks() ** 2
    return total


def _flat(rows: Rows, columns: int) -> tuple[Tensor, ...]:
    """The gradients of one parameter, flattened where they are cut into blocks."""
    tensors = tuple(row[columns] for row in rows)
    if any(tensor.is_sparse for tensor in tensors):
        raise InputError("a shared parameter has sparse gradients: build its embedding with sparse=False")
    return tensors if tensors[0].numel() <= _COLUMNS else tuple(tensor.reshape(-1) for tensor in tensors)


def _block(tensors: tuple[Tensor, ...], start: int, kind: torch.dtype) -> Tensor:
    if tensors[0].numel() > _COLUMNS:
        tensors = tuple(tensor[start : start + _COLUMNS] for tensor in tensors)
    return torch.stack(tensors).reshape(len(tensors), -1).to(kind)


def _out_of_range(matrix: Array, rows: Rows) -> bool:
    """Whether a squared norm overflowed in float32, or is so small that lost products may count."""
    limits = np.finfo(np.float32)
    smallest = sum(column.numel() for column in rows[0]) * limits.tiny / limits.eps
    return not np.isfinite(matrix).all() or bool(np.abs(np.diagonal(matrix)).min() < smallest)


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
