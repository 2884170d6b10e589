"""Encoders that a benchmark file may put in the place of the dataset's own: one file each, named after it."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from mtlbench.entries import named
from mtlbench.errors import unknown_name
from mtlbench.options import checked, only_subclass

if TYPE_CHECKING:
    from mtlbench.architectures.encoders.encoder import Encoder


def names() -> tuple[str, ...]:
    """The names of the encoders, sorted."""
    return tuple(sorted(module.name for module in iter_modules(__path__) if module.name != "encoder"))


def get(name: str, **parameters: Any) -> Encoder:
    """The encoder ``name`` with its parameters.

    Raises :class:`~mtlbench.errors.InputError`, offering the nearest valid name, for an unknown encoder or parameter,
    and for a parameter's wrong value.
    """
    if name not in names():
        raise unknown_name("encoder", name, names())
    from mtlbench.architectures.encoders.encoder import Encoder

    return checked(name, only_subclass(import_module(f"{__name__}.{name}"), Encoder), parameters)  # type: ignore[type-abstract]


def read(entry: Any) -> Encoder | None:
    """The encoder of an entry of the file, ``lenet`` or ``{mlp: {width: 200}}``; None stays None."""
    from mtlbench.architectures.encoders.encoder import Encoder

    if entry is None or isinstance(entry, Encoder):
        return entry
    name, parameters = named(entry, "an encoder").values()
    return get(name, **parameters)
