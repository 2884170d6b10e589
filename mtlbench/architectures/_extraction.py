"""One level of CGC, and the network that stacks such levels: PLE."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain

from torch import Tensor, nn

from mtlbench.architectures._experts import Gate, mix
from mtlbench.architectures.architecture import Network
from mtlbench.tasks.dataset import Task


class Extraction(nn.Module):
    """``private[t]``, the experts of task t, and ``shared`` ones, mixed by ``gates[t]``; ``shared_gate`` mixes all."""

    def __init__(
        self,
        private: Mapping[str, Sequence[nn.Module]],
        shared: Sequence[nn.Module],
        gates: Mapping[str, Gate],
        shared_gate: Gate | None,
    ) -> None:
        super().__init__()
        self.private = nn.ModuleDict({name: nn.ModuleList(experts) for name, experts in private.items()})
        self.shared = nn.ModuleList(shared)
        self.gates = nn.ModuleDict(gates)
        self.shared_gate = shared_gate

    def forward(
        self, seen: Mapping[str, Tensor], common: Tensor
    ) -> tuple[dict[str, Tensor], Tensor, tuple[Tensor, ...]]:
        """From h_t and h_s of the level below those of this level, and the outputs of the experts that all tasks reach.

        On the last level, without a shared gate, these are the shared experts, and h_s stays as it was.
        """
        shared = [expert(common) for expert in self.shared]
        own = {
            name: [expert(seen[name]) for expert in experts]  # type: ignore[attr-defined]
            for name, experts in self.private.items()
        }
        mixed = {name: mix(gate(seen[name]), own[name] + shared) for name, gate in self.gates.items()}
        if self.shared_gate is None:
            return mixed, common, tuple(shared)
        every = (*chain.from_iterable(own.values()), *shared)
        return mixed, mix(self.shared_gate(common), every), every


class ExtractionNetwork(Network):
    """The representation is what :class:`Extraction` says of the first level; with a trunk it is what the trunk gives.

    Above it lie shared experts as well, where there are several levels: a method at level "representation" weights
    their K gradients, all at hand, like those of the representation.
    """

    def __init__(self, trunk: nn.Module | None, levels: Sequence[Extraction], heads: dict[str, nn.Module]) -> None:
        super().__init__(heads)
        self.encoder = trunk
        self.levels = nn.ModuleList(levels)

    def represent(self, inputs: Tensor) -> tuple[dict[str, Tensor], Tensor | tuple[Tensor, ...]]:
        common = below = inputs if self.encoder is None else self.encoder(inputs)
        seen = dict.fromkeys(self.heads, below)
        reached = []
        for level in self.levels:
            seen, common, experts = level(seen, common)
            reached.append(experts)
        return seen, reached[0] if self.encoder is None else below


def extraction(
    expert: Callable[[], nn.Module],
    gate: Callable[[int], Gate],
    tasks: Sequence[Task],
    private: int,
    shared: int,
    *,
    last: bool,
) -> Extraction:
    """A new level with ``private`` experts of each task and ``shared`` ones of all."""
    return Extraction(
        {task.name: [expert() for _ in range(private)] for task in tasks},
        [expert() for _ in range(shared)],
        {task.name: gate(private + shared) for task in tasks},
        None if last else gate(private * len(tasks) + shared),
    )
