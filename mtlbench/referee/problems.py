"""The problems of one validation: Gramians of every family, of the collection and of training runs, with the
reference optimum of each.

The reference is ``exact`` (cvxpy), judged like everybody else by its own certified gap: with f = ½ wᵀGw,
weights w* of gap ε* give f(w*) − ε* <= min f <= f(w*). Built once, read by one job per algorithm.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from mtlbench import config
from mtlbench.errors import InputError
from mtlbench.files import digest, write_atomically
from mtlbench.gramians import Record, thinned
from mtlbench.gramians import load as load_collection
from mtlbench.referee.families import FAMILIES, LARGEST_SIZE, Array, draw
from mtlbench.referee.progress import tracked
from mtlbench.solvers import InvalidGramian, min_norm
from mtlbench.solvers.gramian import check

COLLECTION = "collection"
"""The family of Gramians that come with mtlbench (:mod:`mtlbench.gramians`)."""
RECORDED = "recorded"
"""The family of Gramians that training runs left in their ``audit.npz``."""


@dataclass(frozen=True)
class Settings:
    """How much is judged: ``per_size`` problems of every family at every size K, drawn from ``seed``.

    ``iterations`` is the length of every trace and the limit given to every solver; ``recorded_limit`` caps
    the number of recorded Gramians. Of the collection 2 ``per_size`` Gramians for every size are taken, whatever
    their own K: a thinning of the whole.
    """

    sizes: tuple[int, ...] = (1, 2, 3, 5, 8, 16, 32, 64)
    per_size: int = 3
    seed: int = 0
    iterations: int = 1000
    recorded_limit: int = 60

    def __post_init__(self) -> None:
        """Raise :class:`~mtlbench.errors.InputError` for a setting under which nothing would be judged."""
        if not self.sizes or not all(1 <= size <= LARGEST_SIZE for size in self.sizes):
            raise InputError(f"validate: sizes must be numbers from 1 to {LARGEST_SIZE}, got {list(self.sizes)}")
        for name in ("per_size", "iterations", "recorded_limit"):
            if getattr(self, name) < 1:
                raise InputError(f"validate: {name} must be at least 1, got {getattr(self, name)}")
        if self.seed < 0:
            raise InputError(f"validate: seed must not be negative, got {self.seed}")


@dataclass(frozen=True)
class Problem:
    """One Gramian (K, K), the reference optimum's weights (K,), and where to get the Gramian again."""

    family: str
    size: int
    number: int
    gramian: Array
    reference: Array
    origin: str

    @property
    def name(self) -> str:
        """The problem as a verdict names it."""
        return f"{self.family}, {self.size} tasks, problem {self.number} ({self.origin})"


@dataclass(frozen=True)
class ProblemSet:
    """All problems of one validation; ``digest`` is that of the file they were read from."""

    problems: tuple[Problem, ...]
    settings: Settings
    families: tuple[str, ...]
    digest: str


FILE = "problems.npz"


def build(folder: Path, settings: Settings, recorded: Path | None = None, progress: bool = False) -> None:
    """Write every problem with its reference optimum to ``problems.npz`` in ``folder``.

    ``recorded``: a folder of training runs, whose ``audit.npz`` files give the family ``recorded``. Raises
    :class:`~mtlbench.errors.InputError` for a folder that does not exist or a file that cannot be used.
    """
    drawn = [
        (family, size, number, draw(family, size, number, settings.seed), f"seed {settings.seed}")
        for family in FAMILIES
        for size in sorted(set(settings.sizes))
        for number in range(settings.per_size)
    ]
    drawn += [(COLLECTION, len(r.gramian), number, r.gramian, r.name) for number, r in collected(settings)]
    if recorded is not None:
        found = recorded_gramians(recorded, settings.recorded_limit)
        drawn += [(RECORDED, len(g), number, g, origin) for number, (g, origin) in enumerate(found)]
    problems = [
        Problem(family, size, number, g, min_norm.solve(g, algorithm="exact").weights, origin)
        for family, size, number, g, origin in tracked(drawn, "reference optima", progress)
    ]
    families = [*FAMILIES, COLLECTION, *([RECORDED] if recorded is not None else [])]
    write_atomically(folder / FILE, _pack(problems, settings, families))


