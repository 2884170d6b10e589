"""The hot path: from K losses to task gradients, their Gramian, the method's weights, and ``.grad``.

    u = Σ_i w_i g_i for the shared parameters,    w = method.weights(gramian=G),    G_ij = ⟨g_i, g_j⟩

Gradients are never concatenated, heads are differentiated once per task, and one copy per step goes from the
device to the host. See ``docs/mathematics.md``, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mtlbench.blocks import product_by_blocks
from mtlbench.errors import InputError
from mtlbench.gramian import averaged, combine, gramian, product, ranks, to_host
from mtlbench.graph import Losses, gradient, jacobian, leaves, reach, read_losses, shared_parameters
from mtlbench.kept import Memory
from mtlbench.methods.method import Array, Method, choice
from mtlbench.targets import Targets, find_targets, union

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
    memory: Literal["full", "low"] = "full",
) -> Array:
    """Add the method's update to ``.grad``, as ``loss.backward()`` adds a gradient; return the weights (K,).

    ``losses``: a 1-D tensor or K scalars (``method.batches`` of such where the method wants several
    independent batches: the first two make the Gramian J₁J₂ᵀ, the last one the direction). A loss method
    weights the whole loss. A Gramian method combines the gradients of the shared parameters; the parameters
    of one task alone receive that task's own gradient, times its weight only with ``head_weights="same"``.

    ``shared``: the shared parameters; by default those that two or more losses reach, all of them when K = 1.
    What several losses reach and ``shared`` leaves out receives the unweighted sum.
    ``representation``: the encoder's output, or several tensors, none made from another: K where every task has its
    own inputs, one per expert in a mixture; only methods at level "representation" look at it. ``scaler``: the losses
    are scaled here (hand in plain ones) and the Gramian unscaled; on overflow in the losses or in what the weights are
    made of, ``.grad`` is filled with NaN, so that ``scaler.step`` skips, and the method does not move on. (What
    overflows in the later pass alone, below a last layer or a representation, skips the step as well, after the method
    has moved.) ``names`` of the tasks are used in errors.

    ``memory`` "low" never holds K gradients: the Gramian is made block by block (:mod:`mtlbench.blocks`), and one
    pass of Σ_i w_i L_i follows. The update is the same to rounding, the peak some one gradient and the largest
    parameter, the price up to K² backward passes, each as deep as its block lies. Loss methods have one either way.

    With "full", gradients of more than 1 MiB a task lie, on the host, in memory that the method keeps for its next step
    (:mod:`mtlbench.kept`).

    In a ``torch.distributed`` process group every gradient is averaged over the ranks before the Gramian is
    formed; hand in the plain model there, not one wrapped for data parallelism.

    Raises :class:`NonFiniteLoss` (no scaler) before any ``.grad`` is touched, and
    :class:`~mtlbench.errors.InputError` for losses, ``shared`` or ``representation`` that do not fit.
    """
    return step(
        losses, method, shared=shared, representation=representation, scaler=scaler, names=names, memory=memory
    ).weights


def step(
    losses: Any,
    method: Method,
    *,
    shared: Any = None,
    representation: Tensor | Sequence[Tensor] | None = None,
    scaler: torch.amp.GradScaler | None = None,
    names: Sequence[str] | None = None,
    memory: Literal["full", "low"] = "full",
) -> StepRecord:
    """What :func:`backward` does, with the record of the step."""
    if not hasattr(method, "needs"):
        raise InputError(f'the method must be one of methods.get(...), got {method!r}: say methods.get("mgda")')
    batches = [read_losses(batch) for batch in (losses if method.batches > 1 else [losses])]
    if len(batches) != method.batches or len({len(batch.roots) for batch in batches}) != 1:
        raise InputError(f"{method.name} needs the losses of {method.batches} batches, as many tasks in each")
    if names is not None and len(names) != len(batches[-1].roots):
        raise InputError(f"names= holds {len(names)} names for {len(batches[-1].roots)} losses")
    low = choice(method.name, "memory", memory, ("full", "low")) == "low"
    if method.needs == "jacobian" and (low or method.level == "last_layer"):
        what = 'memory="low"' if low else 'level="last_layer"'
        raise InputError(f"{method.name} changes the gradients themselves, and {what} has their weights alone")
    one = torch.ones((), device=batches[-1].values.device)
    context = _Context(one if scaler is None else scaler.scale(one), scaler is not None, names)
    if method.needs in ("losses", "losses_after"):
        return _loss_step(batches[-1], method, shared, context)
    return _gramian_step(batches, method, find_targets(batches[-1], method, shared, representation), context, low)


class _Context(NamedTuple):
    """The factor on every loss, whether a scaler watches for overflow, and the tasks' names."""

    scale: Tensor
    scaled: bool
    names: Sequence[str] | None

    def usable(self, what: str, *marks: Array) -> bool:
        """Whether all ``marks`` (each one per task) are finite; without a scaler, raise if they are not."""
        if all(np.isfinite(mark).all() for mark in marks):
            return True
        if not self.scaled:
            bad = np.flatnonzero(~np.isfinite(marks).all(axis=0)).tolist()
            raise NonFiniteLoss(what, bad, self.names)
        return False


