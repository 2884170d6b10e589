"""What training lowers for the sake of a primary task, beside the losses of the tasks."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mtlbench.architectures.architecture import Network
from mtlbench.regularisers.regulariser import Pass, Regulariser
from mtlbench.tasks.dataset import Split, Task


@dataclass(frozen=True)
class Primary:
    """The primary ``task``, which is the first; its regularisers, and the level that its loss is flooded to."""

    task: Task
    regularisers: tuple[Regulariser, ...] = ()
    flooding: float | None = None

    def losses(self, model: Network, batch: Split, losses: list[Tensor]) -> list[Tensor]:
        """The losses of the tasks with the first one flooded, then those of the regularisers, of the loss as it was."""
        at = Pass(model, self.task, batch, losses[0])
        first = losses[0] if self.flooding is None else flooded(losses[0], self.flooding)
        return [first, *losses[1:], *(regulariser.loss(at) for regulariser in self.regularisers)]


def flooded(loss: Tensor, level: float) -> Tensor:
    """|L − b| + b: below the ``level`` b the gradient turns, and the loss comes back up.

    Source: T. Ishida, I. Yamane, T. Sakai, G. Niu, M. Sugiyama, "Do we need zero training loss after achieving zero
    training error?", ICML 2020, arXiv 2002.08709.
    """
    return (loss - level).abs() + level
