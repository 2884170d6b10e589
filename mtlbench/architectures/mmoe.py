"""MMoE: experts that all tasks share, and for each task a gate that mixes them for every sample.

    h_t = Σ_j softmax(W_t x)_j e_j(x),    output_t = head_t(h_t)

Gates and heads belong to their tasks, experts to all of them.

Source: J. Ma, Z. Zhao, X. Yi, J. Chen, L. Hong, E. Chi, "Modeling Task Relationships in Multi-task Learning with
Multi-gate Mixture-of-Experts", KDD 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from mtlbench.architectures._experts import Experts, Gate, mix
from mtlbench.architectures._parts import Parts
from mtlbench.architectures.architecture import Network
from mtlbench.options import Count
from mtlbench.tasks.dataset import Task


class MixtureNetwork(Network):
    """The representation is the experts' outputs, before any gate; with a trunk it is what the trunk gives."""

    def __init__(
        self, trunk: nn.Module | None, experts: Sequence[nn.Module], gates: dict[str, Gate], heads: dict[str, nn.Module]
    ) -> None:
        super().__init__(heads)
        self.encoder = trunk
        self.experts = nn.ModuleList(experts)
        self.gates = nn.ModuleDict(gates)

    def represent(self, inputs: Tensor) -> tuple[dict[str, Tensor], Tensor | tuple[Tensor, ...]]:
        below = inputs if self.encoder is None else self.encoder(inputs)
        found = tuple(expert(below) for expert in self.experts)
        seen = {name: mix(gate(below), found) for name, gate in self.gates.items()}
        return seen, found if self.encoder is None else below


class MMoE(Experts):
    """Multi-gate mixture of experts: ``experts`` shared by all tasks, mixed by a gate of each task."""

    experts: Count = 4

    def network(self, parts: Parts, tasks: Sequence[Task]) -> MixtureNetwork:
        expert, gate = self.expert(parts), self.gate(parts)
        return MixtureNetwork(
            parts.encoder() if self.trunk else None,
            [expert() for _ in range(self.experts)],
            {task.name: gate(self.experts) for task in tasks},
            {task.name: parts.head(task) for task in tasks},
        )