def _loss_step(losses: Losses, method: Method, shared: Any, context: _Context) -> StepRecord:
    """One backward pass of Σ_i w_i L_i."""
    (values,) = to_host(*averaged((losses.values,)))
    if not context.usable("the loss", values):
        return _skip(leaves(losses.roots), values)
    weights = method.weights(losses=values)
    weighted = _factors(losses, context, weights)
    if method.head_weights == "none":
        found = reach(losses.roots, shared)
        _pass_back(losses.tensors, weighted, found.shared, retain_graph=True)
        _pass_back(losses.tensors, _factors(losses, context, np.ones(len(values))), union(found.own))
    elif ranks() > 1:
        _pass_back(losses.tensors, weighted, leaves(losses.roots))
    else:
        torch.autograd.backward(losses.tensors, weighted)
    return StepRecord(weights, None, values)


def _factors(losses: Losses, context: _Context, weights: Array) -> tuple[Tensor, ...]:
    """The scaled weight of each loss, in the shape in which the losses were handed in."""
    # Half precision has no room for a scaler's factor.
    kind = torch.promote_types(losses.values.dtype, torch.float32)
    factors = context.scale * torch.from_numpy(weights).to(losses.values.device, kind)
    if losses.stacked:
        return (factors,)
    return tuple(factor.reshape(loss.shape) for loss, factor in zip(losses.tensors, factors, strict=True))


def _gramian_step(
    batches: Sequence[Losses], method: Method, targets: Targets, context: _Context, low: bool
) -> StepRecord:
    """K backward passes, the weights of their Gramian, and u = Σ_i w_i g_i from the gradients at hand.

    Parameters whose K gradients are not at hand wait for one pass of Σ_i w_i L_i.
    """
    losses, apart = batches[-1], bool(targets.encoder)
    others: list[Rows] = []
    # A method that changes the gradients may hold on to them.
    kept = None if method.needs == "jacobian" else Memory(method)
    if low:
        total = product_by_blocks(batches[:2], targets.rows, context.scale, over_ranks=apart)
        targets = Targets((), targets.own, later=targets.shared())
    else:
        bare = Targets(targets.rows, ((),) * len(losses.roots), targets.encoder)
        others = [
            _differentiate(batch, bare, context.scale, kept, place, retain_graph=True)[0]
            for place, batch in enumerate(batches[:-1])
        ]
    rows, rest = _differentiate(losses, targets, context.scale, kept, len(batches) - 1, bool(targets.later))
    (means,) = averaged((losses.values,))
    # Only a scaler minds a broken head: it would skip the step after the method has moved on.
    scaling = (_marks(rest, means), context.scale) if context.scaled else ()
    if method.needs == "jacobian":
        # The method's buffers must not see a broken step: the rows are looked at before the method is called.
        values, *broken = to_host(means, _marks(rows, means), *scaling[:1])
        if not (context.usable("the loss", values) and context.usable("the gradient", *broken)):
            return _skip(targets.parameters(), values)
        # A memory over the steps must not see the scaler's factor, which changes.
        rows = method.rows(_times(rows, 1 / context.scale) if context.scaled else rows, means)
        rows = _times(rows, context.scale) if context.scaled else rows
    if not low:
        total = product(*(*others, rows)[:2], over_ranks=apart)
    matrix, values, *more = to_host(total, means, *scaling)
    if not (context.usable("the loss", values) and context.usable("the gradient", matrix.diagonal(), *more[:1])):
        return _skip(targets.parameters(), values)
    if context.scaled:
        matrix /= more[1] ** 2
    weights = method.weights(gramian=matrix, losses=values)
    _update(losses, targets, rows, rest, weights, context, method.head_weights == "same")
    return StepRecord(weights, matrix, values)


