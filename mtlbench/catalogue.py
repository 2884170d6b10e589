"""What there is to choose from: the names in every room, and what each one declares."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from mtlbench import architectures, methods, solvers, tasks
from mtlbench.errors import InputError


def names(kind: str) -> list[str]:
    """The names of one kind: methods, datasets, architectures or solvers (``room/algorithm``)."""
    if kind == "methods":
        return list(methods.names())
    if kind == "datasets":
        return list(tasks.names())
    if kind == "architectures":
        return list(architectures.names())
    rooms = sorted(module.name for module in iter_modules(solvers.__path__) if module.ispkg)
    return [f"{room}/{algorithm}" for room in rooms for algorithm in _room(room).ALGORITHMS]


def describe(kind: str) -> list[dict[str, Any]]:
    """One mapping for each name of a kind, with at least ``name`` and ``summary``, ready for JSON."""
    describe_one = {"methods": _method, "datasets": _dataset, "architectures": _architecture, "solvers": _solver}[kind]
    return [{"name": name} | describe_one(name) for name in names(kind)]


def _method(name: str) -> dict[str, Any]:
    try:
        method = methods.get(name)
    except InputError as error:
        if name in methods.built_in():
            raise
        return {"summary": str(error)}  # another package's fault must not hide what else there is
    return {
        "summary": method.summary,
        "needs": method.needs,
        "level": method.level,
        "batches": method.batches,
        "options": method.options(),
        "source": method.source,
    }


def _dataset(name: str) -> dict[str, Any]:
    dataset = tasks.get(name)
    return {
        "summary": dataset.summary,
        "tasks": [task.name for task in dataset.tasks],
        "parameters": {name: value.default for name, value in signature(type(dataset)).parameters.items()},
        "files": [file.name for file in dataset.source.files],
        "licence": dataset.source.licence,
        "citation": dataset.source.citation,
    }


def _architecture(name: str) -> dict[str, Any]:
    return {"summary": (architectures.get(name).__doc__ or "").strip().splitlines()[0]}


def _solver(name: str) -> dict[str, Any]:
    room, _, algorithm = name.partition("/")
    record = _room(room).algorithm(algorithm)
    return {"summary": record.summary, "iterative": record.iterative}


def _room(name: str) -> ModuleType:
    return import_module(f"mtlbench.solvers.{name}")
