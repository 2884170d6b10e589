"""CLARABEL behind cvxpy, as the ``exact`` files of all rooms call it: to its limit, silently, and never trusted.

What the package says of its accuracy is not asked, nor is its warning about it passed on: each room certifies the
weights by its own gap. cvxpy is imported here only, when the first model is solved.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from .algorithm import SolverFailed
from .gramian import Array

TIGHT = {
    "tol_gap_abs": 1e-14,
    "tol_gap_rel": 1e-14,
    "tol_feas": 1e-14,
    # A solution that the package cannot vouch for is returned all the same: it is our certificate that judges it.
    "accept_unknown": True,
}
REFINED = TIGHT | {
    "static_regularization_constant": 1e-13,
    "iterative_refinement_max_iter": 50,
    "iterative_refinement_reltol": 1e-16,
    "iterative_refinement_abstol": 1e-16,
    "iterative_refinement_stop_ratio": 2.0,
}
ENOUGH = 200
"""Interior point iterations after which the package makes no progress: it takes 10 to 40 where it does."""


def run(
    model: Any, variable: Any, max_iterations: int, settings: Mapping[str, Any] = REFINED, *, zero: bool = False
) -> tuple[Array, int]:
    """(value of ``variable``, the package's number of iterations) for the cvxpy problem ``model``.

    Raises :class:`~mtlbench.solvers.SolverFailed` where the package gives no solution, and, unless ``zero`` is one,
    where no entry is positive.
    """
    import cvxpy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.solve(solver=cvxpy.CLARABEL, max_iter=min(int(max_iterations), ENOUGH), **settings)
        except cvxpy.error.SolverError as error:
            raise SolverFailed(f"exact: CLARABEL gave no solution for {variable.size} tasks: {error}") from error
    value = variable.value
    if value is None or not np.isfinite(value).all() or not (zero or (value > 0.0).any()):
        raise SolverFailed(
            f"exact: CLARABEL gave no solution for {variable.size} tasks: its status is {model.status!r}"
        )
    return value, int(model.solver_stats.num_iters or 0)
