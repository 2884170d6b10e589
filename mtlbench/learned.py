"""A few numbers that a method learns beside the network, one per task, stepped by an optimizer of torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

    from mtlbench.methods.method import Array

OPTIMIZERS = ("adam", "sgd")


class Learned:
    """``values`` (K,), float64 on the host; None until :meth:`begin` is told how many there are.

    ``kind``: one of :data:`OPTIMIZERS`. ``epsilon`` is Adam's, in the unit of the gradient.
    """

    def __init__(self, kind: str, learning_rate: float, epsilon: float = 1e-8) -> None:
        self.kind, self.learning_rate, self.epsilon = kind, learning_rate, epsilon
        self.values: Array | None = None
        self._optimizer: torch.optim.Optimizer | None = None

    def begin(self, values: Array) -> Array:
        """The present values, which are ``values`` if there were none before."""
        if self.values is None:
            self._take(np.array(values, dtype=np.float64))
        assert self.values is not None
        return self.values.copy()

    def step(self, gradient: Array) -> None:
        """One step of the optimizer down ``gradient`` (K,)."""
        import torch

        assert self._optimizer is not None, "begin() comes first"
        (parameter,) = self._optimizer.param_groups[0]["params"]
        parameter.grad = torch.from_numpy(gradient)
        self._optimizer.step()

    def state_dict(self) -> dict[str, Any]:
        """The values and what the optimizer remembers; ``None`` before the first step."""
        optimizer = None if self._optimizer is None else self._optimizer.state_dict()
        return {"values": self.values, "optimizer": optimizer}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        self.values = self._optimizer = None
        if state["values"] is not None:
            self._take(np.array(state["values"]))
            assert self._optimizer is not None
            self._optimizer.load_state_dict(state["optimizer"])

    def _take(self, values: Array) -> None:
        """Make ``values`` the numbers that the optimizer steps: array and parameter share their memory."""
        import torch

        self.values = values
        parameter = torch.nn.Parameter(torch.from_numpy(values))
        self._optimizer = (
            torch.optim.Adam([parameter], lr=self.learning_rate, eps=self.epsilon, foreach=False)
            if self.kind == "adam"
            else torch.optim.SGD([parameter], lr=self.learning_rate, foreach=False)
        )
