r"""The generalised mean of the losses, from the best task over the arithmetic mean to the worst task.

.. math:: M_p = \Bigl(\frac1K \sum_i L_i^p\Bigr)^{1/p}, \qquad
    w_i = \frac{\partial M_p}{\partial L_i} = \frac1K \Bigl(\frac{L_i}{M_p}\Bigr)^{p-1}

p = 1 is ``equal``, p → 0 the geometric mean (``gls``), p → ∞ the largest loss alone, p → −∞ the smallest. M_p
grows with p (strictly, unless all losses are equal), and is homogeneous: L ↦ cL leaves the weights as they
are. Only p = 0 is blind to units, only p = 1 to constants added to a loss. The papers name no value; 2 leans
towards the worse tasks. See ``docs/mathematics.md``, section 1.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from mtlbench.errors import InputError
from mtlbench.methods.method import Array, LossMethod, Promises, UndefinedLoss, number, positive
from mtlbench.search import Log, ranges


class GeneralisedMean(LossMethod):
    """The mean of order ``p`` of the losses: a finite number, "max" (or inf) or "min" (or -inf).

    Tasks that tie for "max" or "min" share the weight. Raises
    :class:`~mtlbench.methods.method.UndefinedLoss` where M_p is not defined: for p < 1 a loss that is not
    positive, for p > 1 a negative one. Where p > 1 and all losses are 0 the weights are 1/K, their limit along
    equal losses.
    """

    name = "generalised_mean"
    summary = "the mean of order p of the losses, from the best task to the worst"
    source = "J. Su, https://kexue.fm/archives/8870"
    search = ranges(p=Log(0.2, 8.0))
    promises = Promises(non_conflicting=False, common_scale=0.0, task_scale="none", permutation=True, unique="weights")

    def __init__(self, *, p: float | Literal["max", "min"] = 2.0, **common: Any) -> None:
        super().__init__(**common)
        self.p = _order(p)
        law: Any = {0: "direction", 1: "linear"}.get(self.p, "none")  # type: ignore[call-overload]
        self.promises = replace(self.promises, task_scale=law)

    def loss_weights(self, losses: Array) -> Array:
        """w_i = (L_i / M_p)^(p−1) / K."""
        p = self.p
        if isinstance(p, str):
            ties = losses == (losses.max() if p == "max" else losses.min())
            return ties / ties.sum()
        if p == 1 or (p > 1 and not losses.any()):
            return np.full(len(losses), 1 / len(losses))
        if p < 1:
            positive(self.name, losses, f" and p is {p:g}; p=1 takes any loss")
        elif (losses < 0).any():
            raise UndefinedLoss(f"{self.name} with p = {p:g} needs losses of at least 0, got {losses.min():g}")
        with np.errstate(divide="ignore"):
            logs = np.log(losses)
        # Relative to the mean no power of small order loses its digits, relative to the maximum none overflows.
        centre = logs.max() if np.isneginf(logs).any() else logs.mean()
        return np.exp((p - 1) * (logs - centre - _log_mean(p, logs - centre))) / len(losses)


def _log_mean(p: float, logs: Array) -> float:
    """log M_p of exp(logs)."""
    if p == 0:
        return float(logs.mean())
    powers = p * logs
    top = powers.max()
    if np.abs(powers).max() < 1:
        return float(np.log1p(np.expm1(powers).mean()) / p)
    return float((top + np.log(np.exp(powers - top).mean())) / p)


def _order(p: Any) -> float | str:
    if p in ("max", "min"):
        return str(p)
    if isinstance(p, float) and math.isinf(p):
        return "max" if p > 0 else "min"
    if isinstance(p, str):
        raise InputError(f'p of generalised_mean must be a number, "max" or "min", got {p!r}')
    return float(number("generalised_mean", "p", p, minimum=-math.inf))
