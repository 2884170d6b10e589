"""Third-party QP packages on the min-norm problem, each at the tightest tolerance it keeps.

A package gets the problem as it likes it, scaled to unit diagonal: with d_i = √G_ii, C = D⁻¹ G D⁻¹ and
v_i = min_j d_j / d_i,

    min ½ yᵀCy  over  y >= 0, vᵀy = 1,      w_i = v_i y_i,

its matrices made before the clock starts. A zero row, which has no length to be scaled by, gets the shortest other
one's. What a package returns is not repaired here; an adapter raises only where there is nothing to judge.

None of them is needed; the optional extra ``peers`` names them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

import numpy as np

from mtlbench.errors import InputError, unknown_name
from mtlbench.referee.families import Array

Solve = Callable[[], Array]
Prepare = Callable[[Array], Solve]

ALL, QPSOLVERS = "all", "qpsolvers"


def scaled(gramian: Array) -> tuple[Array, Array]:
    """C (K, K) and v (K,)."""
    lengths = np.sqrt(gramian.diagonal())
    shortest = lengths.min(where=lengths > 0.0, initial=lengths.max()) or 1.0
    lengths = np.where(lengths > 0.0, lengths, shortest)
    return gramian / lengths[:, None] / lengths, shortest / lengths


def quadprog(gramian: Array) -> Solve:
    """Goldfarb and Idnani's dual active set; it has no tolerance, and wants a positive definite C."""
    package = import_module("quadprog")
    cosines, v = scaled(gramian)
    columns = np.hstack([v[:, None], np.eye(len(v))])
    zero, right = np.zeros(len(v)), np.zeros(len(v) + 1)
    right[0] = 1.0
    return lambda: v * package.solve_qp(cosines, zero, columns, right, 1)[0]


def daqp(gramian: Array) -> Solve:
    """A dual active set, regularised by proximal steps where C is singular."""
    package = import_module("daqp")
    cosines, v = scaled(gramian)
    size = len(v)
    # Bounds on y first, then the row vᵀy = 1, marked as an equality (5).
    upper, lower = np.full(size + 1, 1e30), np.zeros(size + 1)
    upper[size] = lower[size] = 1.0
    sense = np.zeros(size + 1, dtype=np.int32)
    sense[size] = 5
    zero, row = np.zeros(size), v[None, :].copy()
    return lambda: v * package.solve(cosines, zero, row, upper, lower, sense, **TIGHT["daqp"])[0]


def piqp(gramian: Array) -> Solve:
    """A proximal interior point method."""
    package = import_module("piqp")
    cosines, v = scaled(gramian)
    size = len(v)

    def solve() -> Array:
        solver = package.DenseSolver()
        for name, value in TIGHT["piqp"].items():
            setattr(solver.settings, name, value)
        solver.setup(cosines, np.zeros(size), v[None, :], np.ones(1), x_l=np.zeros(size))
        solver.solve()
        return v * solver.result.x

    return solve


DIRECT: Mapping[str, Prepare] = MappingProxyType({"quadprog": quadprog, "daqp": daqp, "piqp": piqp})
"""The packages that are called without anything between."""

# What qpsolvers hands on to its back ends. Methods of first order are asked for what they can reach, given time.
FIRST_ORDER = {"eps_abs": 1e-9, "eps_rel": 0.0}
TIGHT: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "clarabel": {"tol_feas": 1e-14, "tol_gap_abs": 1e-14, "tol_gap_rel": 1e-14},
        "cvxopt": {"feastol": 1e-13, "abstol": 1e-13, "reltol": 1e-13},
        "daqp": {"primal_tol": 1e-14, "dual_tol": 1e-14},
        "ecos": {"feastol": 1e-13},
        "highs": {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
        "osqp": FIRST_ORDER | {"max_iter": 100_000, "polish": True},
        "piqp": {"eps_abs": 1e-13, "eps_rel": 0.0},
        "proxqp": {"eps_abs": 1e-13, "eps_rel": 0.0},
        "qpalm": FIRST_ORDER,
        "scs": FIRST_ORDER | {"max_iters": 100_000},
    }
)


def through_qpsolvers(gramian: Array, solver: str) -> Solve:
    """The back end ``solver`` of qpsolvers; one that knows sparse matrices only gets them."""
    package = import_module(QPSOLVERS)
    cosines, v = scaled(gramian)
    size = len(v)
    quadratic: Any = cosines
    row: Any = v[None, :]
    if solver not in package.dense_solvers:
        from scipy.sparse import csc_matrix

        quadratic, row = csc_matrix(cosines), csc_matrix(v[None, :])
    arguments = {"A": row, "b": np.ones(1), "lb": np.zeros(size), "solver": solver, **TIGHT.get(solver, {})}

    def solve() -> Array:
        with warnings.catch_warnings():  # a warning is no answer; the certificate judges
            warnings.simplefilter("ignore")
            y = package.solve_qp(quadratic, np.zeros(size), **arguments)
        if y is None:
            raise ArithmeticError("found no solution")
        return v * y

    return solve


def installed() -> dict[str, Prepare]:
    """Every package that can be called here, by name: the direct ones, then ``qpsolvers:BACKEND``."""
    found = {name: prepare for name, prepare in DIRECT.items() if find_spec(name) is not None}
    if find_spec(QPSOLVERS) is not None:
        for solver in sorted(import_module(QPSOLVERS).available_solvers):
            found[f"{QPSOLVERS}:{solver}"] = partial(through_qpsolvers, solver=solver)
    return found


def chosen(names: Iterable[str]) -> dict[str, Prepare]:
    """The packages that ``names`` mean: one each, ``qpsolvers`` for all of its back ends, ``all`` for everything.

    Raises :class:`~mtlbench.errors.InputError` for a name that nobody has and for a package that is not installed.
    """
    here = installed()
    found: dict[str, Prepare] = {}
    for name in names:
        own = {key: prepare for key, prepare in here.items() if name in (key, key.partition(":")[0], ALL)}
        if not own:
            raise _missing(name, here)
        found |= own
    return found


def _missing(name: str, here: Iterable[str]) -> InputError:
    if name == ALL:
        return InputError(f"no QP package is installed: pip install {' '.join(DIRECT)} qpsolvers")
    package, _, backend = name.partition(":")
    if (package in DIRECT and not backend) or (package == QPSOLVERS and find_spec(QPSOLVERS) is None):
        return InputError(f"the QP package {package} is not installed: pip install {package}")
    return unknown_name("QP package", name, {*here, *DIRECT, QPSOLVERS, ALL})
