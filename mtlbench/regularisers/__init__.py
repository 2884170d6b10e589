"""Regularisers as auxiliary objectives: one file per penalty, named after it.

A penalty that is added to a loss needs a weight; as an objective of its own it is balanced with the primary task by the
method, like any other task. It has no metric. A file defines one
:class:`~mtlbench.regularisers.regulariser.Regulariser`, whose fields are its parameters, and is picked up without being
registered. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from mtlbench.entries import named
from mtlbench.errors import unknown_name

if TYPE_CHECKING:
    from mtlbench.regularisers.regulariser import Regulariser


def names() -> tuple[str, ...]:
    """The names of the regularisers, sorted; torch is not imported."""
    found = (module.name for module in iter_modules(__path__))
    return tuple(sorted(name for name in found if name != "regulariser" and not name.startswith("_")))


def get(name: str, **parameters: Any) -> Regulariser:
    """The regulariser ``name`` with its parameters; every name works without any.

    Raises :class:`~mtlbench.errors.InputError`, offering the nearest valid name, for an unknown regulariser or
    parameter, and for a parameter's wrong value.
    """
    if name not in names():
        raise unknown_name("regulariser", name, names())
    from mtlbench.options import checked, only_subclass
    from mtlbench.regularisers.regulariser import Regulariser

    module = import_module(f"{__name__}.{name}")
    return checked(name, only_subclass(module, Regulariser), parameters)  # type: ignore[type-abstract]


def read(entries: Sequence[Any]) -> tuple[Regulariser, ...]:
    """Those of a benchmark file: ``weight_decay`` or ``{r_drop: {rate: 0.1}}``."""
    found = [named(entry, "a regulariser") for entry in entries]
    return tuple(get(entry["name"], **entry["parameters"]) for entry in found)


def plug_ins(entries: Sequence[Any]) -> list[str]:
    """The modules of the regularisers of a benchmark file."""
    return [f"{__name__}.{named(entry, 'a regulariser')['name']}" for entry in entries]
