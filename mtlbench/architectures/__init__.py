"""How the tasks of one network share it: one file per architecture, named after it.

A file defines ``build(dataset, tasks) -> nn.Module``; the module maps a batch of inputs to ``(outputs,
representation)``: ``outputs`` is ``{task name: tensor}`` in the order of ``tasks``, and ``representation`` is
the tensor through which every head sees the inputs. A new file is picked up without being registered
anywhere.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from mtlbench.errors import unknown_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from mtlbench.tasks.dataset import MultiTaskDataset, Task


def names() -> tuple[str, ...]:
    """The names of the architectures, sorted; torch is not imported."""
    return tuple(sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_")))


def get(name: str) -> Callable[[MultiTaskDataset, Sequence[Task]], nn.Module]:
    """The function that builds the architecture ``name`` for some tasks of a dataset.

    Raises :class:`~mtlbench.errors.InputError`, offering the nearest valid name, when there is no such
    architecture.
    """
    if name not in names():
        raise unknown_name("architecture", name, names())
    return import_module(f"{__name__}.{name}").build
