"""Cross-stitch: one encoder per task, and after every stage of them a unit that mixes their activations linearly.

    x̃_t = Σ_s α_ts x_s

α is learned, one number for each pair of tasks and stage; it starts at ``same`` on the diagonal and at
(1 − same)/(K − 1) beside it, so that rows sum to one. A stage is a layer with parameters and what follows it without;
normalisation belongs to the layer before it. An encoder that is no sequence of layers is one stage.

Source: I. Misra, A. Shrivastava, A. Gupta, M. Hebert, "Cross-stitch Networks for Multi-task Learning", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from mtlbench.architectures._parts import Parts
from mtlbench.architectures.architecture import Network, Sharing
from mtlbench.tasks.dataset import Task


class Stitch(nn.Module):
    """x̃_t = Σ_s α_ts x_s for the activations of ``tasks`` tasks."""

    def __init__(self, tasks: int, same: float) -> None:
        super().__init__()
        self.same = same
        self.alpha = nn.Parameter(torch.empty(tasks, tasks))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """The start: nothing is drawn."""
        count = len(self.alpha)
        with torch.no_grad():
            self.alpha.fill_((1 - self.same) / (count - 1)).fill_diagonal_(self.same)

    def forward(self, activations: Sequence[Tensor]) -> list[Tensor]:
        stacked = torch.stack(tuple(activations))
        return [torch.tensordot(row, stacked, dims=1) for row in self.alpha]


class CrossStitch(Network):
    """The representation is the activations of all tasks before the last unit, which every task reaches."""

    def __init__(self, encoders: dict[str, list[nn.Module]], units: Sequence[Stitch], heads: dict[str, nn.Module]):
        super().__init__(heads)
        self.encoders = nn.ModuleDict({name: nn.ModuleList(stages) for name, stages in encoders.items()})
        self.units = nn.ModuleList(units)

    def represent(self, inputs: Tensor) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        stages = list(zip(*self.encoders.values(), strict=True))
        mixed: Sequence[Tensor] = [inputs] * len(self.heads)
        for number, stage in enumerate(stages):
            activations = tuple(part(x) for part, x in zip(stage, mixed, strict=True))
            mixed = self.units[number](activations) if len(self.units) else activations
        return dict(zip(self.heads, mixed, strict=True)), activations


class CrossStitchArchitecture(Sharing):
    """An encoder per task, their activations mixed by learned numbers after every stage."""

    same: Annotated[float, Field(ge=0, le=1)] = 0.9

    def network(self, parts: Parts, tasks: Sequence[Task]) -> CrossStitch:
        encoders = {task.name: stages(parts.encoder()) for task in tasks}
        count = len(encoders[tasks[0].name])
        units = [Stitch(len(tasks), self.same) for _ in range(count)] if len(tasks) > 1 else []
        return CrossStitch(encoders, units, {task.name: parts.head(task) for task in tasks})


def stages(encoder: nn.Module) -> list[nn.Module]:
    """The encoder cut before every layer with parameters, the first and normalisation apart."""
    if not isinstance(encoder, nn.Sequential):
        return [encoder]
    found: list[list[nn.Module]] = [[]]
    begun = False
    for layer in encoder:
        if any(True for _ in layer.parameters()) and not isinstance(layer, _NormBase):
            if begun:
                found.append([])
            begun = True
        found[-1].append(layer)
    return [nn.Sequential(*layers) for layers in found]
