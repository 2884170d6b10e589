r"""PCGrad, projecting conflicting gradients: each task's gradient is freed of its conflicts, one after another.

For each task i start with g'_i = g_i, and for the other tasks j in a random order

.. math:: g'_i \leftarrow g'_i - \frac{\min(0, \langle g'_i, g_j \rangle)}{\|g_j\|^2} g_j, \qquad
    \text{then} \quad u = \sum_i g'_i .

With g'_i = Jᵀw_i all of it happens on the Gramian: (G w_i)_j is the product, and w_ij grows. Each g'_i is
homogeneous in its own gradient and does not see how long the others are, so u is linear in the scales of the
tasks. With two tasks g'_i is the projection onto the dual cone, and u twice that of UPGrad. With three or more a
later projection may undo an earlier one: conflicts remain possible. The order matters from three tasks on, so
permuting the tasks permutes the weights in distribution, not in each draw.

A task without a gradient conflicts with none. Opposed gradients cancel each other; identical ones are kept.

See ``docs/mathematics.md``, "Closed forms and masks".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mtlbench.methods.method import Array, GramianMethod, Promises, choice, generator
from mtlbench.solvers.compiled import compiled


class PCGrad(GramianMethod):
    """The sum (``reduction="sum"``, as published) or the mean of the projected gradients.

    ``seed`` draws the orders, one per task and step.
    """

    name = "pcgrad"
    summary = "the sum of the task gradients, each projected in random order off those it conflicts with"
    source = "Yu et al., NeurIPS 2020, arXiv 2001.06782"
    promises = Promises(
        non_conflicting=False, common_scale=0.0, task_scale="linear", permutation=False, unique="weights"
    )

    def __init__(self, *, reduction: str = "sum", seed: int = 0, **common: Any) -> None:
        super().__init__(**common)
        self.reduction = choice(self.name, "reduction", reduction, ("sum", "mean"))
        self.seed, self.random = seed, generator(self.name, seed)

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """The sum, or the mean, of the w_i."""
        assert self.random is not None
        weights = projected(gramian, orders(self.random, len(gramian))).sum(axis=0)
        return weights / len(weights) if self.reduction == "mean" else weights


def orders(random: np.random.Generator, tasks: int) -> npt.NDArray[np.intp]:
    """For each task all tasks in a random order of its own (K, K); its own place in it is to be skipped."""
    return random.permuted(np.tile(np.arange(tasks), (tasks, 1)), axis=1)


@compiled
def projected(gramian: Array, order: npt.NDArray[np.intp]) -> Array:
    """The weights w_i of the projected gradients, one a row."""
    weights = np.eye(len(gramian))
    for i in range(len(gramian)):
        for j in order[i]:
            product = 0.0
            for k in range(len(gramian)):
                product += gramian[j, k] * weights[i, k]
            if j != i and product < 0:
                weights[i, j] -= product / gramian[j, j]
    return weights
