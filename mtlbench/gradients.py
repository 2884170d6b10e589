"""The hot path: from K losses to task gradients, their Gramian, the method's weights, and ``.grad``.

    u = Σ_i w_i g_i for the shared parameters,    w = method.weights(gramian=G),    G_ij = ⟨g_i, g_j⟩

Gradients are never concatenated, heads are differentiated once per task, and one copy per step goes from the
device to the host. See ``docs/mathematics.md``, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mtlbench.errors import InputError
from mtlbench.gramian import averaged, gramian, host_gramian, ranks, to_host
from mtlbench.graph import Losses, gradient, jacobian, leaves, reach, read_losses, shared_parameters
from mtlbench.methods.method import Array, Method

if TYPE_CHECKING:
    from mtlbench.methods.method import Rows

__all__ = ["NonFiniteLoss", "StepRecord", "backward", "gramian", "jacobian", "shared_parameters", "step"]


class NonFiniteLoss(ArithmeticError):
    """The loss of the tasks ``tasks`` (indices), or its gradient, is NaN or infinite; nothing was added."""

    def __init__(self, what: str, tasks: Sequence[int], names: Sequence[str] | None) -> None:
        self.tasks = tuple(tasks)
        shown = ", ".join(str(i) if names is None else f"{i} ({names[i]})" for i in self.tasks)
        super().__init__(f"{what} of task {shown} is not finite; no gradient was added")


@dataclass(frozen=True)
class StepRecord:
    """One step, as an audit reads it, all float64.

    weights: (K,), NaN in a step that the loss scaler has to skip. losses: (K,), before the step.
    gramian: the one (K, K) that the weights were computed from, unscaled; None where the method needs none.
    """

    weights: Array
    gramian: Array | None
    losses: Array


def backward(
    losses: Any,
    method: Method,
    *,
    shared: Any = None,
    representation: Tensor | Sequence[Tensor] | None = None,
    scaler: torch.amp.GradScaler | None = None,
    names: Sequence[str] | None = None,
) -> Array:
    """Add the method's update to ``.grad``, as ``loss.backward()`` adds a gradient; return the weights (K,).

    ``losses``: a 1-D tensor or K scalars (``method.batches`` of such where the method wants several
    independent batches: the first two make the Gramian J₁J₂ᵀ, the last one the direction). A loss method
    weights the whole loss. A Gramian method combines the gradients of the shared parameters; the parameters
    of one task alone receive that task's own gradient, times its weight only with ``head_weights="same"``.

    ``shared``: the shared parameters; by default those that two or more losses reach, all of them when K = 1.
    What several losses reach and ``shared`` leaves out receives the unweighted sum.
    ``representation``: the encoder's output, or K of them where every task has its own inputs; only methods
    at level "representation" look at it. ``scaler``: the losses are scaled here (hand in plain ones) and the
    Gramian unscaled; on overflow ``.grad`` is filled with NaN, so that ``scaler.step`` skips, and the method
    does not move on. ``names`` of the tasks are used in errors.

    In a ``torch.distributed`` process group every gradient is averaged over the ranks before the Gramian is
    formed; hand in the plain model there, not one wrapped for data parallelism.

    Raises :class:`NonFiniteLoss` (no scaler) before any ``.grad`` is touched, and
    :class:`~mtlbench.errors.InputError` for losses, ``shared`` or ``representation`` that do not fit.
    """
    return step(losses, method, shared=shared, representation=representation, scaler=scaler, names=names).weights


def step(
    losses: Any,
    method: Method,
    *,
    shared: Any = None,
    representation: Tensor | Sequence[Tensor] | None = None,
    scaler: torch.amp.GradScaler | None = None,
    names: Sequence[str] | None = None,
) -> StepRecord:
    """What :func:`backward` does, with the record of the step."""
    if not hasattr(method, "needs"):
        raise InputError(f'the method must be one of methods.get(...), got {method!r}: say methods.get("mgda")')
    batches = [read_losses(batch) for batch in (losses if method.batches > 1 else [losses])]
    if len(batches) != method.batches or len({len(batch.roots) for batch in batches}) != 1:
        raise InputError(f"{method.name} needs the losses of {method.batches} batches, as many tasks in each")
    if names is not None and len(names) != len(batches[-1].roots):
        raise InputError(f"names= holds {len(names)} names for {len(batches[-1].roots)} losses")
    one = torch.ones((), device=batches[-1].values.device)
    context = _Context(one if scaler is None else scaler.scale(one), scaler is not None, names)
    if method.needs in ("losses", "losses_after"):
        return _loss_step(batches[-1], method, shared, context)
    return _gramian_step(batches, method, _targets(batches[-1], method, shared, representation), context)


class _Context(NamedTuple):
    """The factor on every loss, whether a scaler watches for overflow, and the tasks' names."""

    scale: Tensor
    scaled: bool
    names: Sequence[str] | None

    def usable(self, what: str, marks: Array) -> bool:
        """Whether all ``marks`` (one per task) are finite; without a scaler, raise if they are not."""
        bad = np.flatnonzero(~np.isfinite(marks)).tolist()
        if bad and not self.scaled:
            raise NonFiniteLoss(what, bad, self.names)
        return not bad


