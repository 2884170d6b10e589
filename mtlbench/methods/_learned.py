"""Weights that a method learns: one number per task, stepped with Adam inside the method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mtlbench.methods.method import Array, LossMethod, Method, number

if TYPE_CHECKING:
    import torch


class Learning(Method):
    """A method that learns a vector x (K,) with Adam, in float64 on the host; derive from it and from a base class.

    x starts at ``start`` and exists from the first step on, when K is known; ``vector`` reads it, ``learn``
    moves it against a gradient, ``put`` replaces it. The state ``learned`` holds x and Adam's moments.
    ``adam_epsilon`` is Adam's, in the unit of the gradient.
    """

    adam_epsilon: ClassVar[float] = 1e-8
    state: ClassVar[tuple[str, ...]] = ("learned",)

    def __init__(self, *, learning_rate: float, weight_decay: float = 0.0, **common: Any) -> None:
        super().__init__(**common)
        self.learning_rate = number(self.name, "learning_rate", learning_rate)
        self.weight_decay = number(self.name, "weight_decay", weight_decay)
        self._adam: torch.optim.Adam | None = None

    def vector(self, tasks: int, start: float = 0.0) -> Array:
        """A copy of x; every entry is ``start`` at the first call."""
        if self._adam is None:
            self._begin(np.full(tasks, start))
        return self._parameter().numpy().copy()

    def learn(self, gradient: Array) -> None:
        """One step of Adam."""
        assert self._adam is not None
        self._parameter().grad = _tensor(gradient)
        self._adam.step()

    def put(self, values: Array) -> None:
        """Go on from ``values``."""
        self._parameter().copy_(_tensor(values))

    @property
    def learned(self) -> dict[str, Any]:
        """x and Adam's state; empty before the first step."""
        if self._adam is None:
            return {}
        return {"vector": self._parameter().numpy(), "adam": self._adam.state_dict()}

    @learned.setter
    def learned(self, state: dict[str, Any]) -> None:
        self._adam = None
        if state:
            self._begin(state["vector"]).load_state_dict(state["adam"])

    def _begin(self, start: Array) -> torch.optim.Adam:
        import torch

        self._adam = torch.optim.Adam(
            [_tensor(start)], lr=self.learning_rate, weight_decay=self.weight_decay, eps=self.adam_epsilon
        )
        return self._adam

    def _parameter(self) -> torch.Tensor:
        assert self._adam is not None
        parameter: torch.Tensor = self._adam.param_groups[0]["params"][0]
        return parameter


class LearningMethod(Learning, LossMethod):
    """A loss method that learns."""


def _tensor(values: Array) -> torch.Tensor:
    import torch

    return torch.tensor(values, dtype=torch.float64)
