"""Is the default algorithm of a room exact? Asked of many random problems, by the room's certificate alone.

No reference optimum is computed, so thousands of problems are cheap. An answer fails if it is not finite, if it does
not say that it has converged, or if its gap, computed anew from the Gramian and the weights, is above the tolerated
one. A room may answer that there is no solution; its ``NoSolution`` carries weights that show the point to be
stationary, and that is checked: a zero gradient, or wᵀGw <= 64 K eps (Σ_i w_i d_i)².
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib import import_module
from inspect import signature
from pathlib import Path
from pkgutil import iter_modules
from time import perf_counter
from types import ModuleType

import numpy as np

from mtlbench import solvers
from mtlbench.errors import unknown_name
from mtlbench.files import write_atomically
from mtlbench.referee.families import FAMILIES, Array, draw
from mtlbench.referee.measure import EPS
from mtlbench.referee.progress import tracked
from mtlbench.solvers import NoSolution

FILE = "exactness.csv"
ROOMS = tuple(sorted(module.name for module in iter_modules(solvers.__path__) if module.ispkg))

USUAL, LARGE = 64, {24: 128, 49: 256}
"""K is uniform in 1..64; of 50 problems in a row one has 128 tasks and one 256."""


@dataclass
class Exactness:
    """What came of a room's problems: each converged, has no solution, or failed. ``worst``: the largest gap as a
    multiple of the tolerated one, at most 1 where all is well.
    """

    room: str
    algorithm: str
    problems: int = 0
    converged: int = 0
    no_solution: int = 0
    not_finite: int = 0
    failed: int = 0
    worst: float = 0.0
    seconds: float = 0.0
    failures: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        """The counts in words; one more line for each of the first failures."""
        verdict = (
            f"{self.room}/{self.algorithm}: {self.problems} problems, {self.converged} converged, "
            f"{self.no_solution} without a solution, {self.not_finite} not finite, {self.failed} failed; "
            f"worst gap {self.worst:.3g} of the tolerated, {self.seconds:.1f} s in the solver"
        )
        more = [f"and {self.failed - SHOWN} more"] if self.failed > SHOWN else []
        return "\n".join([verdict, *(f"  {text}" for text in [*self.failures[:SHOWN], *more])])


SHOWN = 10


def drawn(count: int, seed: int) -> Iterator[tuple[str, Array]]:
    """``count`` problems over all families in turn, each named so that :func:`~mtlbench.referee.families.draw` can
    draw it again.
    """
    sizes = np.random.default_rng(seed).integers(1, USUAL + 1, count)  # the first ones are those of a smaller count
    for number, (family, size) in enumerate(_planned(sizes)):
        yield f"{family}, {size} tasks, problem {number} (seed {seed})", draw(family, size, number, seed)


def _planned(sizes: Iterable[int]) -> Iterator[tuple[str, int]]:
    families = tuple(FAMILIES)
    for number, size in enumerate(sizes):
        yield families[number % len(families)], LARGE.get(number % 50, int(size))


def judge(rooms: Sequence[str], count: int, seed: int, progress: bool = False) -> list[Exactness]:
    """Ask the default algorithm of each of the ``rooms`` (none named: of all) on the same ``count`` problems.

    Raises :class:`~mtlbench.errors.InputError` for a room that does not exist.
    """
    for name in rooms:
        if name not in ROOMS:
            raise unknown_name("room", name, ROOMS)
    modules = {name: import_module(f"{solvers.__name__}.{name}") for name in dict.fromkeys(rooms or ROOMS)}
    found = [
        Exactness(name, signature(module.solve).parameters["algorithm"].default) for name, module in modules.items()
    ]
    for module in modules.values():
        module.solve(draw("gaussian", 3))  # loading what is compiled is no time of a solve
    # Drawn one at a time: a thousand Gramians of up to 256 tasks need not lie in memory together.
    problems = drawn(count, seed)
    for _ in tracked(range(count), "random problems", progress):
        name, gramian = next(problems)
        for result, module in zip(found, modules.values(), strict=True):
            _judge_one(result, module, name, gramian)
    return found


def _judge_one(result: Exactness, room: ModuleType, name: str, gramian: Array) -> None:
    result.problems += 1
    start = perf_counter()
    try:
        solution = room.solve(gramian)
    except NoSolution as error:
        result.no_solution += 1
        wrong = _not_stationary(gramian, error.weights)
    except Exception as error:
        wrong = f"raised {type(error).__name__}: {error}"
    else:
        result.seconds += perf_counter() - start
        wrong = _wrong(result, room, gramian, solution)
    if wrong:
        result.failed += 1
        result.failures.append(f"{name}: {wrong}")


def _wrong(result: Exactness, room: ModuleType, gramian: Array, solution: solvers.Solution) -> str:
    """Why the solution fails, if it does."""
    if not (np.isfinite(solution.weights).all() and np.isfinite(solution.gap)):
        result.not_finite += 1
        return "weights or gap are not finite"
    # Some rooms tolerate what rounding these very weights costs.
    own = {"weights": solution.weights} if "weights" in signature(room.tolerated_gap).parameters else {}
    try:
        gap, tolerated = room.certificate(gramian, solution.weights), room.tolerated_gap(gramian, **own)
    except ValueError as error:
        return f"weights that cannot be certified: {error}"
    multiple = gap / tolerated if tolerated > 0.0 else 0.0 if gap == 0.0 else np.inf
    result.worst = max(result.worst, multiple)
    if gap <= tolerated and solution.converged:
        result.converged += 1
        return ""
    return f"gap {gap:.3g}, tolerated is {tolerated:.3g}, converged is {solution.converged}"


def _not_stationary(gramian: Array, weights: Array) -> str:
    """Why "there is no solution" is wrong, if it is: these weights do not show 0 in the hull of the gradients."""
    g, w = gramian.astype(np.longdouble), np.asarray(weights, dtype=np.longdouble)
    if w.shape != (len(g),) or not (w >= 0).all() or not abs(w.sum() - 1) <= 16 * len(w) * EPS:
        return "said to have no solution, by weights outside the simplex"
    square, allowed = w @ g @ w, 64 * len(g) * EPS * (w @ np.sqrt(np.diagonal(g))) ** 2
    return "" if square <= allowed else f"said to have no solution, but wᵀGw is {square:.3g}, stationary {allowed:.3g}"


def write(folder: Path, found: Sequence[Exactness]) -> None:
    """Write the counts to ``exactness.csv`` in ``folder``, one row per room."""
    columns = [column.name for column in fields(Exactness) if column.name != "failures"]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(result) for result in found)
    write_atomically(folder / FILE, buffer.getvalue())
