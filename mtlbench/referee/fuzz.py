"""Inputs that nobody should send, sent to every room: each gets a certified answer, an honest one, or a sentence.

    python -m mtlbench.referee.fuzz 100000 --seed 0

Every input is a matrix of a random kind (good Gramians of every scale and rank among them), given a random flaw and a
random form (list, float32, strided, read-only, ...), for a random algorithm of a random room. Its outcome is one of

    certified     the solution is within the room's tolerance, and its gap is the certificate
    honest        a solution outside the tolerance that says so, its gap being the certificate
    refused       InvalidGramian, NoSolution, or ValueError, in one sentence
    broken        anything else: another exception, weights that are not finite, a gap that is not the certificate,
                  a wrong claim, or more than :data:`SECONDS`

The exit status is 1 if one is broken; the input is named by its seed and number, and :func:`draw` makes it again.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from inspect import signature
from time import perf_counter
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from mtlbench import solvers
from mtlbench.referee.families import Array
from mtlbench.referee.progress import tracked
from mtlbench.solvers import InvalidGramian, NoSolution

ROOMS: dict[str, ModuleType] = {
    name: module
    for name, module in vars(solvers).items()
    if isinstance(module, ModuleType) and hasattr(module, "ALGORITHMS")
}
SECONDS = 10.0
LIMIT = 50
"""Iterations for an iterative algorithm: a hang would show, a long way to the optimum need not be walked."""

Generator = np.random.Generator


class Case(NamedTuple):
    """One input: what is called, and with what."""

    room: str
    algorithm: str
    kind: str
    flaw: str
    form: str
    value: Any


def gram(rows: Array) -> Array:
    """J Jᵀ of the rows of J."""
    return symmetric(rows @ rows.T)


def symmetric(matrix: Array) -> Array:
    """Its symmetric part."""
    return (matrix + matrix.T) / 2


def centred(rows: Array) -> Array:
    """Rows whose mean is 0: a stationary point."""
    return rows - rows.mean(axis=0)


KINDS: dict[str, Callable[[Generator, int], Array]] = {
    "gaussian": lambda rng, k: gram(rng.standard_normal((k, 2 * k))),
    "rank deficient": lambda rng, k: gram(rng.standard_normal((k, max(1, k // 3)))),
    "norms": lambda rng, k: gram(rng.standard_normal((k, 2 * k)) * 10.0 ** rng.uniform(-8, 8, (k, 1))),
    "collinear": lambda rng, k: gram(
        rng.standard_normal(k + 2) + 10.0 ** rng.uniform(-9, -1) * rng.standard_normal((k, k + 2))
    ),
    "duplicates": lambda rng, k: gram(rng.standard_normal((max(1, k // 2), k))[rng.integers(0, max(1, k // 2), k)]),
    "opposed": lambda rng, k: gram(
        np.outer(rng.choice([-1.0, 1.0], k) * rng.uniform(0.1, 10, k), rng.standard_normal(3))
    ),
    "centred": lambda rng, k: gram(centred(rng.standard_normal((k, 2 * k)))),
    "integers": lambda rng, k: gram(rng.integers(-3, 4, (k, k)).astype(np.float64)),
    "zeros": lambda rng, k: np.zeros((k, k)),
    "identity": lambda rng, k: np.eye(k),
    "noise": lambda rng, k: rng.standard_normal((k, k)),
    "indefinite": lambda rng, k: symmetric(rng.uniform(-1, 1, (k, k))) + 0.5 * np.eye(k),
}


def _poke(value: float) -> Callable[[Generator, Array], Any]:
    def flaw(rng: Generator, matrix: Array) -> Array:
        matrix[tuple(rng.integers(0, len(matrix), 2))] = value
        return matrix

    return flaw


FLAWS: dict[str, Callable[[Generator, Array], Any]] = {
    "none": lambda rng, g: g,
    "scale": lambda rng, g: g * 10.0 ** rng.uniform(-280, 280),
    "nan": _poke(np.nan),
    "inf": _poke(np.inf),
    "minus inf": _poke(-np.inf),
    "an entry": lambda rng, g: _poke(float(rng.standard_normal() * 10.0 ** rng.uniform(-5, 5)))(rng, g),
    "zero row": lambda rng, g: (
        g
        * np.where(np.arange(len(g)) == rng.integers(len(g)), 0.0, 1.0)
        * np.where(np.arange(len(g)) == rng.integers(len(g)), 0.0, 1.0)[:, None]
    ),
    "rounding": lambda rng, g: g * (1 + 1e-7 * rng.standard_normal(g.shape)),
    "not square": lambda rng, g: g[:, :-1],
    "flat": lambda rng, g: g.ravel(),
    "stack": lambda rng, g: g[None],
    "empty": lambda rng, g: g[:0, :0],
    "negative": lambda rng, g: -g,
    "denormal": lambda rng, g: g * 5e-324,
    "huge": lambda rng, g: g * 1e308,
}
FORMS: dict[str, Callable[[Any], Any]] = {
    "array": lambda g: g,
    "list": lambda g: g.tolist(),
    "float32": lambda g: g.astype(np.float32),
    "integers": lambda g: np.nan_to_num(np.clip(g, -1e9, 1e9)).astype(np.int64),
    "fortran": np.asfortranarray,
    "strided": lambda g: np.repeat(g, 2, axis=-1)[..., ::2],
    "read only": lambda g: np.frombuffer(g.tobytes(), g.dtype).reshape(g.shape),
    "object": lambda g: g.astype(object),
    "complex": lambda g: g.astype(complex),
    "text": lambda g: g.astype(str),
    "ragged": lambda g: [list(row)[: i + 1] for i, row in enumerate(np.atleast_2d(g))],
}
USUAL = 0.5
"""The share of flaws and of forms that are none at all."""


def draw(seed: int, number: int) -> Case:
    """Input ``number`` of the run with ``seed``; it depends on these two alone."""
    rng = np.random.default_rng([seed, number])

    def choose(names: dict[str, Any], usual: float = 0.0) -> str:
        return next(iter(names)) if rng.uniform() < usual else str(rng.choice(list(names)))

    room = choose(ROOMS)
    algorithms = ROOMS[room].ALGORITHMS
    kind, flaw, form = choose(KINDS), choose(FLAWS, USUAL), choose(FORMS, USUAL)
    # cvxpy takes milliseconds a call: the referee is asked less often than the others.
    algorithm = str(rng.choice([name for name in algorithms if name != "exact" or rng.uniform() < 0.02]))
    size = int(rng.choice([1, 2, 3, 4, 5, 8, 13, 32, 100], p=[0.1, 0.2, 0.2, 0.15, 0.1, 0.1, 0.1, 0.04, 0.01]))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = FORMS[form](FLAWS[flaw](rng, KINDS[kind](rng, size)))
    return Case(room, algorithm, kind, flaw, form, value)


def outcome(case: Case) -> tuple[str, str]:
    """(certified, honest, refused or broken; what was said or what is wrong)."""
    room = ROOMS[case.room]
    began = perf_counter()
    try:
        options = {"max_iterations": LIMIT} if room.algorithm(case.algorithm).iterative else {}
        solution = room.solve(case.value, algorithm=case.algorithm, **options)
        seconds = perf_counter() - began
        if seconds > SECONDS:
            return "broken", f"took {seconds:.0f} s"
        return _judged(room, case, solution)
    except (InvalidGramian, NoSolution, ValueError) as error:
        text = str(error)
        expected = text and "\n" not in text and type(error) in (InvalidGramian, NoSolution, ValueError)
        return ("refused" if expected else "broken"), f"{type(error).__name__}: {text}"
    except Exception as error:
        return "broken", f"{type(error).__name__}: {error}"


def _judged(room: ModuleType, case: Case, solution: Any) -> tuple[str, str]:
    weights = solution.weights
    if not np.isfinite(weights).all():
        return "broken", "weights are not finite"
    gap = room.certificate(case.value, weights)
    if solution.gap != gap and not (np.isnan(gap) and np.isnan(solution.gap)):
        return "broken", f"the gap is said to be {solution.gap:.3g}, the certificate is {gap:.3g}"
    own = {"weights": weights} if "weights" in signature(room.tolerated_gap).parameters else {}
    if solution.converged is not bool(gap <= room.tolerated_gap(case.value, **own)):
        return "broken", f"converged is {solution.converged} at a gap of {gap:.3g}"
    return ("certified" if solution.converged else "honest"), f"gap {gap:.3g}"


def run(count: int, seed: int = 0, progress: bool = False) -> tuple[Counter[tuple[str, str]], list[str]]:
    """How often each (room, outcome) came, and a line for each broken one."""
    counts: Counter[tuple[str, str]] = Counter()
    broken = []
    for room in ROOMS.values():
        for algorithm in room.ALGORITHMS:  # to compile is not to hang
            room.solve([[2.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 1.0]], algorithm=algorithm, max_iterations=2)
    for number in tracked(range(count), "fuzz", progress):
        case = draw(seed, number)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found, text = outcome(case)
        counts[case.room, found] += 1
        if found == "broken":
            broken.append(f"seed {seed}, input {number} ({', '.join(case[:5])}): {text}")
    return counts, broken


def main() -> int:
    """The command line of this module."""
    parser = argparse.ArgumentParser(
        prog="python -m mtlbench.referee.fuzz", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts, broken = run(options.count, options.seed, progress=True)
    kinds = ("certified", "honest", "refused", "broken")
    print(f"{'room':<12}" + "".join(f"{kind:>11}" for kind in kinds))
    for room in ROOMS:
        print(f"{room:<12}" + "".join(f"{counts[room, kind]:>11}" for kind in kinds))
    print("\n".join(broken))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
