"""The default's usual way in one compiled call: validation, scaling, pivoting, certificate.

The functions are those of the ordinary way (``problem.py``, ``pivoting.py``), so the weights are too; only the steps of
Python between them are saved, which at few tasks are most of the time. What is unusual in any way (a malformed or
asymmetric matrix, a certificate out of reach) is left to the ordinary way.
"""

from __future__ import annotations

from math import ldexp

import numpy as np

from ..compiled import compiled
from ..gramian import Array
from ..well_formed import well_formed
from .pivoting import projected
from .problem import CAP, EPS, measured, scaled


@compiled
def quick(gramian: Array, preference: Array, tolerance: float, limit: int) -> tuple[Array, float, int, bool, bool]:
    """(weights, gap, iterations, certified, non_conflicting); where it is not certified the rest means nothing."""
    size = len(gramian)
    if not (well_formed(gramian) and finite(preference)):
        return preference, 0.0, 0, False, False
    cosines, roots, exponents, starts, units, squares, _ = scaled(gramian, preference)
    points, moves, _ = projected(cosines, roots, starts, squares, limit)
    weights = points
    for r in range(len(points)):
        for i in range(size):
            weights[r, i] = ldexp(points[r, i], int(units[r] - exponents[i]))
    gaps, spreads, _, non_conflicting = measured(cosines, roots, exponents, starts, units, squares, preference, weights)
    certified = True
    worst = 0.0
    iterations = 0
    for r in range(len(gaps)):
        worst = max(worst, gaps[r])
        iterations += moves[r]
        tolerated = tolerance + (2.0 * EPS * spreads[r, 0] + min(2.0 * EPS * spreads[r, 1], CAP))
        # Written so that NaN fails too.
        if not gaps[r] <= tolerated:
            certified = False
    return weights, worst, iterations, certified, non_conflicting


@compiled
def finite(preference: Array) -> bool:
    """Whether every entry is."""
    for r in range(len(preference)):
        for i in range(preference.shape[1]):
            if not abs(preference[r, i]) < np.inf:
                return False
    return True
