"""What the accuracy table counts of one answer, whoever gave it, and the scales that it is counted in.

The unit is the smallest G_ii that is not 0, so that a zero row, at which every gap is infinite in units of
min_i G_ii, does not hide how near an answer came.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mtlbench.referee.families import Array
from mtlbench.referee.measure import EPS, Extended, Measured, measure
from mtlbench.solvers import min_norm
from mtlbench.solvers.algorithm import LEVELS

SOLVED = 1e-9
"""The gap, in that unit, up to which any solver's answer counts as a solution."""

SHORT = 1e-2
"""Seconds below which a call is timed three times."""


@dataclass(frozen=True)
class Yardstick:
    """Of one problem: the unit of gaps, the gap that the default tolerance allows, and whether there is a descent
    direction, by the reference's certificate: ‖u*‖² >= wᵀGw − 2 gap of any w, compared with what counts as
    stationary, 64 K eps (Σ_i w_i d_i)².
    """

    unit: float
    tolerated: float
    descent: bool

    @classmethod
    def of(cls, gramian: Array, reference: Array) -> Yardstick:
        squares = np.diagonal(gramian)
        found = measure(gramian, reference)
        stationary = 64 * len(gramian) * EPS * float(reference @ np.sqrt(squares)) ** 2
        return cls(
            float(squares.min(where=squares > 0, initial=squares.max())) or 1.0,
            float(min_norm.tolerated_gap(gramian)),
            bool(2 * (found.objective[0] - found.gap[0]) > stationary),
        )


def score(yardstick: Yardstick, found: Measured) -> dict[str, Any]:
    """``gap`` in the unit; whether it is within the default tolerance; whether the direction conflicts: some task
    ascends along −u (min_i <g_i, u> < 0 beyond rounding) although another direction lowers every loss.
    """
    gap = found.gap[0]
    ascends = gap - 2 * found.objective[0] > found.rounding[0]
    return {
        "gap": float(gap / yardstick.unit),
        "tolerated": bool(gap <= yardstick.tolerated + found.certainty[0]),
        "conflict": bool(ascends and yardstick.descent),
    }


Result = TypeVar("Result")


def clocked(call: Callable[[], Result]) -> tuple[Result, float]:
    """What ``call`` returns, and its seconds: of a call that is short, the least of three.

    The first one after other work finds its code and data gone from the caches, and takes several times as long.
    """
    start = perf_counter()
    result = call()
    seconds = perf_counter() - start
    for _ in range(2 if seconds < SHORT else 0):
        start = perf_counter()
        call()
        seconds = min(seconds, perf_counter() - start)
    return result, seconds


def iterations_to(yardstick: Yardstick, iterations: NDArray[np.int64], gaps: Extended) -> dict[str, int | None]:
    """The first of the ``iterations`` at which the gap is within each level, in the unit; ``None`` if at none."""
    reached = {level: iterations[gaps[: len(iterations)] <= level * yardstick.unit] for level in LEVELS}
    return {to(level): int(found[0]) if len(found) else None for level, found in reached.items()}


def to(level: float) -> str:
    """The key of :func:`iterations_to` for a level: ``to_1e-4``."""
    return f"to_1e{round(math.log10(level))}"


def plain(value: Any) -> Any:
    """``value`` for JSON: a number that is not finite becomes ``None``."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
