"""What every method is: its declarations, its three calls, its state.

A method sees each training step through three calls, two of them optional:

1. ``rows(jacobian, losses)``: the rows to combine instead of the plain task gradients g_1..g_K;
2. ``weights(gramian=..., losses=...)``: one weight per task; the update direction is u = Σ_i w_i rows_i;
3. ``observe(losses)``: the losses on the same batch after the optimizer's step.

A concrete method derives from :class:`LossMethod` or :class:`GramianMethod` and writes one function: its
formula.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt

from mtlbench.errors import InputError, unknown_name
from mtlbench.search import Range, ranges

if TYPE_CHECKING:
    import torch

    from mtlbench.methods._room import Inner
    from mtlbench.solvers import Solution

    Rows = tuple[tuple[torch.Tensor, ...], ...]

Array = npt.NDArray[np.float64]
Needs = Literal["losses", "gramian", "jacobian", "losses_after"]
Level = Literal["shared", "last_layer", "representation"]
LEVELS: tuple[Level, ...] = get_args(Level)
COUNTERS = ("zero_task_events", "stationary_events")
"""What every method counts and a checkpoint holds: tasks without a gradient, and steps that had no solution."""


class UndefinedLoss(InputError):
    """A loss has a value for which the method's formula is not defined; a training run ends there."""


@dataclass(frozen=True, kw_only=True)
class Promises:
    """What a method guarantees; the tests hold it to every word, and show a witness where it says no.

    ``non_conflicting``: ⟨g_i, u⟩ >= 0 for every task and any gradients of the shared parameters.
    ``common_scale``: the degree p in u ↦ c^(p+1) u when all losses are multiplied by c > 0, which is w ↦ c^p w
    where the rows are the gradients; None where there is no such law.
    ``task_scale``: how u answers to L_i ↦ c_i L_i: "invariant" (the same u), "direction" (the same up to
    length), "linear" (u is linear in c), or "none" of these.
    ``permutation``: permuting the tasks permutes the weights.
    ``unique``: the weights are determined by the inputs ("weights"), or only u is ("direction").
    For a method with a memory the inputs are those of all steps: a scale is one from the first step on.
    """

    non_conflicting: bool
    common_scale: float | None
    task_scale: Literal["invariant", "direction", "linear", "none"]
    permutation: bool
    unique: Literal["weights", "direction"]


