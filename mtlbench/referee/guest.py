"""A user's own function, found by its name ``package.module:function`` from the folder the command is run in."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from mtlbench.errors import InputError


def load(specification: str) -> Callable[..., Any]:
    """The function that ``package.module:function`` names; the current folder is importable meanwhile.

    Raises :class:`~mtlbench.errors.InputError`, one sentence with the nearest name, where there is no such module or
    function, the module cannot be imported, or what is found cannot be called.
    """
    found = located(specification)
    if not callable(found):
        path = specification.partition(":")[2]
        raise _wrong("--solver", specification, f"{path!r} is no function but of type {type(found).__name__}")
    return found


def located(specification: str, asked: str = "--solver") -> Any:
    """What ``package.module:name`` names, whatever it is; raises like :func:`load`.

    ``asked``: the word of the command line that it was given for, with which an error begins.
    """
    module_name, colon, path = specification.partition(":")
    names = [*module_name.split("."), *path.split(".")]
    if not colon or not all(name.isidentifier() for name in names):
        raise _wrong(asked, specification, "write it as package.module:function, such as mine:solve")
    with _importable(Path.cwd()):
        found: Any = _imported(asked, specification, module_name)
    for name in path.split("."):
        if not hasattr(found, name):
            where = (
                f"module {module_name!r}" if isinstance(found, ModuleType) else repr(getattr(found, "__name__", path))
            )
            callables = [other for other, value in vars(found).items() if callable(value)]
            raise _wrong(asked, specification, f"{where} has no function {name!r}{_nearest(name, callables)}")
        found = getattr(found, name)
    return found


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """``folder`` comes first on the import path, for as long as it takes to import one module.

    The command itself runs without it, so that a file of the user's never shadows a library.
    """
    entry = str(folder)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)


def _imported(asked: str, specification: str, name: str) -> ModuleType:
    try:
        return import_module(name)
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is None or not f"{name}.".startswith(f"{missing}."):
            said = f"{type(error).__name__}: {error}"
            raise _wrong(asked, specification, f"importing {name!r} failed: {' '.join(said.split())}") from error
    parent, _, last = missing.rpartition(".")
    if parent and not hasattr(sys.modules[parent], "__path__"):
        raise _wrong(asked, specification, f"{parent!r} is a module and no package: it holds no module {last!r}")
    # Of all modules there are, those beside the user's own files are meant.
    folders = list(sys.modules[parent].__path__) if parent else [str(Path.cwd())]
    beside = [module.name for module in iter_modules(folders)]
    where = f"the package {parent!r}" if parent else "this folder or installed"
    raise _wrong(asked, specification, f"there is no module {last!r} in {where}{_nearest(last, beside)}")


def _nearest(name: str, valid: Iterable[str]) -> str:
    near = get_close_matches(name, list(valid), n=1, cutoff=0.4)
    return f": did you mean {near[0]!r}?" if near else ""


def _wrong(asked: str, specification: str, why: str) -> InputError:
    return InputError(f"{asked} {specification!r}: {why}")
