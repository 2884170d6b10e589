"""Small towers: beside its own head each task trains a small one on the same labels, which is dropped at inference.

    L_t ← L_t(f_t(h_t)) + γ L_t(f_t^a(h_t) / temperature)

f_t^a is linear, through a linear bottleneck if one is given. A large head can fit a task whatever the representation
looks like; a small one can not, and asks the representation to serve the task. Two controls tell that from the mere
number of heads and parameters:

    auxiliary: same_size      the further head is of the size of the task's own
    auxiliary: pseudo_tasks   ``heads`` further heads of that size, and the mean over all 1 + heads losses; no γ

Source: Y. Wang, Z. Zhao, B. Dai, C. Fifty, D. Lin, L. Hong, L. Wei, E. Chi, "Can Small Heads Help? Understanding and
Improving Multi-Task Generalization", WWW 2022 (arXiv 2008.05808); pseudo-tasks: E. Meyerson, R. Miikkulainen,
"Pseudo-task Augmentation", ICML 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from torch import Tensor, nn

from mtlbench import architectures
from mtlbench.architectures._auxiliary import Auxiliary
from mtlbench.architectures._parts import Parts
from mtlbench.architectures.architecture import Architecture, Network, Sharing
from mtlbench.architectures.hard_sharing import HardSharingArchitecture
from mtlbench.architectures.heads import linear
from mtlbench.entries import named
from mtlbench.errors import InputError
from mtlbench.options import Count, NonNegative, Positive

if TYPE_CHECKING:
    from mtlbench.tasks.dataset import MultiTaskDataset, Task

WRAPPED = ("hard_sharing", "mmoe")


def _read(entry: Any) -> Sharing:
    """The wrapped architecture of an entry of the file: ``mmoe`` or ``{mmoe: {experts: 8}}``."""
    if isinstance(entry, Sharing):
        return entry
    name, parameters = named(entry, "an architecture").values()
    if name in architectures.names() and name not in WRAPPED:
        raise InputError(
            f"small_towers cannot wrap {name}: a small head helps the other tasks through a representation made of "
            f"shared parameters alone, and {name} gives tasks parameters of their own below their heads; wrap "
            f"{' or '.join(WRAPPED)}"
        )
    found = architectures.get(name, **parameters)
    assert isinstance(found, Sharing)
    return found


class SmallTowers(Architecture):
    """Further small heads on the same labels, dropped at inference, around hard_sharing or mmoe."""

    base: Annotated[Sharing, BeforeValidator(_read)] = Field(default_factory=HardSharingArchitecture)
    gamma: NonNegative = 1.0
    bottleneck: Count | None = None
    temperature: Positive = 1.0
    auxiliary: Literal["small", "same_size", "pseudo_tasks"] = "small"
    heads: Count = 1

    @model_validator(mode="after")
    def _fitting(self) -> SmallTowers:
        idle = {
            "small": {"heads"},
            "same_size": {"heads", "bottleneck"},
            "pseudo_tasks": {"gamma", "bottleneck", "temperature"},
        }[self.auxiliary]
        for name in sorted(idle & self.model_fields_set):
            raise InputError(f"{name} of small_towers has no meaning with auxiliary: {self.auxiliary}: leave it out")
        return self

    def build(self, dataset: MultiTaskDataset, tasks: Sequence[Task], inputs: Tensor | None = None) -> Network:
        network = self.base.build(dataset, tasks, inputs)
        parts = Parts(dataset, inputs, self.base.encoder, self.base.head)
        further = {task.name: [self._head(parts, task) for _ in range(self.heads)] for task in tasks}
        if self.auxiliary == "pseudo_tasks":
            share = 1 / (1 + self.heads)
            network.auxiliary = Auxiliary(further, weight=share, own=share)
        else:
            network.auxiliary = Auxiliary(further, weight=self.gamma, temperature=self.temperature)
        return network

    def _head(self, parts: Parts, task: Task) -> nn.Module:
        if self.auxiliary != "small":
            return parts.head(task)
        if self.bottleneck is None:
            return linear(parts.features, task.outputs)
        narrow = (self.bottleneck, *parts.features[1:])
        return nn.Sequential(linear(parts.features, self.bottleneck), linear(narrow, task.outputs))
