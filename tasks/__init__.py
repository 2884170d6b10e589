"""The multi-task datasets, one file each: drop a file in here and it is listed, trained and tested.

It is imported as ``mtlbench.tasks``, through the relative link ``mtlbench/tasks -> ../tasks``.

- ``dataset.py``: what a dataset is; ``files.py``: finding, checking and reading source files; ``cache.py``: built data,
  kept; ``checks.py``: what is wrong with loaded data; ``losses.py`` and ``metrics.py``: losses and metrics that leave
  missing labels out; ``overlay.py`` and ``two_pictures.py``: two pictures on one canvas; ``tables.py``: reading and
  encoding tables; ``teachers.py``: directions at a chosen angle; ``images.py``, ``molecules.py``, ``dense.py``,
  ``domains.py`` and others named below: what several datasets share; ``resnet.py``, ``segnet.py``,
  ``message_passing.py``: their networks.
- Every other file is a dataset, unless its name starts with an underscore.
- Data files lie outside the project, one subfolder per dataset in :func:`data_directory`.
"""

from __future__ import annotations

import inspect
import os
import pkgutil
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from .dataset import (
    DatasetError,
    Metric,
    MultiTaskDataset,
    Protocol,
    Source,
    SourceFile,
    Split,
    Splits,
    Task,
)

__all__ = [
    "DatasetError",
    "Metric",
    "MultiTaskDataset",
    "Protocol",
    "Source",
    "SourceFile",
    "Split",
    "Splits",
    "Task",
    "data_directory",
    "file_name",
    "get",
    "names",
    "variants",
]

_NOT_DATASETS = {
    *("cache", "checks", "dataset", "files", "losses", "metrics", "overlay", "tables", "teachers", "two_pictures"),
    *("chemistry", "dense", "dense_metrics", "domains", "image_domains", "images", "message_passing", "molecules"),
    *("molecule_splits", "resnet", "segnet", "toxcast_assays"),
}


def names() -> tuple[str, ...]:
    """The names of all datasets, sorted: the file names of this folder, none of them imported."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(n for n in found if n not in _NOT_DATASETS and not n.startswith("_")))


def file_name(name: str) -> str:
    """The name of the dataset's file: ``mulan`` for ``mulan:rf1``, which is ``mulan`` with ``variant="rf1"``."""
    return name.partition(":")[0]


def variants(name: str) -> tuple[str, ...]:
    """The variants of the dataset ``name``, each of which is a dataset ``NAME:VARIANT``; none where it has none."""
    return _class(name).variants


def get(name: str, **parameters: Any) -> MultiTaskDataset:
    """The dataset ``name``, built with ``parameters``; nothing is loaded yet.

    ``NAME:VARIANT`` is the dataset ``NAME`` with the parameter ``variant``. Raises :class:`DatasetError` for a wrong
    value, and with the nearest valid name for an unknown dataset, variant or parameter.
    """
    name, colon, variant = name.partition(":")
    found = _class(name)
    if colon:
        if not found.variants:
            raise DatasetError(f"dataset {name} has no variants: write {name!r} instead of '{name}:{variant}'")
        if "variant" in parameters:
            raise DatasetError(f"{name}:{variant} names its variant: leave the parameter variant out")
        parameters["variant"] = variant
    valid = [p.name for p in inspect.signature(found).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for parameter in parameters:
        if parameter not in valid:
            raise _unknown(f"parameter of dataset {name}", parameter, valid)
    if "variant" in parameters and parameters["variant"] not in found.variants:
        raise _unknown(f"variant of dataset {name}", parameters["variant"], found.variants)
    return found(**parameters)


def _class(name: str) -> type[MultiTaskDataset]:
    """The dataset's class, from the file of that name."""
    if name not in names():
        raise _unknown("dataset", name, names())
    module = import_module(f".{name}", __name__)
    classes = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, MultiTaskDataset) and value.__module__ == module.__name__
    ]
    if len(classes) != 1:
        raise DatasetError(f"tasks/{name}.py must define one MultiTaskDataset, but defines {len(classes)}")
    return classes[0]


def data_directory(explicit: str | Path | None = None) -> Path:
    """The folder of dataset files: ``explicit``, else what MTLBENCH_DATA says, else ``./data``."""
    return Path(explicit or os.environ.get("MTLBENCH_DATA") or "data")


def _unknown(kind: str, name: object, valid: Iterable[str]) -> DatasetError:
    ordered = sorted(valid)
    near = get_close_matches(str(name), ordered, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return DatasetError(f"unknown {kind} {str(name)!r}: {hint}valid: {', '.join(ordered) or 'none'}")
