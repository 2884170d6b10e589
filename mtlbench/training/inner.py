"""The certificate of a step's inner problem, from what the method states and never from its solver."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from mtlbench.methods._room import RoomMethod
from mtlbench.methods.method import Array, Method
from mtlbench.solvers import ball, bargaining, dual_cone, min_norm

_SCALE_FREE: Mapping[str, Callable[..., float]] = {
    "ball": ball.certificate,
    "bargaining": bargaining.certificate,
    "dual_cone": dual_cone.certificate,
}


def relative_gap(method: Method, gramian: Array, weights: Array) -> float:
    """The room's certificate of the method's inner weights with the method's own arguments, free of any unit.

    ``min_norm``: the duality gap over the smallest non-zero G_ii, with lower bounds over the shortest corner of the
    smaller hull; the other rooms' residuals have no unit. A method that names a room and states no problem is judged
    by its ``weights`` on ``gramian``, without the tasks that it drops. NaN where this step solved nothing, or all
    weights are 0: a step that stood still claims nothing.
    """
    assert method.inner_problem is not None
    if method.inner is not None:
        gramian, weights, arguments = method.inner
    else:
        if isinstance(method, RoomMethod) or not weights.any():
            return math.nan
        kept = np.diag(gramian) > 0 if method.zero_task == "drop" else np.ones(len(gramian), dtype=bool)
        gramian, weights, arguments = gramian[np.ix_(kept, kept)], weights[kept], {}
    if method.inner_problem in _SCALE_FREE:
        return _SCALE_FREE[method.inner_problem](gramian, weights, **arguments)
    if "lower" in arguments:
        scale = min_norm.tolerated_gap_bounded(gramian, tolerance=1.0, **arguments)
        return min_norm.certificate_bounded(gramian, weights, **arguments) / scale
    diagonal = np.diag(gramian)
    return min_norm.certificate(gramian, weights) / float(diagonal[diagonal > 0].min())
