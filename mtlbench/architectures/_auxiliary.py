"""Further heads of a task, trained on its labels beside its own head and dropped at inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from mtlbench.tasks.dataset import Task


class Auxiliary(nn.Module):
    """``heads[t]`` are the further heads f_t^a of task t on what its own head sees:

        L_t ← own · L_t + weight · Σ_a loss_t(f_t^a(h_t) / temperature, y_t)

    Both belong to task t: every method sees K losses, and the gradient of each holds its auxiliary part.
    """

    def __init__(
        self, heads: Mapping[str, Sequence[nn.Module]], *, weight: float, own: float = 1.0, temperature: float = 1.0
    ) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({name: nn.ModuleList(group) for name, group in heads.items()})
        self.own, self.weight, self.temperature = own, weight, temperature

    def forward(self, seen: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The outputs of all further heads, over the temperature, under ``task/number``."""
        return {
            f"{name}/{number}": head(seen[name]) / self.temperature
            for name in self.heads
            for number, head in enumerate(self._of(name))
        }

    def added(self, loss: Tensor, task: Task, outputs: Mapping[str, Tensor], target: Tensor) -> Tensor:
        """The loss of ``task`` with those of its further heads."""
        others = [task.loss(outputs[f"{task.name}/{i}"], target) for i in range(len(self._of(task.name)))]
        return self.own * loss + self.weight * torch.stack(others).sum()

    def _of(self, name: str) -> nn.ModuleList:
        group = self.heads[name]
        assert isinstance(group, nn.ModuleList)
        return group
