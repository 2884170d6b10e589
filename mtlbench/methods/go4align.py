r"""GO4Align: tasks are grouped by their weights, and every group shares one.

.. math:: q_i(t) \propto q_i(t-1)\, e^{-\eta L_i}, \qquad v_i = q_i \frac{\sum_j L_j}{L_i}, \qquad
    w_i = \text{mean of } v \text{ over the group of } i

q starts uniform and remembers the losses of all steps (the risk so far); the second factor brings the losses
to one scale. The groups are those of k-means on the numbers v_1..v_K. The authors' code runs Lloyd's
algorithm from a random start; on a line the best groups are intervals, found exactly here. One group is
``equal`` times a number. The formulas are those of the authors' code. See ``docs/mathematics.md``, section 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mtlbench.methods.method import Array, LossMethod, Promises, number, positive
from mtlbench.search import Log, ranges


class GO4Align(LossMethod):
    """Shared weights for ``groups`` groups (at most K); ``step_size`` is η, per unit of loss.

    Raises :class:`~mtlbench.methods.method.UndefinedLoss` for a loss that is not positive.
    """

    name = "go4align"
    summary = "one weight per group of tasks, grouped by k-means on the risk so far"
    source = "Shen et al., NeurIPS 2024, arXiv 2404.06486, after the authors' code"
    search = ranges(step_size=Log(1e-5, 1e-1))
    state = ("scores",)
    promises = Promises(non_conflicting=False, common_scale=None, task_scale="none", permutation=True, unique="weights")

    def __init__(self, *, groups: int = 2, step_size: float = 1e-4, **common: Any) -> None:
        super().__init__(**common)
        self.groups = number(self.name, "groups", groups, minimum=1, integer=True)
        self.step_size = number(self.name, "step_size", step_size)
        self.scores: Any = 0.0

    def loss_weights(self, losses: Array) -> Array:
        """The mean of v over each task's group."""
        positive(self.name, losses)
        # Only differences of the scores count: kept small, they keep their digits.
        scores = self.scores - self.step_size * losses
        self.scores = scores - scores.max()
        shares = np.exp(self.scores)
        values = shares / shares.sum() * (losses / losses.max()).sum() * (losses.max() / losses)
        return group_means(values, self.groups)


def group_means(values: Array, groups: int) -> Array:
    """Every value (K,) replaced by the mean of its group in the best k-means clustering into ``groups`` groups.

    The best groups on a line are intervals. ``best[j]`` is the least sum of squared distances of the j smallest
    values in so many groups, by dynamic programming over the first member of the last one: K² groups operations.
    """
    order = np.argsort(values, kind="stable")
    tasks, ascending = len(values), values[order]
    costs = _interval_costs(ascending)
    best, firsts = costs[0], [np.zeros(tasks, dtype=int)]
    for _ in range(1, min(groups, tasks)):
        # Row i: the last group starts at i, and what is before it is grouped already; at 0 nothing is before it.
        totals = np.vstack([costs[:1], best[:-1, None] + costs[1:]])
        best, firsts = totals.min(axis=0), [*firsts, totals.argmin(axis=0)]
    found, end = np.empty(tasks), tasks
    while end:
        start = int(firsts.pop()[end - 1])
        found[order[start:end]] = ascending[start:end].mean()
        end = start
    return found


def _interval_costs(values: Array) -> Array:
    """``costs[i, j]``: the squared distances of values i..j from their mean, summed; infinite for j < i.

    Updated value by value (Welford): differences of sums of squares would lose the digits of small values.
    """
    tasks = len(values)
    costs = np.full((tasks, tasks), np.inf)
    means, squares = values.copy(), np.zeros(tasks)
    np.fill_diagonal(costs, 0.0)
    for length in range(1, tasks):
        means, squares = means[:-1], squares[:-1]
        distance = values[length:] - means
        means = means + distance / (length + 1)
        squares = squares + distance * (values[length:] - means)
        costs[np.arange(tasks - length), np.arange(length, tasks)] = squares
    return costs
