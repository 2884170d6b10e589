"""What a card is about: somebody's function, asked in one way whatever it takes.

A question is a Jacobian J (K, d), one gradient a row, with losses (K,); the answer is the update direction u (d,). A
subject takes the Jacobian and returns u, or takes the Gramian J Jᵀ and returns weights w with u = Jᵀw, or is a
:class:`~mtlbench.methods.Method`. It gets numpy or torch arrays in float64, copies of its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from inspect import Parameter, isclass, signature
from typing import Any, NamedTuple

import numpy as np

from mtlbench import methods
from mtlbench.errors import InputError, unknown_name
from mtlbench.methods import Method, Promises
from mtlbench.referee.families import Array, gaussian_rows, gramian
from mtlbench.referee.guest import located
from mtlbench.referee.outsider import read

TAKES = ("jacobian", "gramian", "method")
ARRAYS = ("numpy", "torch")
TASKS = "K"
"""As the value of an option: the number of tasks of the question."""


class Question(NamedTuple):
    """The Jacobian (K, d) and the losses (K,)."""

    jacobian: Array
    losses: Array


Ask = Callable[[Question], Array]


@dataclass(frozen=True)
class Subject:
    """``make(K)`` → what is called, new for K tasks where the subject is a class."""

    name: str
    takes: str
    arrays: str
    make: Callable[[int], Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    package: str = ""
    promises: Promises | None = None

    def fresh(self, tasks: int) -> Ask:
        """A new instance, asked again and again; with ``seed`` 0 of every global generator each time."""
        made = self.make(tasks)
        return lambda question: self.answer(made, question)

    def ask(self, question: Question, seed: int = 0) -> Array:
        """The direction (d,) that a new instance answers; raises what the subject raises."""
        return self.answer(self.make(len(question.jacobian)), question, seed)

    def answer(self, made: Any, question: Question, seed: int = 0) -> Array:
        """The direction (d,) of ``made``, the global random generators being seeded for it and left as they were."""
        with seeded(seed, self.arrays == "torch"):
            if self.takes == "method":
                direction, _ = combined(made, question)
                return direction
            result = self.call(made, question)()
        if self.takes == "jacobian":
            return read(result, question.jacobian.shape[1]).weights
        return question.jacobian.T @ read(result, len(question.jacobian)).weights

    def call(self, made: Any, question: Question) -> Callable[[], Any]:
        """The bare call, its arguments made: what is timed."""
        if self.takes == "method":
            return lambda: combined(made, question)
        value = question.jacobian.copy() if self.takes == "jacobian" else gramian(question.jacobian)
        if self.arrays == "torch":
            import torch

            tensor = torch.from_numpy(value)
            return lambda: made(tensor)
        return lambda: made(value)


def combined(method: Method, question: Question) -> tuple[Array, float]:
    """The direction of a method of ours, and Σ |w_i| ‖row_i‖, the lengths that it was put together from."""
    rows = question.jacobian
    if method.needs == "jacobian":
        import torch

        given = tuple((torch.from_numpy(row.copy()),) for row in rows)
        rows = np.array([row[0].numpy() for row in method.rows(given, torch.from_numpy(question.losses.copy()))])
    weights = method.weights(gramian=gramian(rows), losses=question.losses)
    return rows.T @ weights, float(np.abs(weights) @ np.linalg.norm(rows, axis=1))


def find(
    specification: str, *, takes: str = "auto", arrays: str = "auto", options: Mapping[str, Any] | None = None
) -> Subject:
    """The subject that ``package.module:name`` names, or a method of ours by its name.

    A class is instantiated, with ``options``; of those the value "K" is the number of tasks. What it takes is found
    by asking, unless it is said. Raises :class:`~mtlbench.errors.InputError`, one sentence, where that fails.
    """
    given = dict(options or {})
    if specification in methods.names():
        methods.get(specification, **given)
        found: Any = type(methods.get(specification))
    else:
        found = located(specification, "check")
    make = _maker(specification, found, given)
    made = make(3)
    ours = isinstance(made, Method)
    if ours != (takes == "method") and takes != "auto":
        raise InputError(f"check {specification!r}: it {'is' if ours else 'is not'} a Method: --takes {takes} is wrong")
    if ours:
        return Subject(specification, "method", "numpy", make, given, _package(found), made.promises)
    if not callable(made):
        raise InputError(f"check {specification!r}: an instance of {type(made).__name__} cannot be called")
    takes, arrays = _probe(specification, make, takes, arrays)
    return Subject(specification, takes, arrays, make, given, _package(found))


def _maker(specification: str, found: Any, options: dict[str, Any]) -> Callable[[int], Any]:
    if not isclass(found):
        if options:
            raise InputError(f"check {specification!r}: options are for a class, and this is a {type(found).__name__}")
        return lambda tasks: found
    for option in options:
        if option not in (valid := _parameters(found, option)):
            raise unknown_name(f"option of {specification}", option, valid)

    def make(tasks: int) -> Any:
        try:
            return found(**{name: tasks if value == TASKS else value for name, value in options.items()})
        except InputError:
            raise
        except Exception as error:
            missing = isinstance(error, TypeError)
            hint = (
                "; arguments are given as --option NAME=VALUE, the value K being the number of tasks" if missing else ""
            )
            raise InputError(f"check {specification!r}: no instance can be made: {said(error)}{hint}") from error

    return make


def _parameters(found: type, option: str) -> set[str]:
    """The options of a class; whatever is asked for, where it takes any or does not say."""
    if issubclass(found, Method):
        return set(found.parameters())
    try:
        parameters = signature(found).parameters.values()
    except ValueError:  # compiled classes need not have a signature
        return {option}
    takes_any = any(p.kind is Parameter.VAR_KEYWORD for p in parameters)
    return {option} if takes_any else {p.name for p in parameters}


def _probe(specification: str, make: Callable[[int], Any], takes: str, arrays: str) -> tuple[str, str]:
    """What it takes, in which arrays: the first pair that answers three gradients in seven dimensions."""
    question = Question(gaussian_rows(np.random.default_rng(0), 3)[:, [*range(6), 0]], np.ones(3))
    failures: dict[str, str] = {}
    # A module of torch wants tensors; of anything else numpy is tried first.
    likely = ARRAYS[::-1] if hasattr(make(3), "register_forward_hook") else ARRAYS
    for kind in TAKES[:2] if takes == "auto" else (takes,):
        for library in likely if arrays == "auto" else (arrays,):
            try:
                Subject(specification, kind, library, make).ask(question)
                return kind, library
            except InputError:
                raise
            except (Exception, SystemExit) as error:
                failures.setdefault(f"a {kind.capitalize()} in {library}", said(error))
    tried = "; ".join(f"given {what} it {why}" for what, why in failures.items())
    raise InputError(f"check {specification!r}: it answers nothing of the right shape: {tried}")


def said(error: BaseException) -> str:
    """An exception in one line, as the end of a sentence."""
    text = " ".join(str(error).split())
    return text if type(error).__name__ == "NoAnswer" else f"raised {type(error).__name__}: {text}"


def _package(found: Any) -> str:
    """The installed distribution and its version, or nothing for a file of one's own."""
    top = (getattr(found, "__module__", None) or type(found).__module__).partition(".")[0]
    try:
        return f"{top} {metadata.version(top)}"
    except metadata.PackageNotFoundError:
        names = _distributions().get(top, [])
        return f"{names[0]} {metadata.version(names[0])}" if names else ""


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Module → distributions, for the few that have another name: it takes a second to read."""
    return metadata.packages_distributions()


@contextmanager
def seeded(seed: int, torch_too: bool) -> Iterator[None]:
    """The global generators of Python, numpy and, if asked, torch start at ``seed``, and go on afterwards unchanged."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - a guest may draw from it
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        if torch_too:
            import torch

            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                yield
        else:
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
