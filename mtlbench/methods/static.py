r"""Fixed weights, one per task, chosen by hand or by tuning.

.. math:: u = \sum_i w_i g_i, \qquad w_i \ge 0 \text{ constant}

The weights are used as given, not normalised; without any they are 1/K. See ``docs/mathematics.md``, section
1.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mtlbench.errors import InputError
from mtlbench.methods.method import Array, LossMethod, Promises, number
from mtlbench.search import Simplex, ranges


class Static(LossMethod):
    """A weighted sum of the losses with constant weights.

    ``weights``: one finite number of at least 0 per task, at least one of them positive, in the order of the
    losses. Raises :class:`~mtlbench.errors.InputError` for other values, and when their count is not that of
    the tasks.
    """

    name = "static"
    summary = "a weighted sum of the losses with constant weights"
    source = "baseline; tuned by grid search in Xin et al., NeurIPS 2022, arXiv 2209.11379"
    search = ranges(weights=Simplex())
    promises = Promises(
        # Fixed weights belong to fixed places: they do not follow a task that changes its place.
        non_conflicting=False,
        common_scale=0.0,
        task_scale="linear",
        permutation=False,
        unique="weights",
    )

    def __init__(self, *, weights: Iterable[float] | None = None, head_weights: str = "same") -> None:
        super().__init__(head_weights=head_weights)
        self._weights = None if weights is None else _checked(weights)

    def options(self) -> dict[str, object]:
        """The fixed weights (None: 1/K each) and what the heads receive."""
        # The option's name is taken by the call that every method has.
        return {
            "weights": None if self._weights is None else self._weights.tolist(),
            "head_weights": self.head_weights,
        }

    def check_tasks(self, tasks: int) -> None:
        """Raise :class:`~mtlbench.errors.InputError` unless there is one weight per task."""
        if self._weights is not None and len(self._weights) != tasks:
            raise InputError(f"weights of static: {len(self._weights)} given for {tasks} tasks, one per task is needed")

    def loss_weights(self, losses: Array) -> Array:
        """The constants."""
        return np.full(len(losses), 1 / len(losses)) if self._weights is None else self._weights.copy()


def _checked(weights: Iterable[float]) -> Array:
    if isinstance(weights, str) or not isinstance(weights, Iterable):
        raise InputError(f"weights of static must be a list with one number per task, got {weights!r}")
    values = [number("static", f"weights[{index}]", value) for index, value in enumerate(weights)]
    if not any(values):
        raise InputError(f"weights of static must have at least one positive entry, got {values}")
    return np.asarray(values, dtype=np.float64)
