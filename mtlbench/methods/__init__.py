"""How the tasks are weighted: one file per method, named after it; ``method.py`` holds the base classes, files
with an underscore what several methods share.

A method turns the losses, or the Gramian of the task gradients, into one weight per task. A new file is
picked up without being registered anywhere (``docs/add-a-method.md``); a method of another package is found
by its entry point (``mtlbench/plugins.py``). Nothing here imports torch.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from mtlbench import plugins
from mtlbench.errors import InputError, unknown_name
from mtlbench.methods._smoothed import Smoothed
from mtlbench.methods.method import GramianMethod, LossMethod, Method, Promises

__all__ = ["GramianMethod", "LossMethod", "Method", "Promises", "built_in", "get", "names", "smooth"]


def built_in() -> tuple[str, ...]:
    """The names of the project's own methods, sorted: those of the files in this folder."""
    modules = (module.name for module in iter_modules(__path__))
    return tuple(sorted(name for name in modules if name != "method" and not name.startswith("_")))


def names() -> tuple[str, ...]:
    """The names of all methods, sorted: the project's own, and those that installed packages bring along.

    None of them is imported. A package that takes a name of the project's for its own is answered by a warning of one
    sentence, and the project's method keeps the name.
    """
    own = built_in()
    return tuple(sorted({*own, *plugins.names(own)}))


def get(name: str, **options: Any) -> Method:
    """A new method; every name works without options.

    Every method takes ``smooth``, the decay with which its weights are averaged over the steps (:func:`smooth`).
    Raises :class:`~mtlbench.errors.InputError`, offering the nearest valid name, for an unknown method or
    option, and for an option's wrong value; also for a method of another package that cannot be loaded.
    """
    method = _class(name)
    decay = options.pop("smooth", None)
    for option in options:
        if option not in method.parameters():
            raise unknown_name(f"option of {name}", option, (*method.parameters(), "smooth"))
    return method(**options) if decay is None else smooth(method(**options), decay)


def smooth(method: Method, decay: float = 0.9) -> Method:
    """``method`` with its weights averaged over the steps, w̄ ← decay w̄ + (1 − decay) w: CR-MOGM.

    Source: Zhou et al., NeurIPS 2022. ``get(name, smooth=0.9)`` is short for it.
    """
    return Smoothed(method, decay)


def _class(name: str) -> type[Method]:
    if name not in built_in():
        if name not in names():
            raise unknown_name("method", name, names())
        found = plugins.load(name)
        if not (isinstance(found, type) and issubclass(found, Method) and getattr(found, "name", None) == name):
            raise InputError(f"{plugins.origin(name)} is no Method with the name {name!r}")
        return found
    module = import_module(f"{__name__}.{name}")
    (method,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Method) and value.__module__ == module.__name__
    )
    return method
