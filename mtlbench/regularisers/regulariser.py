"""The contract of a regulariser: a scalar of one forward pass that training lowers beside the losses of the tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from mtlbench.architectures.architecture import Network
from mtlbench.options import Options, Positive
from mtlbench.tasks.dataset import Split, Task


class Pass(NamedTuple):
    """A batch that went through ``model``; ``loss`` is the training loss of the primary ``task``, with its graph."""

    model: Network
    task: Task
    batch: Split
    loss: Tensor


class Regulariser(Options, ABC):
    """The base of all regularisers; ``scale`` times the penalty is the objective.

    The scale sets the strength where a method adds losses up. A method that no rescaling of an auxiliary task changes,
    such as ``primary_auxiliary``, does not see it.
    """

    scale: Positive = 1.0

    def check(self, dataset: str, inputs: Tensor) -> None:
        """Raise :class:`~mtlbench.errors.InputError` where it makes no sense for the ``inputs`` of ``dataset``."""
        return

    @abstractmethod
    def penalty(self, at: Pass) -> Tensor:
        """The penalty, a differentiable scalar; running statistics of the model do not see its own passes."""

    def loss(self, at: Pass) -> Tensor:
        """The objective."""
        return self.scale * self.penalty(at)


def parameters(model: Network) -> Mapping[str, Tensor]:
    """The parameters that are trained, by name."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}
