"""Lower bounds on the weights, as PE-LTR has them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from mtlbench.errors import InputError
from mtlbench.methods.method import Array, GramianMethod, number


class BoundedMethod(GramianMethod):
    """``lower``: the bounds c_i >= 0 with Σ c_i <= 1, one number for every task or a list with one per task."""

    def __init__(self, *, lower: float | Iterable[float] = 0.0, **common: Any) -> None:
        super().__init__(**common)
        several = isinstance(lower, Iterable) and not isinstance(lower, str)
        values: list[Any] = list(lower) if several else [lower]  # type: ignore[arg-type]
        for index, value in enumerate(values):
            number(self.name, f"lower[{index}]" if several else "lower", value)
        self.lower: list[float] | float = values if several else values[0]
        if any(values):
            self.promises = replace(self.promises, non_conflicting=False)
        if len(set(values)) != 1:
            # Bounds belong to places: they do not follow a task that changes its place.
            self.promises = replace(self.promises, permutation=False)

    def check_tasks(self, tasks: int) -> None:
        """Raise :class:`~mtlbench.errors.InputError` unless there is one bound per task and their sum is at most 1."""
        if isinstance(self.lower, list) and len(self.lower) != tasks:
            raise InputError(f"lower of {self.name}: {len(self.lower)} given for {tasks} tasks, one per task is needed")
        total = float(np.broadcast_to(self.lower, tasks).sum())
        if total > 1 + tasks * np.finfo(float).eps:
            raise InputError(f"lower of {self.name}: the bounds of {tasks} tasks sum to {total:g}, the weights to 1")

    def bounds(self) -> Array:
        """c of the tasks that were not dropped."""
        return np.broadcast_to(np.asarray(self.lower, dtype=np.float64), self.used.shape)[self.used]
