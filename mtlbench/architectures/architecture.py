"""The contract of an architecture: a network in which every task has its own head, and what it is made from.

    h_t, z = represent(x),    output_t = head_t(h_t),    L_t = loss_t(output_t, y_t) [+ auxiliary losses]

h_t is what the head of task t sees. z is what the tasks share as activations, for methods that compare them there:
every loss reaches each tensor of z, none of them is made from another, and no parameter below z is reached around it.
So a backward pass from Σ_i w_i ∂L_i/∂z gives every parameter below z its weighted sum of task gradients, and what one
task has for itself lies beside z or above it. Which parameters are shared is never declared: it is read from the graph.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import BeforeValidator
from torch import Tensor, nn

from mtlbench.architectures import encoders, heads
from mtlbench.architectures._auxiliary import Auxiliary
from mtlbench.architectures._parts import Parts
from mtlbench.architectures.encoders.encoder import Encoder
from mtlbench.architectures.heads import Head
from mtlbench.options import Count, Options

if TYPE_CHECKING:
    from mtlbench.tasks.dataset import MultiTaskDataset, Task

__all__ = ["Architecture", "Count", "Network", "Parts", "Representation", "Sharing"]

Representation = Tensor | tuple[Tensor, ...] | None


class Network(nn.Module):
    """``model(inputs) -> (outputs, representation)``.

    ``inputs`` is a batch as the dataset's encoder wants it; ``outputs`` maps each task, in the order of ``heads``, to
    its head's raw output ``(batch, ...)``; in training the outputs of auxiliary heads may stand beside them.
    ``representation`` is z of this module's docstring, None where there is none.
    """

    def __init__(self, heads: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(heads)
        self.auxiliary: Auxiliary | None = None

    def represent(self, inputs: Tensor) -> tuple[dict[str, Tensor], Representation]:
        """What each task's head sees, and z."""
        raise NotImplementedError

    def forward(self, inputs: Tensor) -> tuple[dict[str, Tensor], Representation]:
        seen, representation = self.represent(inputs)
        outputs = {name: head(seen[name]) for name, head in self.heads.items()}
        if self.training and self.auxiliary is not None:
            outputs |= self.auxiliary(seen)
        return outputs, representation

    def loss(self, task: Task, outputs: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """What training lowers for ``task``; evaluation looks at the task's own loss alone."""
        loss = task.loss(outputs[task.name], target)
        return loss if self.auxiliary is None else self.auxiliary.added(loss, task, outputs, target)


class Architecture(Options, ABC):
    """The base of all architectures; ``one_representation`` is False where the network has no z."""

    one_representation: ClassVar[bool] = True

    @abstractmethod
    def build(self, dataset: MultiTaskDataset, tasks: Sequence[Task], inputs: Tensor | None = None) -> Network:
        """A new network for ``tasks``, which are tasks of ``dataset``; with one of them, that of single-task training.

        ``inputs``: a sample of the inputs (1, ...), needed where widths follow from it. Standard layers only, or such
        that have ``reset_parameters``: training gives each its initial weights. Raises
        :class:`~mtlbench.errors.InputError` where the parts do not fit the dataset.
        """


class Sharing(Architecture):
    """An architecture that is put together from encoders and heads: the dataset's own, or those of the file.

    ``encoder`` and ``head``: a name, or a name with its parameters. With an encoder of the file heads are ``linear``
    unless ``head`` says otherwise.
    """

    encoder: Annotated[Encoder | None, BeforeValidator(encoders.read)] = None
    head: Annotated[Head | None, BeforeValidator(heads.read)] = None

    def build(self, dataset: MultiTaskDataset, tasks: Sequence[Task], inputs: Tensor | None = None) -> Network:
        return self.network(Parts(dataset, inputs, self.encoder, self.head), tasks)

    @abstractmethod
    def network(self, parts: Parts, tasks: Sequence[Task]) -> Network:
        """The network from its parts."""
