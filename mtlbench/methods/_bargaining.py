"""What Nash-MTL, FairGrad and PIVRG share: the bargaining room, clipping, and the policy at stationary points."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np

from mtlbench.methods._room import RoomMethod
from mtlbench.methods.method import Array, number
from mtlbench.solvers import NoSolution


class Bargaining(RoomMethod):
    """(Gw)_i = (p_i/w_i)^(1/α). ``max_norm``: ‖u‖ is clipped to it, 0 clips nothing.

    At a Pareto stationary point there is no solution: the weights are 0, and ``stationary_events`` counts the step.
    """

    inner_problem = "bargaining"
    default_solver = "newton"
    alpha: float

    def __init__(self, *, max_norm: float = 0.0, **common: Any) -> None:
        super().__init__(**common)
        self.max_norm = number(self.name, "max_norm", max_norm)
        if self.max_norm and self.alpha != 1:
            # A direction that is clipped in some steps follows no law of scale; at α = 1 all are equally long.
            self.promises = replace(self.promises, common_scale=None)

    def bargained(self, gramian: Array, preference: Array | None = None) -> Array:
        """The room's weights, or zeros at a stationary point."""
        try:
            return self.solve(gramian, alpha=self.alpha, preference=preference)
        except NoSolution:
            self.stationary_events += 1
            return np.zeros(len(gramian))

    def clipped(self, weights: Array, gramian: Array) -> Array:
        """``weights``, shortened where ‖u‖ = √(wᵀGw) is above ``max_norm``."""
        length = sqrt(max(float(weights @ gramian @ weights), 0.0))
        return weights * (self.max_norm / length) if 0 < self.max_norm < length else weights
