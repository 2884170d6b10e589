"""What methods with a memory share: a point of the simplex that moves on, and averages of the tasks' gradients."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mtlbench.errors import InputError
from mtlbench.methods.method import Array, GramianMethod

if TYPE_CHECKING:
    from mtlbench.methods.method import Rows


class SimplexMemory(GramianMethod):
    """Weights in the simplex that each step moves from where the last one left them; uniform at the start.

    A task that sits out, its gradient being zero, keeps its share for later; the others move among themselves,
    as if they had all of it, and go on with what they had together.
    """

    state: ClassVar[tuple[str, ...]] = ("point",)
    point: Array | None = None

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """The weights after one step of the tasks in use."""
        used = self.used
        if self.point is None:
            self.point = np.full(len(used), 1 / len(used))
        elif len(self.point) != len(used):
            raise InputError(f"{self.name} remembers the weights of {len(self.point)} tasks, got {len(used)}")
        own = self.point[used]
        share = own.sum()
        moved = self.move(own / share if share > 0 else np.full(len(own), 1 / len(own)), gramian)
        self.point[used] = share * moved
        return moved

    @abstractmethod
    def move(self, point: Array, gramian: Array) -> Array:
        """The formula: the next point of the simplex."""


def average(method: str, memory: Rows | None, rows: Rows, rate: float) -> Rows:
    """``memory`` + rate (rows − memory), in place; a memory that is not there yet is zero.

    It goes to the device of the rows, for a checkpoint is read on the host.
    """
    import torch

    with torch.no_grad():
        memory = like(method, memory, rows)
        for kept, row in zip(memory, rows, strict=True):
            torch._foreach_lerp_(list(kept), list(row), rate)
    return memory


def like(method: str, memory: Rows | None, rows: Rows) -> Rows:
    """``memory`` on the device of the rows, or zeros; :class:`~mtlbench.errors.InputError` if it is of other rows."""
    import torch

    if memory is None:
        return tuple(tuple(torch.zeros_like(tensor) for tensor in row) for row in rows)
    if [[tensor.shape for tensor in row] for row in memory] != [[tensor.shape for tensor in row] for row in rows]:
        raise InputError(f"{method} remembers gradients of other tasks or parameters: use a new one")
    return tuple(
        tuple(kept.to(tensor.device) for kept, tensor in zip(own, row, strict=True))
        for own, row in zip(memory, rows, strict=True)
    )