class Method(ABC):
    """The base of all methods. Options are keyword-only arguments, kept under their own names.

    A class names its own options and hands the others on: ``def __init__(self, *, own=1.0, **common)``.

    ``head_weights`` says what the parameters of one task alone receive: the gradient of that task's loss as
    it is ("none"), or times the task's weight ("same"). ``state`` names the attributes that a checkpoint must
    hold, ``per_task`` the options that hold one number per task. A stochastic method takes ``seed=0``, sets
    ``self.random = generator(self.name, seed)`` and draws from that alone; its state is kept too.

    ``search`` says where options of the method's own are looked for when it is tuned; learning rate and weight
    decay are tuned for all methods alike.

    ``solution`` is the last inner solution and ``inner`` the problem that it belongs to, where the method states one.
    ``stationary_events`` counts the steps in which there is none, because the point is Pareto stationary.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    needs: ClassVar[Needs]
    promises: Promises
    search: ClassVar[Mapping[str, Range]] = ranges()
    level: Level = "shared"
    batches: int = 1
    zero_task: Literal["drop", "keep"] = "keep"
    inner_problem: ClassVar[str | None] = None
    state: ClassVar[tuple[str, ...]] = ()
    per_task: ClassVar[tuple[str, ...]] = ()
    random: np.random.Generator | None = None

    def __init__(self, *, head_weights: str) -> None:
        self.head_weights = choice(self.name, "head_weights", head_weights, ("none", "same"))
        self.zero_task_events = 0
        self.stationary_events = 0
        self.solution: Solution | None = None
        self.inner: Inner | None = None

    def rows(self, jacobian: Rows, losses: torch.Tensor) -> Rows:
        """The rows to combine, for each task a tuple of tensors (``needs`` is jacobian)."""
        return jacobian

    @abstractmethod
    def weights(self, *, gramian: Any = None, losses: Any = None) -> Array:
        """The weights (K,) of this step, from the rows' Gramian (K, K) and the losses (K,), numpy or torch.

        Every call is one training step: a method with a state moves on. Raises
        :class:`~mtlbench.errors.InputError` when what the method needs is missing or has the wrong shape.
        """

    def observe(self, losses: Any) -> None:  # noqa: B027 - most methods have nothing to observe
        """Take the losses (K,) on the same batch after the optimizer's step (``needs`` is losses_after)."""

    def cost(self, tasks: int) -> int:
        """Backward passes through the trunk in one step with ``tasks`` tasks.

        One where the weights are known before it: from the losses, the last shared layer or the representation. (At
        the last layer the heads are passed twice, once per task for the weights and once for the update.)
        """
        one = self.needs in ("losses", "losses_after") or self.level != "shared"
        return 1 if one else tasks * self.batches

    def check_tasks(self, tasks: int) -> None:
        """Raise :class:`~mtlbench.errors.InputError` when the options do not fit ``tasks`` tasks."""
        for option in self.per_task:
            given = getattr(self, option)
            if given is not None and len(given) != tasks:
                raise InputError(
                    f"{option} of {self.name}: {len(given)} given for {tasks} tasks, one per task is needed"
                )

    @classmethod
    def parameters(cls) -> dict[str, Parameter]:
        """The options that the class takes, its own first, then those of its bases."""
        found: dict[str, Parameter] = {}
        for base in cls.__mro__:
            if "__init__" in vars(base):
                taken = signature(vars(base)["__init__"]).parameters.values()
                for taker in taken:
                    if taker.kind is Parameter.KEYWORD_ONLY:
                        found.setdefault(taker.name, taker)
                if not any(taker.kind is Parameter.VAR_KEYWORD for taker in taken):
                    break
        return found

    def options(self) -> dict[str, Any]:
        """Every option and its value, ready for JSON: what the report prints."""
        return {option: getattr(self, option) for option in self.parameters()}

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that the next step depends on."""
        random = {} if self.random is None else {"random": self.random.bit_generator.state}
        return deepcopy({name: getattr(self, name) for name in (*COUNTERS, *self.state)} | random)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state``. Raises :class:`~mtlbench.errors.InputError` when it is another method's."""
        expected = self.state_dict().keys()
        if state.keys() != expected:
            raise InputError(f"{self.name}: the state holds {sorted(state)}, expected {sorted(expected)}")
        for name, value in deepcopy(state).items():
            if name == "random" and self.random is not None:
                self.random.bit_generator.state = value
            else:
                setattr(self, name, value)


class LossMethod(Method):
    """A method that looks at the losses alone; it weights the whole loss, heads included."""

    needs: ClassVar[Needs] = "losses"

    def __init__(self, *, head_weights: str = "same") -> None:
        super().__init__(head_weights=head_weights)

    def weights(self, *, gramian: Any = None, losses: Any = None) -> Array:
        """The weights (K,) for the losses (K,); ``gramian`` is not looked at."""
        if losses is None:
            raise InputError(f"{self.name} computes its weights from the losses: pass losses=")
        values = _vector(self.name, losses)
        self.check_tasks(len(values))
        return np.asarray(self.loss_weights(values), dtype=np.float64)

    @abstractmethod
    def loss_weights(self, losses: Array) -> Array:
        """The formula: weights (K,) from losses (K,)."""


