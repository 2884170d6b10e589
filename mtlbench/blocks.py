"""The Gramian with little memory: the gradients' coordinates are visited in blocks, never all K gradients at once.

    G = Σ_b J_b J_bᵀ,    J = (J_1, ..., J_B) cut into blocks of columns

A block's K rows take as many numbers as one gradient when there are K blocks. Each costs K backward passes, which end
where the block's parameters lie: blocks near the losses are cheap. Nothing is approximated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from mtlbench.gramian import averaged, over_all_ranks, product
from mtlbench.graph import Losses, gradient


class Piece(NamedTuple):
    """The coordinates from ``first`` to before ``last`` of a flattened tensor."""

    tensor: Tensor
    first: int
    last: int


def blocks(tensors: Sequence[Tensor], count: int) -> list[list[Piece]]:
    """The coordinates of ``tensors``, one after another, in at most ``count`` blocks of one size (the last smaller)."""
    size = -(-sum(tensor.numel() for tensor in tensors) // count)
    found: list[list[Piece]] = []
    room = 0
    for tensor in tensors:
        first = 0
        while first < tensor.numel():
            if not room:
                found.append([])
                room = size
            last = min(first + room, tensor.numel())
            found[-1].append(Piece(tensor, first, last))
            room -= last - first
            first = last
    return found


def product_by_blocks(
    batches: Sequence[Losses], tensors: Sequence[Tensor], scale: Tensor, *, over_ranks: bool = False
) -> Tensor:
    """The product of the gradients by ``tensors``, J Jᵀ or J₁ J₂ᵀ of two ``batches``, as a tensor on their device.

    ``scale`` multiplies every gradient. ``over_ranks``: the tensors hold each rank's own samples; otherwise gradients
    are averaged over the ranks. The graph is kept.
    """
    count = len(batches) * len(batches[0].roots)
    parts = []
    for block in blocks(tensors, count):
        rows = [tuple(_row(root, block, scale, over_ranks) for root in batch.roots) for batch in batches]
        parts.append(product(*rows))
        del rows
    # Once, at the end: ranks with different batches may have cut their representations into fewer or more blocks.
    total = torch.stack(parts).sum(dim=0)
    return over_all_ranks(total) if over_ranks else total


def _row(root: Tensor | GradientEdge, block: Sequence[Piece], scale: Tensor, over_ranks: bool) -> tuple[Tensor, ...]:
    """One task's gradient by the coordinates of ``block``; a tensor that lies in several is let go of at once."""
    found = gradient(root, [piece.tensor for piece in block], scale, retain_graph=True)
    cut = tuple(
        whole if whole.is_sparse or last - first == whole.numel() else whole.reshape(-1)[first:last].clone()
        for whole, (_, first, last) in zip(found, block, strict=True)
    )
    return cut if over_ranks else averaged(cut)