def _loss_step(losses: Losses, method: Method, shared: Any, context: _Context) -> StepRecord:
    """One backward pass of Σ_i w_i L_i."""
    (values,) = to_host(*averaged((losses.values,)))
    if not context.usable("the loss", values):
        return _skip(leaves(losses.roots), values)
    weights = method.weights(losses=values)
    # Half precision has no room for a scaler's factor.
    kind = torch.promote_types(losses.values.dtype, torch.float32)
    weighted = _factors(losses, context.scale * torch.from_numpy(weights).to(losses.values.device, kind))
    if method.head_weights == "same":
        if ranks() == 1:
            torch.autograd.backward(losses.tensors, weighted)
            return StepRecord(weights, None, values)
        parts = [(leaves(losses.roots), weighted)]
    else:
        found = reach(losses.roots, shared)
        parts = [
            (found.shared, weighted),
            (_union(found.own), _factors(losses, context.scale.expand(len(values)))),
        ]
    parts = [(parameters, factors) for parameters, factors in parts if parameters]
    gradients = [
        torch.autograd.grad(losses.tensors, parameters, factors, retain_graph=True) for parameters, factors in parts
    ]
    for (parameters, _), found_gradients in zip(parts, gradients, strict=True):
        _add(parameters, [averaged(found_gradients)], [1.0])
    return StepRecord(weights, None, values)


def _factors(losses: Losses, factors: Tensor) -> tuple[Tensor, ...]:
    """One factor per loss, in the shape in which the losses were handed in."""
    if losses.stacked:
        return (factors,)
    return tuple(factor.reshape(loss.shape) for loss, factor in zip(losses.tensors, factors, strict=True))


class _Targets(NamedTuple):
    """What the tasks are differentiated by: the rows' tensors, other shared parameters, each task's own.

    At the representation the rows' tensors are activations; ``encoder`` holds the parameters below them.
    """

    rows: tuple[Tensor, ...]
    common: tuple[Tensor, ...]
    own: tuple[tuple[Tensor, ...], ...]
    encoder: tuple[Tensor, ...] = ()

    def parameters(self) -> tuple[Tensor, ...]:
        return (*(self.encoder or self.rows), *self.common, *_union(self.own))


def _targets(losses: Losses, method: Method, shared: Any, representation: Any) -> _Targets:
    if method.level == "shared":
        found = reach(losses.roots, shared)
        if not found.shared:
            which = "is reached by two or more losses" if shared is None else "in shared= is reached at all"
            raise InputError(f"{method.name} combines the gradients of shared parameters, but none {which}")
        return _Targets(found.shared, (), found.own)
    if representation is None:
        raise InputError(f"{method.name} acts at the encoder's output: pass it as representation=")
    tensors = (representation,) if isinstance(representation, Tensor) else tuple(representation)
    if not tensors or not all(isinstance(tensor, Tensor) and tensor.requires_grad for tensor in tensors):
        raise InputError("representation= must be the encoder's output, tensors that require a gradient")
    encoder = leaves(tensors)
    below = {id(leaf) for leaf in encoder}
    if not below & {id(leaf) for leaf in leaves(losses.roots)}:
        raise InputError("no loss goes through representation=: pass the very tensor that the heads were given")
    declared = None if shared is None else [parameter for parameter in shared if id(parameter) not in below]
    beyond = reach(losses.roots, declared, stop=tensors)
    if any(id(leaf) in below for group in (beyond.shared, *beyond.own) for leaf in group):
        raise InputError(
            "a parameter below representation= is also reached around it: pass what every loss goes through"
        )
    return _Targets(tensors, beyond.shared, beyond.own, encoder)


