"""What :func:`~.gramian.as_gramian` accepts as it stands, in one compiled pass for the rooms' quick ways."""

from __future__ import annotations

from math import sqrt

import numpy as np

from .compiled import compiled
from .gramian import EXCESS, Array


@compiled
def well_formed(gramian: Array) -> bool:
    """Whether ``as_gramian`` would return this square float64 matrix as it is."""
    size = len(gramian)
    lengths = np.empty(size)
    for i in range(size):
        # Written so that NaN fails too.
        if not (0.0 <= gramian[i, i] < np.inf):
            return False
        lengths[i] = sqrt(gramian[i, i])
        for j in range(i):
            limit = (1.0 + EXCESS) * (lengths[i] * lengths[j])
            if not (abs(gramian[i, j]) <= limit and gramian[i, j] == gramian[j, i]):
                return False
    return True
