"""The default's usual way in one compiled call: validation, policies, block pivoting, certificate.

The functions are those of the ordinary way (``gramian.py``, ``problem.py``, ``pivoting.py``), so the weights are too;
only the steps of Python between them are saved, which at few tasks are most of the time. What is unusual in any way
(a malformed or asymmetric matrix, a zero row, a certificate out of reach) is left to the ordinary way.
"""

from __future__ import annotations

import math

import numpy as np

from ..compiled import compiled
from ..gramian import Array
from ..well_formed import well_formed
from .pivoting import weighed
from .problem import EPS, measured, two_tasks


@compiled
def quick(gramian: Array, tolerance: float) -> tuple[Array, float, int, bool, bool]:
    """(weights, gap, iterations, certified, non_conflicting); where it is not certified the rest means nothing."""
    size = len(gramian)
    weights = np.empty(size)
    if not well_formed(gramian):
        return weights, 0.0, 0, False, False
    largest = 0.0
    smallest = np.inf
    for i in range(size):
        largest = max(largest, gramian[i, i])
        smallest = min(smallest, gramian[i, i])
    if smallest == 0.0:
        return weights, 0.0, 0, False, False
    exponent = (math.frexp(largest)[1] + math.frexp(smallest)[1]) // 2
    if abs(exponent) >= 1000:
        return weights, 0.0, 0, False, False
    factor = math.ldexp(1.0, -exponent)
    scaled = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            scaled[i, j] = factor * gramian[i, j]
    iterations = 0
    if size == 1:
        weights[0] = 1.0
    elif size == 2:
        weights = two_tasks(scaled)
    else:
        weights, iterations = weighed(scaled)
    gap, _, non_conflicting = measured(scaled, weights)
    gap = math.ldexp(gap, exponent)
    target = tolerance * smallest + EPS * math.sqrt(largest) * math.sqrt(smallest)
    return weights, gap, iterations, gap <= target, non_conflicting