def load(folder: Path) -> ProblemSet:
    """Read what :func:`build` wrote to ``folder``."""
    path = folder / FILE
    try:
        with np.load(path, allow_pickle=False) as file:
            index = json.loads(str(file["index"]))
            gramians, references = file["gramians"], file["references"]
    except FileNotFoundError:
        raise InputError(f"the problem file {path} does not exist: build the problems first") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        message = f"{path} is not a whole problem file ({error}): delete it and build the problems again"
        raise InputError(message) from None
    settings = Settings(**(index["settings"] | {"sizes": tuple(index["settings"]["sizes"])}))
    problems = []
    entries = weights = 0
    for family, size, number, origin in index["problems"]:
        g = gramians[entries : entries + size * size].reshape(size, size)
        problems.append(Problem(family, size, number, g, references[weights : weights + size], origin))
        entries, weights = entries + size * size, weights + size
    return ProblemSet(tuple(problems), settings, tuple(index["families"]), digest(path))


def _pack(problems: Sequence[Problem], settings: Settings, families: Sequence[str]) -> bytes:
    index = {
        "settings": asdict(settings),
        "families": families,
        "problems": [(p.family, p.size, p.number, p.origin) for p in problems],
    }
    buffer = io.BytesIO()
    np.savez(
        buffer,
        index=np.array(json.dumps(index, ensure_ascii=False)),
        gramians=np.concatenate([p.gramian.ravel() for p in problems]),
        references=np.concatenate([p.reference for p in problems]),
    )
    return buffer.getvalue()


def collected(settings: Settings) -> list[tuple[int, Record]]:
    """The records of the collection to judge on, each with its place in it."""
    records = load_collection()
    places = thinned(len(records), 2 * settings.per_size * len(set(settings.sizes)))
    return [(place, records[place]) for place in places]


def recorded_gramians(runs: Path, limit: int) -> list[tuple[Array, str]]:
    """At most ``limit`` Gramians that the training runs below ``runs`` recorded, each with where it comes
    from.

    Of every finished run the first, the middle and the last audited step, equal Gramians once; where that is
    too many, every n-th in the order of the paths. Runs whose ``run.json`` says that they did not finish are
    left out: a diverged Gramian is no problem to judge a solver by. Rounding asymmetry is averaged away.
    Raises :class:`~mtlbench.errors.InputError` for a folder that does not exist, a broken file or an invalid
    Gramian.
    """
    if not runs.is_dir():
        raise InputError(f"the folder of recorded runs {runs} does not exist")
    listed = config.listed_runs(runs.parent)
    wanted = runs.rglob("audit.npz") if listed is None else (folder / "audit.npz" for folder in listed)
    paths = sorted(path for path in wanted if path.is_file() and _finished(path))
    found = list(_distinct(sample for path in paths for sample in _samples(path, runs)))
    if not found:  # audits may be off, or every run diverged: the verdict then says 0 recorded problems
        return []
    kept = np.unique(np.linspace(0, len(found) - 1, min(limit, len(found))).round().astype(int))
    return [found[i] for i in kept]


def _finished(path: Path) -> bool:
    record = path.with_name("run.json")
    try:
        return not record.exists() or json.loads(record.read_text(encoding="utf-8")).get("status") == "done"
    except (OSError, ValueError) as error:
        raise InputError(f"{record} cannot be read as JSON ({error}): delete this run and train it again") from None


def _samples(path: Path, runs: Path) -> Iterator[tuple[Array, str]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            steps = file["steps"]
            stacks = {key: file[key] for key in ("gramians", "solver_gramians") if key in file}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        message = f"{path} is not a whole audit file ({error}): delete this run and train it again"
        raise InputError(message) from None
    for key, stack in stacks.items():
        if stack.ndim != 3 or len(stack) != len(steps):
            raise InputError(f"{path}: {key} has shape {stack.shape}, expected ({len(steps)}, K, K)")
        for i in sorted({0, len(steps) // 2, len(steps) - 1} & set(range(len(steps)))):
            origin = f"{path.parent.relative_to(runs).as_posix()} step {int(steps[i])}"
            try:
                check(stack[i])
            except InvalidGramian as error:
                raise InputError(f"{path}: {key} of step {int(steps[i])} is not valid: {error}") from None
            g = np.asarray(stack[i], dtype=np.float64)
            yield (g + g.T) / 2, f"{key} of {origin}"


def _distinct(samples: Iterable[tuple[Array, str]]) -> Iterator[tuple[Array, str]]:
    seen = set()
    for g, origin in samples:
        if g.tobytes() not in seen:
            seen.add(g.tobytes())
            yield g, origin
