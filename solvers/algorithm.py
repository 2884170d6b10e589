"""What one algorithm file of a room declares, and how such files are found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from inspect import Parameter, signature
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Reach = Mapping[str, Mapping[float, tuple[int, float]]]

FAMILIES = (
    "gaussian",
    "norms_1_to_1e3",
    "near_collinear",
    "duplicated_rows",
    "zero_row",
    "zero_in_hull",
    "rank_deficient",
    "collection",
    "recorded",
)
"""The families of min-norm problems that a reach speaks of; ``mtlbench validate`` draws them, the last two from real
training."""
LEVELS = (1e-2, 1e-4, 1e-8)
"""The gaps, relative to min_i G_ii, that a reach speaks of."""


class SolverFailed(RuntimeError):
    """A solver package gave no solution; no other algorithm answers in its place."""


class State(Protocol):
    """What an algorithm carries from step to step: a named tuple whose ``weights`` are the current answer."""

    @property
    def weights(self) -> Array: ...


@dataclass(frozen=True)
class Algorithm:
    """One algorithm of one problem. ``start`` and ``step`` are the algorithm, everything else is what it promises.

    ``start(subject, exponent, **options)`` → the state before the first step. The subject is the room's problem with
    its Gramian scaled to 2^(−exponent) G (``min_norm``: that Gramian); options with a unit are given in the unit of G
    and rescaled here.
    ``step(subject, state, products, iteration)`` → the next state, ``iteration`` = 1, 2, ...; ``products`` is Gw, which
    the driver has computed for the certificate. The very state that came in, returned, says: nothing is left to do.
    ``direct(subject, max_iterations)`` → (weights, iterations) instead of these two: a package that runs by itself.

    ``quick(gramian, tolerance)`` (``dual_cone``: with preferences and limit) → (weights, gap, iterations, certified,
    non_conflicting): the same answer in one compiled call for a C-ordered float64 Gramian, or certified = False, and
    the ordinary way is gone.

    ``iterative``: approaches the optimum in the limit only; one that is not promises the default tolerance.
    ``closed_form``: at K = 2 ``solve`` may answer by the closed form (``trace`` always runs the algorithm).
    ``residual(state, products)``: for an algorithm of another, nearby problem: the scale-free residual of that problem.
    The driver stops at a residual within the tolerance too; ``converged`` still speaks of the room's own gap only.
    ``bound(gramian, iteration, **options)``: what theory allows f − f* to be after that many steps, elementwise for an
    array of them, so that what depends on the Gramian alone is computed once; infinite where nothing is known.
    ``monotone``: the objective never rises from one step to the next, rounding apart.
    ``reach[family][relative gap] = (iterations, share)``: that share of the family's problems is brought to the
    relative gap, gap / min_i G_ii, within so many iterations of the algorithm itself (at K = 2 too). A family is meant
    whole: K = 1, 2, 3, 5, 8, 16, 32, 64 in equal number, or the smaller of these; at large K alone a share may be less.
    Of the collection, which is fixed, every thinning that the referee may draw is meant.
    """

    name: str
    summary: str
    iterative: bool
    reach: Reach
    start: Callable[..., State] | None = None
    step: Callable[[Any, Any, Array, int], State] | None = None
    direct: Callable[[Any, int], tuple[Array, int]] | None = None
    quick: Callable[..., tuple[Array, float, int, bool, bool]] | None = None
    closed_form: bool = True
    monotone: bool = False
    bound: Callable[..., Any] | None = None
    residual: Callable[[Any, Array], float] | None = None

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raise :class:`ValueError` for an option that this algorithm does not have."""
        if not options:
            return
        parameters = signature(self.start).parameters.values() if self.start else ()
        valid = sorted(p.name for p in parameters if p.kind is Parameter.KEYWORD_ONLY)
        for name in options:
            if name not in valid:
                raise ValueError(
                    f"the algorithm {self.name!r} has no option {name!r}{_hint(name, valid)}; "
                    f"its options: {', '.join(valid) or 'none'}"
                )


def everywhere(iterations: int) -> Reach:
    """The reach of an algorithm that brings every problem to every gap within so many iterations."""
    return {family: dict.fromkeys(LEVELS, (iterations, 1.0)) for family in FAMILIES}


def discover(package: str, path: list[str]) -> Mapping[str, Algorithm]:
    """Every ``ALGORITHM`` that a module of the folder defines, by name, in alphabetical order."""
    found = {}
    for module in sorted(info.name for info in iter_modules(path)):
        record = getattr(import_module(f"{package}.{module}"), "ALGORITHM", None)
        if isinstance(record, Algorithm):
            if record.name != module:
                raise ImportError(f"{package}.{module} names its algorithm {record.name!r}: name it {module!r}")
            found[record.name] = record
    return MappingProxyType(found)


def find(algorithms: Mapping[str, Algorithm], name: str) -> Algorithm:
    """The algorithm ``name``; :class:`ValueError`, with the nearest valid name, where there is none."""
    try:
        return algorithms[name]
    except (KeyError, TypeError):
        raise ValueError(
            f"unknown algorithm {name!r}{_hint(str(name), list(algorithms))}; valid: {', '.join(algorithms)}"
        ) from None


def _hint(name: str, valid: list[str]) -> str:
    near = get_close_matches(name, valid, n=1, cutoff=0.4)
    return f": did you mean {near[0]!r}?" if near else ""
