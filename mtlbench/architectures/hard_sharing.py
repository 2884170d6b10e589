"""Hard parameter sharing: one encoder for every task, one head per task.

    representation = encoder(x),   output_t = head_t(representation)

Source: R. Caruana, "Multitask Learning", Machine Learning 28, 1997.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from mtlbench.tasks.dataset import MultiTaskDataset, Task


class HardSharing(nn.Module):
    """``model(inputs) -> (outputs, representation)``.

    ``inputs`` is a batch as the dataset's encoder wants it; ``outputs`` maps each task to its head's raw
    output ``(batch, ...)``, and ``representation`` is the encoder's output ``(batch, features)``.
    """

    def __init__(self, encoder: nn.Module, heads: dict[str, nn.Module]) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict(heads)

    def forward(self, inputs: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        representation = self.encoder(inputs)
        return {name: head(representation) for name, head in self.heads.items()}, representation


def build(dataset: MultiTaskDataset, tasks: Sequence[Task]) -> HardSharing:
    """One encoder shared by every task, one head per task.

    ``tasks`` are the tasks of ``dataset`` that get a head; with one of them it is the network of single-task
    training.
    """
    return HardSharing(dataset.encoder(), {task.name: dataset.head(task) for task in tasks})
