"""PLE: levels of CGC one above the other; below the last, a shared gate over all experts feeds the next shared ones.

    h_t^l = Σ_j softmax(W_t^l h_t^{l−1})_j e_j^l    over the experts of task t, which see h_t^{l−1}, and the shared ones
    h_s^l = Σ_j softmax(W_s^l h_s^{l−1})_j e_j^l    over all experts of level l; shared ones see h_s^{l−1}
    h^0 = x,    output_t = head_t(h_t^L)

Experts of the first level are encoders, those above it full layers with ReLU. Through the shared gates every task
reaches all experts below the last level: what the paper calls a task's own experts are its own on the last level alone,
as the graph says.

Source: H. Tang, J. Liu, M. Zhao, X. Gong, "Progressive Layered Extraction (PLE)", RecSys 2020, section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence

from mtlbench.architectures._experts import Experts, gate, layer
from mtlbench.architectures._extraction import ExtractionNetwork, extraction
from mtlbench.architectures._parts import Parts
from mtlbench.options import Count
from mtlbench.tasks.dataset import Task


class PLE(Experts):
    """Progressive layered extraction: ``levels`` of ``private`` experts of each task beside ``shared`` ones of all."""

    private: Count = 2
    shared: Count = 2
    levels: Count = 2

    def network(self, parts: Parts, tasks: Sequence[Task]) -> ExtractionNetwork:
        kinds = [(self.expert(parts), self.gate(parts)), *[(layer(parts), gate(parts))] * (self.levels - 1)]
        levels = [
            extraction(*kind, tasks, self.private, self.shared, last=number == self.levels)
            for number, kind in enumerate(kinds, 1)
        ]
        return ExtractionNetwork(
            parts.encoder() if self.trunk else None, levels, {task.name: parts.head(task) for task in tasks}
        )
