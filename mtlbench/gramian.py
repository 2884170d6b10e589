"""Gramian and weighted sum of gradients that lie on a device, perhaps on several ranks, and the way to the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch import distributed as dist

from mtlbench import host
from mtlbench.errors import InputError

if TYPE_CHECKING:
    from mtlbench.methods.method import Array, Rows

# So many columns of all rows are made float64 and multiplied at once: calls stay few.
_DEVICE_COLUMNS = 65_536


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
    if device.type == "cpu":
        total = torch.from_numpy(host.products(rows, other))
    else:
        if any(tensor.is_sparse for row in rows for tensor in row):
            raise InputError(host.SPARSE)
        total = torch.zeros(len(rows), len(rows if other is None else other), dtype=torch.float64, device=device)
        for column in range(len(rows[0])):
            _add_on_device(total, _flat(rows, column), None if other is None else _flat(other, column))
        if other is None:
            total = total.triu() + total.triu(1).T
    return over_all_ranks(total) if over_ranks else total


def combine(rows: Rows | Sequence[tuple[Tensor, ...]], weights: Array) -> Sequence[Tensor]:
    """Σ_i w_i rows_i in new tensors: autograd may hand out one tensor for two parameters."""
    if not rows[0]:
        return ()
    if (sums := host.combination(rows, weights)) is not None:
        return sums
    pairs = [(row, float(weight)) for row, weight in zip(rows, weights, strict=True)]
    (first, factor), *others = [pair for pair in pairs if pair[1]] or pairs[:1]
    total = torch._foreach_mul(first, factor)
    for row, weight in others:
        torch._foreach_add_(total, row, alpha=weight)
    return total


def over_all_ranks(total: Tensor) -> Tensor:
    """The Gramian of the mean loss from those of each rank's own columns: their sum over (number of ranks)²."""
    if ranks() > 1:
        dist.all_reduce(total)
        total /= ranks() ** 2
    return total


def _flat(rows: Rows, column: int) -> list[Tensor]:
    """The flattened gradients of one parameter."""
    return [row[column].reshape(-1) for row in rows]


def _add_on_device(total: Tensor, left: list[Tensor], right: list[Tensor] | None) -> None:
    """Add left rightᵀ by matrix products; with no ``right``, left leftᵀ, whose lower half need not be the mirror's."""
    for start in range(0, left[0].numel(), _DEVICE_COLUMNS):
        a = torch.stack([row[start : start + _DEVICE_COLUMNS] for row in left]).to(total)
        b = a if right is None else torch.stack([row[start : start + _DEVICE_COLUMNS] for row in right]).to(total)
        total.addmm_(a, b.T)


def to_host(*tensors: Tensor) -> list[Array]:
    """The tensors as float64 numpy arrays, in one copy from the device."""
    if all(tensor.device.type == "cpu" for tensor in tensors):
        return [np.array(tensor.detach().double().numpy()) for tensor in tensors]
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
