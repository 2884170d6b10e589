r"""CR-MOGM: any method, with its weights averaged over the steps.

.. math:: \bar w_k = \alpha \bar w_{k-1} + (1 - \alpha)\, w_k, \qquad \bar w_1 = w_1

A method that computes w from the batch that it then combines has weights and gradients that depend on each other,
which biases u; weights that are mostly of earlier batches hardly do (Zhou et al., NeurIPS 2022). The average
begins with the first weights: not every method's are of the simplex, so a uniform start would have another unit.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mtlbench.errors import InputError
from mtlbench.methods.method import COUNTERS, Array, Method, number

if TYPE_CHECKING:
    import torch

    from mtlbench.methods.method import Rows

_DECLARED = ("name", "summary", "source", "needs", "level", "batches", "zero_task", "random", "search")


class Smoothed(Method):
    """``method`` with averaged weights; everything else is the method's own, its state included.

    The averages are no solution of the method's inner problem, so there is none to certify, and they keep no
    promise about conflicts. ``solution`` remains that of the method itself.
    """

    def __init__(self, method: Method, decay: float) -> None:
        for declared in _DECLARED:
            setattr(self, declared, getattr(method, declared))
        super().__init__(head_weights=method.head_weights)
        self.decay = number(f"smooth({method.name})", "decay", decay)
        if decay >= 1:
            raise InputError(f"decay of smooth({method.name}) must be below 1, got {decay!r}")
        # Directions of the same kind but of lengths that answer to the scales do not average to one of that kind.
        law = "none" if method.promises.task_scale == "direction" else method.promises.task_scale
        self.promises = replace(method.promises, non_conflicting=False, task_scale=law)
        self.method = method
        self.average: Array | None = None

    def rows(self, jacobian: Rows, losses: torch.Tensor) -> Rows:
        """The method's rows."""
        return self.method.rows(jacobian, losses)

    def weights(self, *, gramian: Any = None, losses: Any = None) -> Array:
        """The average of the method's weights up to this step."""
        weights = self.method.weights(gramian=gramian, losses=losses)
        if self.average is not None and len(self.average) != len(weights):
            raise InputError(f"{self.name} has averaged the weights of {len(self.average)} tasks, got {len(weights)}")
        self.average = weights if self.average is None else self.decay * self.average + (1 - self.decay) * weights
        self.solution = self.method.solution
        self._count()
        return np.array(self.average)

    def observe(self, losses: Any) -> None:
        """The method's own."""
        self.method.observe(losses)

    def cost(self, tasks: int) -> int:
        """The method's own."""
        return self.method.cost(tasks)

    def check_tasks(self, tasks: int) -> None:
        """The method's own."""
        self.method.check_tasks(tasks)

    def options(self) -> dict[str, Any]:
        """The method's options, and ``smooth``, the decay of the average."""
        return self.method.options() | {"smooth": self.decay}

    def state_dict(self) -> dict[str, Any]:
        """The method's state and, as ``smoothed``, the average."""
        return self.method.state_dict() | {"smoothed": None if self.average is None else self.average.copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state``."""
        if "smoothed" not in state:
            raise InputError(f"{self.name}: the state holds {sorted(state)}, but no smoothed weights")
        self.method.load_state_dict({name: value for name, value in state.items() if name != "smoothed"})
        self.average = None if state["smoothed"] is None else np.array(state["smoothed"])
        self._count()

    def _count(self) -> None:
        for counter in COUNTERS:
            setattr(self, counter, getattr(self.method, counter))
