r"""Dynamic weight average: more weight for the task whose loss falls more slowly.

.. math:: w_i(t) = K\, \mathrm{softmax}(r(t) / T)_i, \qquad r_i(t) = \frac{\bar L_i(t-1)}{\bar L_i(t-2)}

L̄_i(t) is the mean of loss i over the t-th window of ``period`` steps, an epoch in the paper; in the first two
windows w_i = 1. The weights look at ratios only: they do not change with the units of a loss, and so do not
balance them either. See ``docs/mathematics.md``, section 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mtlbench.errors import InputError
from mtlbench.methods.method import Array, LossMethod, Promises, number, positive, softmax
from mtlbench.search import Log, ranges


class DWA(LossMethod):
    """Weights from the ratio of the mean losses of the last two windows, with temperature T.

    ``period``: the steps of a window. A method does not know what an epoch is: mtlbench's own training passes
    the steps of one, pass them in your own loop. Raises :class:`~mtlbench.methods.method.UndefinedLoss` where
    the mean of a window is not positive.
    """

    name = "dwa"
    summary = "more weight for the tasks whose losses fall more slowly"
    source = "Liu, Johns & Davison, CVPR 2019, arXiv 1803.10704"
    search = ranges(temperature=Log(0.5, 10.0))
    state = ("total", "seen", "means")
    promises = Promises(
        non_conflicting=False, common_scale=0.0, task_scale="linear", permutation=True, unique="weights"
    )

    def __init__(self, *, period: int = 100, temperature: float = 2.0, **common: Any) -> None:
        super().__init__(**common)
        self.period = number(self.name, "period", period, minimum=1, integer=True)
        self.temperature = number(self.name, "temperature", temperature)
        if not self.temperature:
            raise InputError(f"temperature of {self.name} must be positive, got {temperature!r}")
        self.total: Any = 0.0
        self.seen = 0
        self.means: list[Array] = []

    def loss_weights(self, losses: Array) -> Array:
        """w = K softmax(L̄(t−1) / (L̄(t−2) T))."""
        if self.seen == self.period:
            mean = positive(f"{self.name}, in the mean of a window,", self.total / self.period)
            self.means = [*self.means[-1:], mean]
            self.total, self.seen = 0.0, 0
        self.total, self.seen = self.total + losses, self.seen + 1
        if len(self.means) < 2:
            return np.ones(len(losses))
        before, last = self.means
        return len(losses) * softmax(last / before / self.temperature)
