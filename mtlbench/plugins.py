"""Methods of other packages: each names its :class:`~mtlbench.methods.Method` classes in an entry-point group.

    [project.entry-points."mtlbench.methods"]
    my_method = "my_package.my_method:MyMethod"

The names are read from the metadata of what is installed; a module is imported when its method is used, and only then
can it be found broken. A name of the project's own stays the project's: no leaderboard may hold another ``mgda``.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Mapping
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mtlbench.errors import InputError

GROUP = "mtlbench.methods"


class NameTaken(UserWarning):
    """A package offers a method under a name of the project's own."""


def names(taken: Collection[str]) -> tuple[str, ...]:
    """The names that installed packages offer, without those ``taken``, about which one sentence warns."""
    found = _offered()
    for name in sorted(found.keys() & set(taken)):
        _warn(f"{origin(name)} is not used: {name!r} is a method of mtlbench itself, which keeps its name")
    return tuple(sorted(found.keys() - set(taken)))


def load(name: str) -> Any:
    """What the entry point ``name`` names, imported; :class:`~mtlbench.errors.InputError` where that fails."""
    (entry, *others) = _offered()[name]
    if others:
        raise InputError(f"several packages offer a method {name!r}: {origin(name)}; uninstall all but one")
    try:
        return entry.load()
    except (Exception, SystemExit) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{origin(name)} cannot be loaded: {said}") from error


def origin(name: str) -> str:
    """Who offers the method: ``the method 'mine' of the package mine 1.0 (mine.methods:Mine)``."""
    entries = _offered()[name]
    packages = [f"{e.dist.name} {e.dist.version}" if e.dist else "?" for e in entries]
    kind = "the package" if len(entries) == 1 else "the packages"
    return f"the method {name!r} of {kind} {', '.join(packages)} ({', '.join(e.value for e in entries)})"


def source(name: str) -> Path | None:
    """The file of the module that holds the method ``name``, where a package offers it and the file can be found."""
    entries = _offered().get(name)
    try:
        spec = find_spec(entries[0].module) if entries else None
    except (Exception, SystemExit):  # importing the package around the module may fail in any way
        return None
    return Path(spec.origin) if spec and spec.origin and Path(spec.origin).is_file() else None


def _offered() -> Mapping[str, tuple[metadata.EntryPoint, ...]]:
    return _read(tuple(sys.path))


@cache
def _read(path: tuple[str, ...]) -> Mapping[str, tuple[metadata.EntryPoint, ...]]:
    """The entry points by name, read once for an import path: every name costs a look into every installed package."""
    found: dict[str, tuple[metadata.EntryPoint, ...]] = {}
    for entry in metadata.entry_points(group=GROUP):
        found[entry.name] = (*found.get(entry.name, ()), entry)
    return found


@cache
def _warn(sentence: str) -> None:
    warnings.warn(sentence, NameTaken, stacklevel=2)
