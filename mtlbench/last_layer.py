"""Which shared parameters the losses meet first, read off the graph: the last shared layer.

Methods at level "last_layer" compare the tasks there (as GradNorm does, Chen et al., ICML 2018, arXiv 1711.02257): the
gradients need no pass through the rest of the trunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from torch import Tensor
from torch.autograd.graph import GradientEdge, Node

from mtlbench.errors import InputError
from mtlbench.graph import start

# What stands between a parameter and the operation that uses it: views, casts, a weight's length and direction.
_CARRIERS = {
    f"{name}Backward0"
    for name in (
        *("T", "Transpose", "Permute", "View", "UnsafeView", "ReshapeAlias", "Expand", "Squeeze", "Unsqueeze"),
        *("ToCopy", "Clone", "Alias", "Select", "Slice", "Split", "Unbind", "WeightNormInterface"),
    )
}
_COMPILED = "CompiledFunctionBackward"


def last_layer(roots: Sequence[Tensor | GradientEdge], shared: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """The parameters, out of ``shared``, of the operation that uses them nearest to the losses.

    Only parameters that all losses reach count. The operation is the one that every other use of such parameters lies
    below, for every loss; what is added to its result belongs to it, so that weight and bias stay together. An encoder
    called once per task has such a layer, experts side by side have none. Raises
    :class:`~mtlbench.errors.InputError` where it cannot be told.
    """
    orders = [_below(start(root)[0]) for root in roots]
    reached = [{id(leaf) for node in order if (leaf := _leaf(node)) is not None} for order in orders]
    parameters = {id(tensor): tensor for tensor in shared if all(id(tensor) in found for found in reached)}
    if not parameters:
        raise InputError("no shared parameter is reached by all losses, so that there is no last shared layer")
    layers = [_top(order, parameters.keys()) for order in orders]
    if any(layer != layers[0] for layer in layers[1:]):
        raise InputError(
            "the losses do not meet the same shared layer first, so that there is no last one: "
            'choose level="shared" or level="representation"'
        )
    return tuple(tensor for key, tensor in parameters.items() if key in layers[0])


def _top(order: Sequence[Node], parameters: AbstractSet[int]) -> set[int]:
    """The ids of the parameters that the highest of the nodes in ``order`` holds."""
    users = [node for node in order if _held(node, parameters)]
    if not users:
        return set(parameters)  # the loss is a parameter itself
    # It comes after all that lies below it; whether that is everything has to be seen.
    top, below = users[-1], set(_below(users[-1]))
    beside = [node.name() for node in users if node not in below]
    if beside:
        raise InputError(
            f"operations with shared parameters stand side by side ({top.name()}, {beside[-1]}), so that "
            'there is no last shared layer: choose level="shared" or level="representation"'
        )
    if top.name() == _COMPILED:
        raise InputError(
            "the last shared layer is inside a compiled function, where the graph does not show it: "
            'leave that layer out of torch.compile, or choose level="shared" or level="representation"'
        )
    return _held(top, parameters)


def _held(node: Node, parameters: AbstractSet[int]) -> set[int]:
    """The ids of the ``parameters`` that ``node`` uses: its own, and those of what it adds them to."""
    held: set[int] = set()
    waiting, results = [child for child, _ in node.next_functions if child is not None], []
    while waiting:
        child = waiting.pop()
        if (leaf := _leaf(child)) is not None:
            held |= {id(leaf)} & parameters
        elif child.name() in _CARRIERS:
            waiting += [below for below, _ in child.next_functions if below is not None]
        else:
            results.append(child)
    if held and node.name() == "AddBackward0":
        held = held.union(*(_held(result, parameters) for result in results))
    return held


def _below(root: Node) -> list[Node]:
    """The nodes that ``root`` reaches, itself included, each after all those that it reaches."""
    order: list[Node] = []
    seen: set[Node] = set()
    waiting = [(root, False)]
    while waiting:
        node, finished = waiting.pop()
        if finished:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            waiting.append((node, True))
            waiting += [(child, False) for child, _ in node.next_functions if child is not None]
    return order


def _leaf(node: Node) -> Tensor | None:
    """The leaf tensor whose gradient ends at ``node``, if it does."""
    return None if node.next_functions else getattr(node, "variable", None)
