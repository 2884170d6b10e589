"""What every solver returns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Solution(NamedTuple):
    """Weights with their certificate; a light tuple, made once per training step.

    weights: float64 (K,), dimensionless.
    gap: the room's certificate of exactly these weights (``min_norm``: the duality gap, in the Gramian's unit ‖g‖²).
    iterations: steps taken, 0 where a closed form or a policy answered.
    converged: the gap is within the tolerance that was asked for; never true for another reason.
    non_conflicting: no task's gradient has a negative product with u = Jᵀw, that is gap <= wᵀGw.
    """

    weights: NDArray[np.float64]
    gap: float
    iterations: int
    converged: bool
    non_conflicting: bool
