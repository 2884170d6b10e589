"""Memory for the gradients of K tasks that stays with a method from one step to the next, on the host.

The gradients of all tasks lie side by side until the weights are known, and are let go together: the C library then
hands their pages back to the system, and the next step has to fetch them again one by one, which for large gradients
takes longer than copying them. So each is copied into memory that stays, and autograd's own, small and warm, serves
the next task.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from mtlbench.methods.method import Method

# Below, copying costs as much as it saves: what is let go there mostly stays with the process.
_LARGE = 1 << 20

_kept: WeakKeyDictionary[Method, dict[tuple[int, int], tuple[Tensor, ...]]] = WeakKeyDictionary()


def keep(row: tuple[Tensor, ...], method: Method, place: tuple[int, int]) -> tuple[Tensor, ...]:
    """A copy of ``row``, overwritten by the next call for the same ``place`` (batch, task) of ``method``.

    The row itself where it is small or lies on a device, whose allocator keeps what is let go. The memory lives as
    long as the method.
    """
    if sum([tensor.numel() * tensor.element_size() for tensor in row]) < _LARGE:
        return row
    if not all(tensor.is_cpu and not tensor.is_sparse for tensor in row):
        return row
    places = _kept.setdefault(method, {})
    before = places.get(place, ())
    if [(t.shape, t.dtype) for t in before] == [(t.shape, t.dtype) for t in row]:
        torch._foreach_copy_(before, row)
    else:
        places[place] = before = tuple(tensor.clone() for tensor in row)
    return before