def _differentiate(
    losses: Losses, targets: Targets, scale: Tensor, kept: Memory | None, batch: int, retain_graph: bool
) -> tuple[Rows, Rows]:
    """For each task its row, and its gradients of the other shared parameters and of its own."""
    cut, last, alone = len(targets.rows), len(losses.roots) - 1, ranks() == 1
    rows, rest = [], []
    for task, root in enumerate(losses.roots):
        wanted = (*targets.rows, *targets.common, *targets.own[task])
        found = gradient(root, wanted, scale, retain_graph=retain_graph or task < last)
        row, others = found[:cut], found[cut:]
        if not alone:
            # The ranks hold different samples of the representation: there is no mean of such rows.
            row, others = row if targets.encoder else averaged(row), averaged(others)
        rows.append(kept.keep(row, (batch, task)) if kept else row)
        rest.append(others)
        # Autograd's own memory serves the next task.
        del found, row
    return tuple(rows), tuple(rest)


def _times(rows: Rows, factor: Tensor) -> Rows:
    return tuple(tuple(tensor * factor for tensor in row) for row in rows)


@torch.no_grad()
def _update(
    losses: Losses, targets: Targets, rows: Rows, rest: Rows, weights: Array, context: _Context, heads: bool
) -> None:
    """Add the weighted gradients to ``.grad``; those of the tasks' own parameters are weighted with ``heads`` only."""
    count = len(targets.common)
    for group, row, weight in zip(targets.own, rest, weights.tolist(), strict=True):
        _add(group, [tensor * weight if heads else tensor.clone() for tensor in row[count:]])
    _add(targets.common, combine([row[:count] for row in rest], weights))
    if targets.encoder:
        _pass_back(targets.rows, combine(rows, weights), targets.encoder)
    else:
        _add(targets.rows, combine(rows, weights))
    if targets.later:
        _pass_back(losses.tensors, _factors(losses, context, weights), targets.later)


def _marks(rows: Rows, losses: Tensor) -> Tensor:
    """One number per row that is finite exactly if the row is: in float64, sums of float32 do not overflow."""
    zero = torch.zeros((), dtype=torch.float64, device=losses.device)
    return torch.stack([sum((tensor.sum(dtype=torch.float64) for tensor in row), zero) for row in rows])


def _add(parameters: Sequence[Tensor], updates: Sequence[Tensor]) -> None:
    """Add ``updates``, tensors that nobody else holds, to the parameters' ``.grad``."""
    for parameter, update in zip(parameters, updates, strict=True):
        before = parameter.grad
        if before is None:
            parameter.grad = update
        else:
            before.add_(update)


@torch.no_grad()
def _pass_back(
    tensors: Sequence[Tensor], factors: Sequence[Tensor], parameters: Sequence[Tensor], *, retain_graph: bool = False
) -> None:
    """Add the gradient of Σ_i ⟨factors_i, tensors_i⟩ by ``parameters`` to their ``.grad``."""
    if not parameters:
        return
    if ranks() == 1:
        torch.autograd.backward(tensors, factors, inputs=parameters, retain_graph=retain_graph)
    else:
        _add(parameters, averaged(torch.autograd.grad(tensors, parameters, factors, retain_graph=retain_graph)))


def _skip(parameters: Sequence[Tensor], losses: Array) -> StepRecord:
    """Fill ``.grad`` with NaN, which every optimizer's ``scaler.step`` takes as the sign to skip."""
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, torch.nan)
    return StepRecord(np.full(len(losses), np.nan), None, losses)