class GramianMethod(Method):
    """A method that looks at the Gramian G_ij = ⟨g_i, g_j⟩ of the task gradients, and perhaps at the losses.

    A task whose gradient is exactly zero (G_ii = 0) is taken out before the formula and gets weight 0, and
    ``zero_task_events`` counts it; with ``zero_task`` "keep" the formula sees it.

    ``level`` says where the gradients are taken: by all shared parameters ("shared"), by those of the last
    shared layer ("last_layer"), or by the representation ("representation"). Away from "shared" the weights
    answer to other vectors than the ones that the update is made of: no promise about conflicts is kept.

    ``used`` (K,) says which of all tasks the formula sees, for methods that treat tasks by their place.
    """

    needs: ClassVar[Needs] = "gramian"
    levels: ClassVar[tuple[Level, ...]] = LEVELS

    def __init__(self, *, level: str = "shared", zero_task: str = "drop", head_weights: str = "none") -> None:
        super().__init__(head_weights=head_weights)
        self.level = choice(self.name, "level", level, self.levels)
        self.zero_task = choice(self.name, "zero_task", zero_task, ("drop", "keep"))
        self.used: npt.NDArray[np.bool_] = np.ones(0, dtype=bool)
        if self.level != "shared":
            self.promises = replace(self.promises, non_conflicting=False)

    def weights(self, *, gramian: Any = None, losses: Any = None) -> Array:
        """The weights (K,) for the Gramian (K, K), with the losses (K,) where the method looks at them."""
        self.solution = self.inner = None
        if gramian is None:
            raise InputError(f"{self.name} computes its weights from the Gramian of the task gradients: pass gramian=")
        matrix = _array(gramian)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
            raise InputError(f"{self.name}: the Gramian must be a square matrix, got shape {matrix.shape}")
        values = None if losses is None else _vector(self.name, losses)
        if values is not None and len(values) != len(matrix):
            raise InputError(f"{self.name}: {len(values)} losses do not fit a Gramian of shape {matrix.shape}")
        self.check_tasks(len(matrix))
        used = matrix.diagonal() != 0
        dropped = len(matrix) - int(np.count_nonzero(used))
        self.zero_task_events += dropped
        if self.zero_task == "keep" or not dropped:
            self.used = np.ones_like(used)
            return np.asarray(self.gramian_weights(matrix, values), dtype=np.float64)
        self.used = used
        weights = np.zeros(len(matrix))
        if used.any():
            weights[used] = self.gramian_weights(matrix[np.ix_(used, used)], None if values is None else values[used])
        return weights

    @abstractmethod
    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """The formula: weights (K,) from the Gramian (K, K), without zero rows unless they are kept."""


def choice(method: str, option: str, value: Any, valid: Iterable[str]) -> Any:
    """``value`` if it is one of ``valid``; otherwise the error that offers the nearest one."""
    names = tuple(valid)
    if value not in names:
        raise unknown_name(f"{option} of {method}", value, names)
    return value


def number(
    method: str,
    option: str,
    value: Any,
    *,
    minimum: float = 0.0,
    maximum: float = math.inf,
    integer: bool = False,
) -> Any:
    """``value`` if it is a finite number from ``minimum`` to ``maximum``; otherwise an error that says so."""
    kind = int | np.integer if integer else int | float | np.integer | np.floating
    proper = isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
    if not proper or not minimum <= value <= maximum:
        what = "an integer" if integer else "a finite number"
        least = "" if minimum == -math.inf else f" of at least {minimum:g}"
        most = "" if maximum == math.inf else f" and at most {maximum:g}"
        raise InputError(f"{option} of {method} must be {what}{least}{most}, got {value!r}")
    return value


def numbers(method: str, option: str, values: Any, *, positive: bool = False) -> list[float] | None:
    """``values`` as a list of finite numbers, one per task; None stays None.

    With ``positive`` all must be above 0. Raises the error that names the entry.
    """
    if values is None:
        return None
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InputError(f"{option} of {method} must be a list with one number per task, got {values!r}")
    minimum = 0.0 if positive else -math.inf
    found = [float(number(method, f"{option}[{i}]", value, minimum=minimum)) for i, value in enumerate(values)]
    if positive and not all(found):
        raise InputError(f"{option} of {method} must hold positive numbers, got {found}")
    return found


def positive(method: str, losses: Array, cure: str = "") -> Array:
    """``losses`` if all are positive; otherwise :class:`UndefinedLoss`, with ``cure`` as the way out."""
    if not (losses > 0).all():
        task = int(np.flatnonzero(~(losses > 0))[0])
        raise UndefinedLoss(f"{method} needs positive losses, but that of task {task} is {losses[task]:g}{cure}")
    return losses


def softmax(scores: Array) -> Array:
    """exp(scores), brought to sum 1."""
    powers = np.exp(scores - scores.max())
    return np.asarray(powers / powers.sum())


def generator(method: str, seed: Any) -> np.random.Generator:
    """The random generator of a stochastic method; its state is part of the method's."""
    return np.random.default_rng(number(method, "seed", seed, integer=True))


def _array(value: Any) -> Array:
    """``value`` as float64 numpy on the host; a tensor is recognised without importing torch."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().double().numpy()
    return np.asarray(value, dtype=np.float64)


def _vector(method: str, losses: Any) -> Array:
    values = _array(losses)
    if values.ndim != 1 or not values.size:
        raise InputError(f"{method}: the losses must be a vector with one entry per task, got shape {values.shape}")
    return values
