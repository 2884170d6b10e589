r"""STCH, smooth Tchebycheff scalarisation: minimise a smooth maximum of the losses.

.. math:: \mu \log \sum_i \exp \frac{\lambda_i (L_i - z_i)}{\mu}, \qquad
    w_i = \lambda_i\, \mathrm{softmax}\bigl(\lambda (L - z) / \mu\bigr)_i

μ → 0 is the Tchebycheff maximum max_i λ_i (L_i − z_i), the worst task alone; μ → ∞ the sum λ_i L_i (over K). z
is the ideal point, λ the preference. With ``warm_up`` this is the variant of the authors' code for networks:
K times the smooth maximum of x_i = log(L_i / n_i) (n the mean losses after the warm-up) instead of L_i − z_i,

.. math:: w_i = \frac{K}{L_i} \lambda_i\, \mathrm{softmax}(\lambda x / \mu)_i,

so that no unit matters; during the warm-up, and while n is taken, w_i = 1/L_i. See ``docs/mathematics.md``,
section 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from mtlbench.errors import InputError
from mtlbench.methods.method import Array, LossMethod, Promises, number, numbers, positive, softmax
from mtlbench.search import Log, ranges


class STCH(LossMethod):
    """The smooth maximum with smoothing ``mu``, ``preference`` λ (1 each by default), ``ideal`` z (0 each).

    ``warm_up``: the number of windows of ``period`` steps before the window that n is the mean of; the authors'
    code has 4 epochs. None: no warm-up, the formula of the paper. mtlbench's own training passes the steps of
    an epoch as ``period``, pass them in your own loop. Raises
    :class:`~mtlbench.methods.method.UndefinedLoss` where a loss is not positive, with warm-up alone.
    """

    name = "stch"
    summary = "the smooth Tchebycheff maximum of the losses"
    source = "Lin et al., ICML 2024, arXiv 2402.19078, and the authors' code"
    search = ranges(mu=Log(0.1, 10.0))
    state = ("total", "seen")
    per_task = ("preference", "ideal")
    promises = Promises(non_conflicting=False, common_scale=None, task_scale="none", permutation=True, unique="weights")

    def __init__(
        self,
        *,
        mu: float = 1.0,
        preference: Iterable[float] | None = None,
        ideal: Iterable[float] | None = None,
        warm_up: int | None = None,
        period: int = 100,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.mu = number(self.name, "mu", mu)
        if not self.mu:
            raise InputError(f"mu of {self.name} must be positive, got {mu!r}")
        self.preference = numbers(self.name, "preference", preference, positive=True)
        self.ideal = numbers(self.name, "ideal", ideal)
        self.warm_up = None if warm_up is None else number(self.name, "warm_up", warm_up, integer=True)
        if self.warm_up is not None and self.ideal is not None:
            raise InputError(
                f"{self.name} takes ideal= or warm_up=: after a warm-up the losses are relative to its end"
            )
        self.period = number(self.name, "period", period, minimum=1, integer=True)
        self.total: Any = 0.0
        self.seen = 0
        if self.warm_up is not None:
            self.promises = replace(self.promises, common_scale=-1.0, task_scale="invariant")
        if self.preference is not None or self.ideal is not None:
            self.promises = replace(self.promises, permutation=False)

    def loss_weights(self, losses: Array) -> Array:
        """w = λ softmax(λ (L − z) / μ), or its variant with warm-up."""
        if self.warm_up is None:
            return self._weights(losses if self.ideal is None else losses - self.ideal)
        positive(self.name, losses, "; without warm_up= it takes any")
        windows, self.seen = self.seen // self.period, self.seen + 1
        if windows > self.warm_up:
            nadir = self.total / self.period
            return len(losses) / losses * self._weights(np.log(losses / nadir))
        if windows == self.warm_up:
            self.total = self.total + losses
        return 1 / losses

    def _weights(self, values: Array) -> Array:
        preference = np.ones(len(values)) if self.preference is None else np.asarray(self.preference)
        return preference * softmax(preference * values / self.mu)
