"""CGC: experts of each task beside experts that all tasks share; each task's gate mixes its own and the shared ones.

    h_t = Σ_j softmax(W_t x)_j e_j(x)  over the experts e_j of task t and the shared ones

It is PLE with one level. Experts, gate and head of a task receive the gradient of its loss alone.

Source: H. Tang, J. Liu, M. Zhao, X. Gong, "Progressive Layered Extraction (PLE): A Novel Multi-Task Learning Model for
Personalized Recommendations", RecSys 2020, section 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence

from mtlbench.architectures._experts import Experts
from mtlbench.architectures._extraction import ExtractionNetwork, extraction
from mtlbench.architectures._parts import Parts
from mtlbench.options import Count
from mtlbench.tasks.dataset import Task


class CGC(Experts):
    """Customized gate control: ``private`` experts of each task beside ``shared`` ones of all."""

    private: Count = 2
    shared: Count = 2

    def network(self, parts: Parts, tasks: Sequence[Task]) -> ExtractionNetwork:
        level = extraction(self.expert(parts), self.gate(parts), tasks, self.private, self.shared, last=True)
        return ExtractionNetwork(
            parts.encoder() if self.trunk else None, [level], {task.name: parts.head(task) for task in tasks}
        )
