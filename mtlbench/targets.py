"""What a step differentiates: the tensors whose gradients a method compares, and all that waits for its weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from torch import Tensor

from mtlbench.errors import InputError
from mtlbench.graph import Losses, leaves, reach
from mtlbench.last_layer import last_layer
from mtlbench.methods.method import Method


class Targets(NamedTuple):
    """What the tasks are differentiated by.

    rows: the tensors whose gradients make the Gramian, activations at the representation. encoder: the parameters
    below these activations. common: other shared parameters, combined from K gradients like the rows. own: each task's
    own parameters. later: shared parameters that only the weighted loss is differentiated by, once.
    """

    rows: tuple[Tensor, ...]
    own: tuple[tuple[Tensor, ...], ...]
    encoder: tuple[Tensor, ...] = ()
    common: tuple[Tensor, ...] = ()
    later: tuple[Tensor, ...] = ()

    def parameters(self) -> tuple[Tensor, ...]:
        """All that receive a gradient."""
        return (*self.shared(), *union(self.own))

    def shared(self) -> tuple[Tensor, ...]:
        """The parameters of more than one task."""
        return union([self.encoder or self.rows, self.common, self.later])


def find_targets(losses: Losses, method: Method, shared: Any, representation: Any) -> Targets:
    """The targets of ``method`` at its level; :class:`~mtlbench.errors.InputError` where there are none."""
    if method.level == "representation":
        return _at_representation(losses, method, shared, representation)
    found = reach(losses.roots, shared)
    if not found.shared:
        which = "is reached by two or more losses" if shared is None else "in shared= is reached at all"
        raise InputError(f"{method.name} combines the gradients of shared parameters, but none {which}")
    if method.level == "shared":
        return Targets(found.shared, found.own)
    layer = last_layer(losses.roots, found.shared)
    inside = {id(parameter) for parameter in layer}
    return Targets(layer, found.own, later=tuple(p for p in found.shared if id(p) not in inside))


def _at_representation(losses: Losses, method: Method, shared: Any, representation: Any) -> Targets:
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
    return Targets(tensors, beyond.own, encoder, beyond.shared)


def union(groups: Iterable[Iterable[Tensor]]) -> tuple[Tensor, ...]:
    """The tensors of all groups, each once, in order."""
    return tuple({id(leaf): leaf for group in groups for leaf in group}.values())
