"""How the tasks of one network share it: one file per architecture, named after it.

A file defines one :class:`~mtlbench.architectures.architecture.Architecture`: its parameters are the fields, and
``build`` makes the network for some tasks of a dataset. ``encoders/`` holds encoders that a benchmark file may put in
the place of the dataset's own, ``heads.py`` the same for heads; files with an underscore are what several share. A new
file is picked up without being registered anywhere (``docs/add-an-architecture.md``). Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from mtlbench.entries import named
from mtlbench.errors import unknown_name

if TYPE_CHECKING:
    from mtlbench.architectures.architecture import Architecture

_SHARED = ("architecture", "heads")


def names() -> tuple[str, ...]:
    """The names of the architectures, sorted; torch is not imported."""
    found = (module.name for module in iter_modules(__path__) if not module.ispkg)
    return tuple(sorted(name for name in found if name not in _SHARED and not name.startswith("_")))


def get(name: str, **parameters: Any) -> Architecture:
    """The architecture ``name`` with its parameters; every name works without any.

    Raises :class:`~mtlbench.errors.InputError`, offering the nearest valid name, for an unknown architecture or
    parameter, and for a parameter's wrong value.
    """
    if name not in names():
        raise unknown_name("architecture", name, names())
    from mtlbench.architectures.architecture import Architecture
    from mtlbench.options import checked, only_subclass

    module = import_module(f"{__name__}.{name}")
    return checked(name, only_subclass(module, Architecture), parameters)  # type: ignore[type-abstract]


def plug_ins(name: str, parameters: Mapping[str, Any]) -> list[str]:
    """The modules that the architecture ``name`` is put together from: its own, its encoder's, what it wraps."""
    found = [f"{__name__}.{name}"]
    if parameters.get("encoder") is not None:
        found.append(f"{__name__}.encoders.{named(parameters['encoder'], 'an encoder')['name']}")
    if "base" in parameters:
        found += plug_ins(*named(parameters["base"], "an architecture").values())
    return found
