"""How the tasks are weighted: one file per method, named after it; ``method.py`` holds the base classes, files
with an underscore what several methods share.

A method turns the losses, or the Gramian of the task gradients, into one weight per task. A new file is
picked up without being registered anywhere (``docs/add-a-method.md``). Nothing here imports torch.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from mtlbench.errors import unknown_name
from mtlbench.methods.method import GramianMethod, LossMethod, Method, Promises

__all__ = ["GramianMethod", "LossMethod", "Method", "Promises", "get", "names"]


def names() -> tuple[str, ...]:
    """The names of the methods, sorted: those of the files in this folder."""
    modules = (module.name for module in iter_modules(__path__))
    return tuple(sorted(name for name in modules if name != "method" and not name.startswith("_")))


def get(name: str, **options: Any) -> Method:
    """A new method; every name works without options.

    Raises :class:`~mtlbench.errors.InputError`, offering the nearest valid name, for an unknown method or
    option, and for an option's wrong value.
    """
    if name not in names():
        raise unknown_name("method", name, names())
    module = import_module(f"{__name__}.{name}")
    (method,) = (
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Method) and value.__module__ == module.__name__
    )
    for option in options:
        if option not in method.parameters():
            raise unknown_name(f"option of {name}", option, method.parameters())
    return method(**options)
