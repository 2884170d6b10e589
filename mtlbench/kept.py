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


class Memory:
    """The memory of ``method`` in one step: a place that this step does not take up is let go with it.

    It lives as long as the method.
    """

    def __init__(self, method: Method) -> None:
        self.before = _kept.pop(method, {})
        self.now: dict[tuple[int, int], tuple[Tensor, ...]] = {}
        _kept[method] = self.now

    def keep(self, row: tuple[Tensor, ...], place: tuple[int, int]) -> tuple[Tensor, ...]:
        """A copy of ``row``, overwritten by the next step at the same ``place`` (batch, task).

        The row itself where it is small or lies on a device, whose allocator keeps what is let go.
        """
        memory = self.before.pop(place, ())
        if sum([tensor.numel() * tensor.element_size() for tensor in row]) < _LARGE:
            return row
        if not all(tensor.is_cpu and not tensor.is_sparse for tensor in row):
            return row
        if [(t.shape, t.dtype) for t in memory] != [(t.shape, t.dtype) for t in row]:
            memory = tuple(torch.empty_like(tensor) for tensor in row)
        torch._foreach_copy_(memory, row)
        self.now[place] = memory
        return memory
