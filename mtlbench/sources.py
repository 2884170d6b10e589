"""Which source files decide the bytes of a training cell, and their digest.

The files are found by following the ``import`` statements from the training cell. The rooms look their plug-ins up
by name at run time, so a method, dataset, architecture or solver is reached by no statement: the cell's own plug-ins
are added by name. Editing one method therefore makes its own cells stale and nothing else. A method of another
package counts by the file of its module.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from inspect import signature
from pathlib import Path

from mtlbench import architectures, methods, plugins, regularisers, tasks
from mtlbench.methods._room import RoomMethod
from mtlbench.sections import SINGLE_TASK, Cell
from mtlbench.solvers import min_norm

_PACKAGE = Path(__file__).parent


def cell_sources(cell: Cell) -> list[Path]:
    """The source files that decide what ``cell`` computes, sorted; relative imports and plug-ins followed."""
    method = "equal" if cell.method == SINGLE_TASK else cell.method
    plug_ins = [f"mtlbench.tasks.{tasks.file_name(cell.dataset)}", f"mtlbench.methods.{method}"]
    plug_ins += architectures.plug_ins(cell.architecture, cell.architecture_parameters)
    plug_ins += regularisers.plug_ins(cell.auxiliary.regularisers)
    modules = ["mtlbench.training.cell", *plug_ins]
    files = _closure(tuple(modules))
    # The audit of every run and some methods ask the min-norm room for its default; others say which solver they use.
    solvers = {f"min_norm.{signature(min_norm.solve).parameters['algorithm'].default}"}
    if cell.method != SINGLE_TASK:
        made = methods.get(cell.method, **{k: v for k, v in cell.options.items() if k != "smooth"})
        solvers |= {f"{made.inner_problem}.{made.solver}"} if isinstance(made, RoomMethod) else set()
    return sorted(files.union(*(_closure((f"mtlbench.solvers.{solver}",)) for solver in solvers)))


def code_digest(cell: Cell) -> str:
    """The sha256 over the names and contents of :func:`cell_sources`."""
    return digest_of(cell_sources(cell))


def digest_of(files: list[Path]) -> str:
    """The sha256 over the contents of ``files`` and their names, relative to the package or, elsewhere, bare."""
    total = hashlib.sha256()
    # Where another package is installed is no part of what it computes.
    named = [(file.relative_to(_PACKAGE).as_posix() if _ours(file) else file.name, file) for file in files]
    for name, file in sorted(named):
        total.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()


def module_closure(*modules: str) -> list[Path]:
    """The files of ``modules`` and of everything in mtlbench that they import, sorted."""
    return sorted(_closure(modules))


@cache
def _closure(modules: tuple[str, ...]) -> frozenset[Path]:
    found: set[Path] = set()
    waiting = list(modules)
    while waiting:
        for file in _files(waiting.pop()):
            if file not in found:
                found.add(file)
                waiting.extend(_imports(file))
    return frozenset(found)


def _files(module: str) -> list[Path]:
    """The file of a module and the ``__init__`` files that importing it runs; none if it is not ours."""
    parts = module.split(".")
    if parts[0] != "mtlbench":
        return []
    files = [_PACKAGE.joinpath(*parts[1:end], "__init__.py") for end in range(1, len(parts) + 1)]
    files.append(_PACKAGE.joinpath(*parts[1:]).with_suffix(".py"))
    if parts[1:-1] == ["methods"] and not files[-1].is_file():
        files += filter(None, [plugins.source(parts[-1])])
    # What a room reads at run time from its own files decides its output as well; an index holds its archive's digest.
    read = ("templates/*", "collection-*.json")
    files += [file for package in files for pattern in read for file in sorted(package.parent.glob(pattern))]
    return [file for file in files if file.is_file()]


@cache
def _imports(file: Path) -> list[str]:
    if file.suffix != ".py":
        return []
    # A relative import in another package's file leads to nothing of ours.
    module = _module(file) if _ours(file) else ""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, base] if base else parent)
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return names


def _ours(file: Path) -> bool:
    return file.is_relative_to(_PACKAGE)


def _module(file: Path) -> str:
    parts = ("mtlbench", *file.relative_to(_PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