def _gramian_step(batches: Sequence[Losses], method: Method, targets: _Targets, context: _Context) -> StepRecord:
    """K backward passes, the weights of their Gramian, and u = Σ_i w_i g_i from the gradients at hand."""
    losses, count = batches[-1], len(targets.common)
    bare = targets._replace(common=(), own=((),) * len(losses.roots))
    others = [_differentiate(batch, bare, context.scale, keep=True)[0] for batch in batches[:-1]]
    rows, rest = _differentiate(losses, targets, context.scale)
    (means,) = averaged((losses.values,))
    # Only a scaler minds a broken head: it would skip the step after the method has moved on.
    marks = _marks(rest, means) if context.scaled else torch.zeros_like(means)
    if method.needs == "jacobian":
        # The method's buffers must not see a broken step: the rows are looked at before the method is called.
        values, broken = to_host(means, marks + _marks(rows, means))
        if not (context.usable("the loss", values) and context.usable("the gradient", broken)):
            return _skip(targets.parameters(), values)
        # A memory over the steps must not see the scaler's factor, which changes.
        rows = method.rows(_times(rows, 1 / context.scale) if context.scaled else rows, means)
        rows = _times(rows, context.scale) if context.scaled else rows
    first, *following = (*others, rows)
    second = following[0] if following else None
    matrix, values, broken, scale = host_gramian(
        first, second, means, marks, context.scale, over_ranks=bool(targets.encoder)
    )
    broken += np.diagonal(matrix)
    if not (context.usable("the loss", values) and context.usable("the gradient", broken)):
        return _skip(targets.parameters(), values)
    matrix /= scale**2
    weights = method.weights(gramian=matrix, losses=values)
    if targets.encoder:
        update = torch.autograd.grad(targets.rows, targets.encoder, _combine(rows, weights))
        _add(targets.encoder, [averaged(update)], [1.0])
        _add(targets.common, [row[:count] for row in rest], weights)
    else:
        _add(targets.rows, rows, weights)
    for own, row, weight in zip(targets.own, rest, weights, strict=True):
        _add(own, [row[count:]], [weight if method.head_weights == "same" else 1.0])
    return StepRecord(weights, matrix, values)


def _differentiate(losses: Losses, targets: _Targets, scale: Tensor, keep: bool = False) -> tuple[Rows, Rows]:
    """For each task its row, and its gradients of the other shared parameters and of its own."""
    cut, last = len(targets.rows), len(losses.roots) - 1
    rows, rest = [], []
    for task, root in enumerate(losses.roots):
        wanted = (*targets.rows, *targets.common, *targets.own[task])
        found = gradient(root, wanted, scale, retain_graph=keep or task < last)
        # The ranks hold different samples of the representation: there is no mean of such rows.
        rows.append(found[:cut] if targets.encoder else averaged(found[:cut]))
        rest.append(averaged(found[cut:]))
    return tuple(rows), tuple(rest)


def _times(rows: Rows, factor: Tensor) -> Rows:
    return tuple(tuple(tensor * factor for tensor in row) for row in rows)


def _marks(rows: Rows, losses: Tensor) -> Tensor:
    """One number per row that is finite exactly if the row is: in float64, sums of float32 do not overflow."""
    zero = torch.zeros((), dtype=torch.float64, device=losses.device)
    return torch.stack([sum((tensor.sum(dtype=torch.float64) for tensor in row), zero) for row in rows])


@torch.no_grad()
def _combine(rows: Rows | Sequence[tuple[Tensor, ...]], weights: Array | Sequence[float]) -> Sequence[Tensor]:
    """Σ_i w_i rows_i in new tensors: autograd may hand out one tensor for two parameters."""
    pairs = [(row, float(weight)) for row, weight in zip(rows, weights, strict=True)]
    (first, factor), *others = [pair for pair in pairs if pair[1]] or pairs[:1]
    total = torch._foreach_mul(first, factor)
    for row, weight in others:
        torch._foreach_add_(total, row, alpha=weight)
    return total


@torch.no_grad()
def _add(
    parameters: Sequence[Tensor], rows: Rows | Sequence[tuple[Tensor, ...]], weights: Array | Sequence[float]
) -> None:
    """Add Σ_i w_i rows_i to the parameters' ``.grad``."""
    if parameters:
        for parameter, update in zip(parameters, _combine(rows, weights), strict=True):
            parameter.grad = update if parameter.grad is None else parameter.grad.add_(update)


def _skip(parameters: Sequence[Tensor], losses: Array) -> StepRecord:
    """Fill ``.grad`` with NaN, which every optimizer's ``scaler.step`` takes as the sign to skip."""
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, torch.nan)
    return StepRecord(np.full(len(losses), np.nan), None, losses)


def _union(groups: Sequence[Sequence[Tensor]]) -> tuple[Tensor, ...]:
    return tuple({id(leaf): leaf for group in groups for leaf in group}.values())
