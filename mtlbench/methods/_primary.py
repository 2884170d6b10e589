"""Methods that know one primary task; the others are auxiliary."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from mtlbench.errors import InputError
from mtlbench.methods.method import Array, GramianMethod, number


class PrimaryMethod(GramianMethod):
    """``primary``: the place of the primary task. Where its gradient is zero and dropped, all weights are 0."""

    def __init__(self, *, primary: int = 0, **common: Any) -> None:
        super().__init__(**common)
        self.primary = number(self.name, "primary", primary, integer=True)

    def check_tasks(self, tasks: int) -> None:
        """Raise :class:`~mtlbench.errors.InputError` unless the primary task is one of them."""
        if self.primary >= tasks:
            raise InputError(f"primary of {self.name} is {self.primary}, but the last of {tasks} tasks is {tasks - 1}")

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """The formula, with the primary task where dropping has left it."""
        if not self.used[self.primary]:
            return np.zeros(len(gramian))
        return self.protected(gramian, int(self.used[: self.primary].sum()))

    @abstractmethod
    def protected(self, gramian: Array, primary: int) -> Array:
        """The weights (K,) where task ``primary`` of the Gramian (K, K) leads."""


def unit(size: int, place: int) -> Array:
    """The unit vector e_place."""
    vector = np.zeros(size)
    vector[place] = 1.0
    return vector
