"""Reading the autograd graph of K losses: which parameters they share, and their gradients.

A parameter is shared when two or more losses reach it; nobody has to declare it. Every leaf tensor that
requires a gradient counts as a parameter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge

from mtlbench.errors import InputError

if TYPE_CHECKING:
    from mtlbench.methods.method import Rows

_SHARED = -1
_JOINS = {"StackBackward0", "CatBackward0"}
_VIEWS = {
    "IndexBackward0",
    "IndexSelectBackward0",
    "SelectBackward0",
    "SliceBackward0",
    "SplitBackward0",
    "SplitWithSizesBackward0",
    "UnbindBackward0",
}


class Losses(NamedTuple):
    """K losses: what was handed in, where each starts in the graph, and their values (K,), detached."""

    tensors: tuple[Tensor, ...]
    roots: tuple[Tensor | GradientEdge, ...]
    values: Tensor

    @property
    def stacked(self) -> bool:
        """Whether they were handed in as one 1-D tensor."""
        return len(self.tensors) == 1 and self.tensors[0].ndim == 1


class Reach(NamedTuple):
    """The parameters that the losses share, and for each loss those that it has for itself."""

    shared: tuple[Tensor, ...]
    own: tuple[tuple[Tensor, ...], ...]


def read_losses(losses: Tensor | Sequence[Tensor]) -> Losses:
    """Check K losses, a 1-D tensor or a sequence of K scalars.

    The scalars of a ``torch.stack`` are taken apart again, so that a task's backward pass visits its own head
    alone. Raises :class:`~mtlbench.errors.InputError` for anything that is no differentiable scalar, naming
    its place.
    """
    if isinstance(losses, Mapping):
        raise InputError("losses must be a sequence, got a mapping: pass list(losses.values())")
    if not isinstance(losses, Tensor | Sequence):
        raise InputError(f"losses must be a 1-D tensor or a sequence of scalars, got {type(losses).__name__}")
    if isinstance(losses, Tensor):
        if losses.ndim != 1 or not len(losses):
            raise InputError(f"losses must be a 1-D tensor with one entry per task, got shape {tuple(losses.shape)}")
        tensors: tuple[Tensor, ...] = (losses,)
        scalars = losses.unbind() if losses.requires_grad else (losses,)
    else:
        scalars = tensors = tuple(losses)
    for index, loss in enumerate(scalars):
        if not isinstance(loss, Tensor):
            raise InputError(f"losses[{index}] must be a tensor, got {type(loss).__name__}")
        if loss.numel() != 1 and not isinstance(losses, Tensor):
            raise InputError(
                f"losses[{index}] must be a scalar, got shape {tuple(loss.shape)}: reduce it, say by .mean()"
            )
    if not scalars:
        raise InputError("losses is empty: at least one loss is needed")
    roots = []
    for index, loss in enumerate(scalars):
        root = _take_apart(loss.reshape(()) if loss.ndim else loss) if loss.requires_grad else None
        if root is None:
            raise InputError(f"losses[{index}] depends on no parameter that requires a gradient")
        roots.append(root)
    return Losses(tensors, tuple(roots), _values(tensors))


@torch.no_grad()
def _values(tensors: tuple[Tensor, ...]) -> Tensor:
    """The losses (K,) of one 1-D tensor or of K scalars, off their graph."""
    if tensors[0].ndim == 1 and len(tensors) == 1:
        return tensors[0].detach()
    return torch.stack([tensor if tensor.ndim == 0 else tensor.reshape(()) for tensor in tensors])


def _take_apart(loss: Tensor) -> Tensor | GradientEdge | None:
    """Where in the graph the scalar lies that ``torch.stack`` took in, if ``loss`` is an entry of a stack."""
    view = loss.grad_fn
    if view is None or view.name() not in ("UnbindBackward0", "SelectBackward0"):
        return loss
    stack = view.next_functions[0][0]
    if stack is None or stack.name() != "StackBackward0":
        return loss
    parts = stack.next_functions
    # A negative index is kept as an unsigned number.
    saved = getattr(view, "_saved_index", loss.output_nr)
    node, number = parts[saved - 2**64 if saved >= 2**63 else saved]
    return None if node is None else GradientEdge(node, number)


def shared_parameters(losses: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """The parameters that two or more losses reach, read off the graph; with one loss, all that it reaches.

    Raises :class:`~mtlbench.errors.InputError` where the graph cannot tell (see :func:`reach`).
    """
    return list(reach(read_losses(losses).roots).shared)


def reach(
    roots: Sequence[Tensor | GradientEdge],
    shared: Iterable[Tensor] | None = None,
    stop: Collection[Tensor] = (),
) -> Reach:
    """Sort the parameters that the losses reach without passing through the tensors ``stop``.

    With ``shared`` given, these are the shared ones, and a loss's own parameters are all the others it
    reaches. Otherwise raises :class:`~mtlbench.errors.InputError` where one backward node covers several
    heads, as in a model compiled as a whole or in heads joined by ``torch.cat`` and read apart: the graph
    does not say which is whose.
    """
    found, parts = _walk(roots, stop)
    if shared is not None:
        return _declared(found, shared)
    _tell_apart(parts)
    return found


def leaves(roots: Sequence[Tensor | GradientEdge]) -> tuple[Tensor, ...]:
    """All parameters that at least one of ``roots`` reaches."""
    found, _ = _walk(roots, ())
    return (*found.shared, *(leaf for own in found.own for leaf in own))


_Parts = dict[Node, dict[int, set[object]]]


def _walk(roots: Sequence[Tensor | GradientEdge], stop: Collection[Tensor]) -> tuple[Reach, _Parts]:
    """Visit the graph from every root in turn, each node at most twice."""
    ends = {start(tensor) for tensor in stop}
    owner: dict[Node, int] = {}
    below: dict[Node, list[tuple[Node, int]]] = {}
    found: dict[Node, Tensor] = {}
    parts: _Parts = {}
    # Asked of every type once: at every edge it would be half of the walk.
    covering: dict[type[Node], bool] = {}
    for task, root in enumerate(roots):
        waiting = [start(root)]
        while waiting:
            edge = waiting.pop()
            if ends and edge in ends:
                continue
            node, number = edge
            kind = type(node)
            covers = covering.get(kind)
            if covers is None:
                covers = covering[kind] = kind.__name__ in _VIEWS or issubclass(kind, BackwardCFunction)
            if covers:
                _note_part(parts, task, node, number)
            before = owner.get(node)
            if before is None:
                owner[node] = task
                if following := node.next_functions:
                    below[node] = [(child, index) for child, index in following if child is not None]
                    waiting += below[node]
                elif hasattr(node, "variable"):
                    found[node] = node.variable
            elif before not in (task, _SHARED):
                # Two visits settle a node: what lies below a shared one is marked by the second.
                owner[node] = _SHARED
                waiting += below.get(node, ())
    if len(roots) == 1:
        return Reach(tuple(found.values()), ((),)), parts
    shared = tuple(leaf for node, leaf in found.items() if owner[node] == _SHARED)
    own: list[list[Tensor]] = [[] for _ in roots]
    for node, leaf in found.items():
        if owner[node] != _SHARED:
            own[owner[node]].append(leaf)
    return Reach(shared, tuple(map(tuple, own))), parts


def start(tensor: Tensor | GradientEdge) -> tuple[Node, int]:
    """The node that made ``tensor``, and which of its outputs that is."""
    if isinstance(tensor, GradientEdge):
        return tensor.node, tensor.output_nr
    # What torch's function says, which takes its time, is needed for leaves alone.
    node = tensor.grad_fn
    return (get_gradient_edge(tensor).node, 0) if node is None else (node, tensor.output_nr)


def _note_part(parts: _Parts, task: int, node: Node, number: int) -> None:
    """Add to ``parts`` which part of a node that covers several heads, if there is one here, ``task`` uses."""
    covering, part = _part(node, number)
    if covering is not None:
        parts.setdefault(covering, {}).setdefault(task, set()).add(part)


def _part(node: Node, number: int) -> tuple[Node | None, object]:
    """The node that may cover several heads, and the part of it asked for here; else (None, None)."""
    if isinstance(node, BackwardCFunction):
        holds_parameters = any(child is not None and hasattr(child, "variable") for child, _ in node.next_functions)
        return (node, number) if holds_parameters else (None, None)
    # A view of joined tensors, perhaps with element-wise operations between the two.
    below = node
    while True:
        children = [child for child, _ in below.next_functions if child is not None]
        if type(below).__name__ in _JOINS:
            return below, (node, number)
        if len(children) != 1:
            return None, None
        (below,) = children


def _tell_apart(parts: dict[Node, dict[int, set[object]]]) -> None:
    for node, by_task in parts.items():
        for (one, its), (other, others) in combinations(by_task.items(), 2):
            if its != others:
                raise InputError(
                    f"losses {one} and {other} use different parts of one backward node ({node.name()}), so "
                    "the graph does not tell their heads apart: pass shared=, the parameters that tasks share"
                )


def _declared(found: Reach, shared: Iterable[Tensor]) -> Reach:
    if not isinstance(shared, Iterable):
        raise InputError(f"shared= takes parameters, got {type(shared).__name__}: pass module.parameters()")
    declared = {id(tensor): tensor for tensor in ([shared] if isinstance(shared, Tensor) else shared)}
    if not all(isinstance(tensor, Tensor) and tensor.is_leaf for tensor in declared.values()):
        raise InputError("shared= takes parameters (leaf tensors): pass an activation as representation=")
    reached = {id(leaf) for group in (found.shared, *found.own) for leaf in group}
    # A leaf that several losses reach and that is not declared shared receives the gradients of all of them.
    loose = tuple(leaf for leaf in found.shared if id(leaf) not in declared)
    return Reach(
        tuple(tensor for key, tensor in declared.items() if key in reached),
        tuple((*(leaf for leaf in own if id(leaf) not in declared), *loose) for own in found.own),
    )


def jacobian(losses: Tensor | Sequence[Tensor], parameters: Sequence[Tensor], *, retain_graph: bool = False) -> Rows:
    """The gradients of K losses, never concatenated: for each task a tuple of tensors like ``parameters``.

    A parameter that a loss does not reach gets zeros. ``retain_graph`` keeps the graph for another pass.
    """
    parameters = tuple(parameters)
    read = read_losses(losses)
    one = torch.ones((), dtype=read.values.dtype, device=read.values.device)
    last = len(read.roots) - 1
    return tuple(
        gradient(root, parameters, one, retain_graph=retain_graph or task < last)
        for task, root in enumerate(read.roots)
    )


def gradient(
    root: Tensor | GradientEdge, parameters: Sequence[Tensor], factor: Tensor, *, retain_graph: bool
) -> tuple[Tensor, ...]:
    """``factor`` times the gradient of one scalar by ``parameters``, zeros where it does not reach."""
    if not parameters:
        return ()
    return torch.autograd.grad(root, parameters, factor, retain_graph=retain_graph, materialize_grads=True)
