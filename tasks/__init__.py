"""The multi-task datasets, one file each: drop a file in here and it is listed, trained and tested.

It is imported as ``mtlbench.tasks``, through the relative link ``mtlbench/tasks -> ../tasks``.

- ``dataset.py``: what a dataset is; ``files.py``: finding, checking and reading source files; ``metrics.py``: the
  metrics, ``labelled.py`` and ``losses.py``: where labels are missing, ``dense_metrics.py``: for every pixel.
- ``overlay.py``, ``images.py``, ``molecules.py``, ``dense.py``, ``domains.py`` and others named below: what several
  datasets share; ``resnet.py``, ``segnet.py``, ``message_passing.py``: their networks.
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
    "get",
    "names",
]

_NOT_DATASETS = {
    *("dataset", "files", "metrics", "overlay", "losses", "labelled", "domains", "images", "image_domains"),
    *("dense", "dense_metrics", "chemistry", "molecules", "molecule_splits", "toxcast_assays"),
    *("message_passing", "resnet", "segnet"),
}


def names() -> tuple[str, ...]:
    """The names of all datasets, sorted: the file names of this folder, none of them imported."""
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(n for n in found if n not in _NOT_DATASETS and not n.startswith("_")))


def get(name: str, **parameters: Any) -> MultiTaskDataset:
    """The dataset ``name``, built with ``parameters``; nothing is loaded yet.

    Raises :class:`DatasetError` for a wrong value, and with the nearest valid name for an unknown dataset or
    parameter.
    """
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
    valid = [p.name for p in inspect.signature(classes[0]).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for parameter in parameters:
        if parameter not in valid:
            raise _unknown(f"parameter of dataset {name}", parameter, valid)
    return classes[0](**parameters)


def data_directory(explicit: str | Path | None = None) -> Path:
    """The folder of dataset files: ``explicit``, else what MTLBENCH_DATA says, else ``./data``."""
    return Path(explicit or os.environ.get("MTLBENCH_DATA") or "data")


def _unknown(kind: str, name: object, valid: Iterable[str]) -> DatasetError:
    ordered = sorted(valid)
    near = get_close_matches(str(name), ordered, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return DatasetError(f"unknown {kind} {str(name)!r}: {hint}valid: {', '.join(ordered) or 'none'}")
