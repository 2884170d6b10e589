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

# So many columns are copied side by side and multiplied at a time: calls are few, the copy is still in the cache.
_COLUMNS = 65_536


def gramian(rows: Rows, other: Rows | None = None) -> Array:
    """G = J Jᵀ, or J₁ J₂ᵀ with ``other``: float64 (K, K) on the host, from K tuples of tensors that share
    their shapes.

    Products and sums are in float64 whatever the gradients are: it costs as much as reading them a few times, and
    float32 sums have no useful bound. Of gradients that are all of one size every addition rounds the same way, and
    after 16384 of them an entry is off by 2e-5 ‖g_i‖ ‖g_j‖. J Jᵀ comes back exactly symmetric.
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
    widest = min(_COLUMNS, max(tensor.numel() for tensor in rows[0]))
    # Memory asked for anew for every block costs more than the products do.
    x = torch.empty(len(rows), widest, dtype=torch.float64, device=rows[0][0].device)
    y = x if other is None else torch.empty_like(x)
    total = x.new_zeros(len(rows), len(rows))
    for column in range(len(rows[0])):
        left = _flat(rows, column)
        right = [] if other is None else _flat(other, column)
        for start in range(0, left[0].numel(), _COLUMNS):
            block = _filled(x, left, start)
            total.addmm_(block, (_filled(y, right, start) if right else block).T)
    if other is None:
        # A matrix product need not sum the entry (i, j) in the order of (j, i).
        total = (total + total.T) / 2
    if over_ranks and ranks() > 1:
        dist.all_reduce(total)
        total /= ranks() ** 2
    return total


def _flat(rows: Rows, column: int) -> list[Tensor]:
    """The flattened gradients of one parameter."""
    tensors = [row[column] for row in rows]
    if any(tensor.is_sparse for tensor in tensors):
        raise InputError("a shared parameter has sparse gradients: build its embedding with sparse=False")
    return [tensor.reshape(-1) for tensor in tensors]


def _filled(buffer: Tensor, tensors: list[Tensor], start: int) -> Tensor:
    """The columns from ``start`` on of all ``tensors``, in float64, in ``buffer`` as far as they reach."""
    end = min(start + _COLUMNS, tensors[0].numel())
    block = buffer[:, : end - start]
    for row, tensor in zip(block.unbind(), tensors, strict=True):
        row.copy_(tensor[start:end])
    return block


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
