"""``mtlbench new method|solver|dataset NAME``: a file that works and its test, written into the checkout to be changed.

The templates beside this file are baselines that keep every contract as they stand: a method that weights tasks by a
power of their gradients' lengths, a plain first algorithm for each room of solvers, a small generated dataset.
"""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from mtlbench.errors import InputError, unknown_name
from mtlbench.files import write_atomically

KINDS = ("method", "solver", "dataset")
TEMPLATES = Path(__file__).parent / "templates"
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def write(kind: str, name: str, root: Path | None = None) -> list[Path]:
    """Write the file ``name`` (of a solver ROOM/NAME) and its test below ``root``, by default this very checkout.

    Raises :class:`~mtlbench.errors.InputError` for a kind or a room that there is none of, a name that cannot be a
    module's or is taken, and where mtlbench does not run from a checkout. Nothing is written then.
    """
    if kind not in KINDS:
        raise unknown_name("kind", kind, KINDS)
    root = root or checkout()
    room, slash, own = name.rpartition("/")
    if kind == "solver":
        rooms = [path.stem.removesuffix(".py") for path in (TEMPLATES / "solver").glob("*.py.j2")]
        if not slash:
            raise InputError(
                f"new solver {name!r}: write it as ROOM/NAME, the room being one of {', '.join(sorted(rooms))}"
            )
        if room not in rooms:
            raise unknown_name("room", room, rooms)
    elif slash:
        raise InputError(f"new {kind} {name!r}: a {kind} has no room, write the name alone")
    if not _NAME.fullmatch(own) or keyword.iskeyword(own):
        raise InputError(
            f"new {kind} {name!r}: a name is a lower-case Python name such as my_{kind}, for it is a module's"
        )
    files = _files(kind, room, own, root)
    for target in files:
        if target.exists():
            raise InputError(f"new {kind} {name!r}: {target} exists already; choose another name or delete it")
    if kind == "method":
        _refuse_other_packages(own)
    for target, template in files.items():
        write_atomically(target, _render(template, room=room, name=own, title=_camel(own)))
    return list(files)


def checkout() -> Path:
    """The checkout that this mtlbench runs from; :class:`~mtlbench.errors.InputError` if it is installed elsewhere."""
    root = Path(__file__).parents[2]
    needed = ("pyproject.toml", "mtlbench/methods", "solvers", "tasks", "tests")
    if not all((root / name).exists() for name in needed):
        raise InputError(
            f"mtlbench runs from {root}, which is no checkout of it: clone the repository and pip install -e it, or "
            "offer your method from your own package (docs/add-a-method.md)"
        )
    return root


def _files(kind: str, room: str, name: str, root: Path) -> dict[Path, str]:
    """The files to write and their templates."""
    if kind == "solver":
        return {
            root / "solvers" / room / f"{name}.py": f"solver/{room}.py.j2",
            root / "tests" / "solvers" / f"test_{room}_{name}.py": "test_solver.py.j2",
        }
    folder, tests = {"method": ("mtlbench/methods", "mtlbench/test_methods"), "dataset": ("tasks", "tasks/test")}[kind]
    return {
        root / folder / f"{name}.py": f"{kind}.py.j2",
        root / "tests" / f"{tests}_{name}.py": f"test_{kind}.py.j2",
    }


def _refuse_other_packages(name: str) -> None:
    from mtlbench import plugins

    if name in plugins.names(()):
        raise InputError(f"new method {name!r}: {plugins.origin(name)} has that name")


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _render(template: str, **values: str) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.get_template(template).render(**values)
