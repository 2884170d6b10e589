"""What the referee judges: a solver, and what its author promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from inspect import signature
from typing import Any, Protocol

from mtlbench.errors import unknown_name
from mtlbench.referee.families import Array
from mtlbench.solvers import Solution, min_norm


class Promises(Protocol):
    """What an algorithm's file states about it; checked, never believed.

    ``bound(gramian, iterations)`` are the theory's bounds (T,) on f − f* after so many iterations, infinite where
    nothing is known; ``monotone``: f never rises; ``reach[family][gap] = (iterations, share)``: the share of a
    family brought to that relative gap within so many iterations. An algorithm that is not ``iterative``
    promises the default tolerance.
    """

    @property
    def iterative(self) -> bool: ...
    @property
    def monotone(self) -> bool: ...
    @property
    def bound(self) -> Callable[..., Any] | None: ...
    @property
    def reach(self) -> Mapping[str, Mapping[float, tuple[int, float]]]: ...


@dataclass(frozen=True)
class Candidate:
    """``solve(gramian, max_iterations=...)`` and ``trace(gramian, max_iterations=...)`` of one solver.

    ``smoothed``: both also take ``smoothing=λ`` and then minimise f(w) − H(w)/λ, H the entropy.
    """

    name: str
    promises: Promises
    smoothed: bool
    solve: Callable[..., Solution]
    trace: Callable[..., Iterator[tuple[int, Array, float, float, float]]]


def candidate(name: str) -> Candidate:
    """The min-norm algorithm ``name``; an unknown one raises :class:`~mtlbench.errors.InputError`."""
    if name not in min_norm.ALGORITHMS:
        raise unknown_name("solver", name, min_norm.ALGORITHMS)
    record: Any = min_norm.algorithm(name)
    return Candidate(
        name,
        record,
        record.start is not None and "smoothing" in signature(record.start).parameters,
        partial(min_norm.solve, algorithm=name),
        partial(min_norm.trace, algorithm=name),
    )
