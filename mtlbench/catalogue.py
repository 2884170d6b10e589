"""What there is to choose from: the names in every room, and what each one declares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
        return [own for name in tasks.names() for own in (name, *(f"{name}:{v}" for v in tasks.variants(name)))]
    if kind == "architectures":
        return list(architectures.names())
    rooms = sorted(module.name for module in iter_modules(solvers.__path__) if module.ispkg)
    return [f"{room}/{algorithm}" for room in rooms for algorithm in _room(room).ALGORITHMS]


def describe(kind: str) -> list[dict[str, Any]]:
    """One mapping for each name of a kind, with at least ``name`` and ``summary``, ready for JSON."""
    describe_one = {"methods": _method, "datasets": _dataset, "architectures": _architecture, "solvers": _solver}[kind]
    return [{"name": name} | describe_one(name) for name in names(kind)]


PAGE = """# All methods

This page is what the methods declare, written by `mtlbench list methods --markdown > docs/methods.md`; a test says when
it has to be written again. Every promise in it is checked on random gradients of controlled rank, and where it says no,
the tests hold a witness ([add-a-method.md](add-a-method.md#what-it-promises)). The formulas are in
[mathematics.md](mathematics.md).

{what}

- **needs**: what the method looks at: the losses, the losses before and after the step, the Gramian, or all gradients.
- **backwards**: passes through the trunk in one step with K tasks; **batches**: independent batches of one step.
- **safe**: no task's loss rises to first order, whatever the gradients; "no": the tests hold gradients with a conflict.
- **all × c**: how the weights scale when all losses are multiplied by c.
- **each × c_i**: how the direction u answers when each loss is multiplied by its own c_i: not at all (invariant), in
  length alone (direction), linearly (linear), or by no such law (none).
- **order**: the tasks may change places. **unique**: whether the weights are determined, or the direction alone.
- **inner problem**: the room of `mtlbench.solvers` whose certificate judges the weights.

{promises}

What is tuned besides learning rate and weight decay, in the tuned track ([tuning.md](tuning.md)); an option that the
benchmark file gives is not.

{search}

{sources}
"""


def methods_page() -> str:
    """The project's own methods and their declarations, in Markdown: ``docs/methods.md``."""
    found = [methods.get(name) for name in methods.built_in()]
    what = [(f"`{m.name}`", m.summary) for m in found]
    promised = [
        (
            f"`{m.name}`",
            m.needs.replace("_", " "),
            _passes(m),
            m.batches,
            "yes" if m.promises.non_conflicting else "no",
            "" if m.promises.common_scale is None else f"c^{m.promises.common_scale:g}",
            m.promises.task_scale,
            "yes" if m.promises.permutation else "no",
            m.promises.unique,
            m.inner_problem or "",
        )
        for m in found
    ]
    columns = "method needs backwards batches safe all×c each×c_i order unique inner-problem"
    return PAGE.format(
        what=table(("method", "what it does"), what),
        promises=table(tuple(c.replace("×", " × ").replace("-", " ") for c in columns.split()), promised),
        search=table(
            ("method", "option", "tried"),
            [(f"`{m.name}`", f"`{option}`", tried) for m in found for option, tried in m.search.items()],
        ),
        sources=table(("method", "source"), [(f"`{m.name}`", m.source) for m in found]),
    )


def _passes(method: methods.Method) -> str:
    """Backward passes through the trunk as a formula in K: they are linear in the number of tasks."""
    slope = (method.cost(7) - method.cost(5)) // 2
    rest = method.cost(5) - 5 * slope
    tasks = {0: "", 1: "K"}.get(slope, f"{slope}K")
    return " + ".join(filter(None, (tasks, str(rest) if rest or not slope else "")))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; a bar inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *([str(cell).replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


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
        "search": {option: str(tried) for option, tried in method.search.items()},
        "source": method.source,
    }


def _dataset(name: str) -> dict[str, Any]:
    dataset = tasks.get(name)
    return {
        "summary": dataset.summary,
        "tasks": [task.name for task in dataset.tasks],
        "parameters": {name: value.default for name, value in signature(type(dataset)).parameters.items()},
        "files": [*(file.name for file in dataset.source.files), *dataset.source.layout],
        "licence": dataset.source.licence,
        "citation": dataset.source.citation,
    }


def _architecture(name: str) -> dict[str, Any]:
    architecture = architectures.get(name)
    parameters = {name: getattr(value, "name", value) for name, value in architecture}
    return {"summary": architecture.summary(), "parameters": parameters}


def _solver(name: str) -> dict[str, Any]:
    room, _, algorithm = name.partition("/")
    record = _room(room).algorithm(algorithm)
    return {"summary": record.summary, "iterative": record.iterative}


def _room(name: str) -> ModuleType:
    return import_module(f"mtlbench.solvers.{name}")
