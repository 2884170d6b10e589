"""Questions that one benchmark file answers: ``study: NAME`` in the file adds a chapter to its report.

One file per study, named after it and picked up without being registered; ``study.py`` says what it defines. A study
reads the runs of its benchmark and trains nothing: its methods and datasets stand in ``config/NAME.yaml``.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from mtlbench.errors import unknown_name

__all__ = ["ON_TRAINING", "get", "names"]

ON_TRAINING = ("model_size",)
"""The studies that need the metrics of the training split: ``evaluate_training: true``."""


def names() -> tuple[str, ...]:
    """The names of the studies, sorted: those of the files in this folder, none of them imported."""
    modules = (module.name for module in iter_modules(__path__))
    return tuple(sorted(name for name in modules if name != "study" and not name.startswith("_")))


def get(name: str) -> Any:
    """The :class:`~mtlbench.studies.study.Study` of that name.

    Raises :class:`~mtlbench.errors.InputError`, offering the nearest valid name, for an unknown one.
    """
    if name not in names():
        raise unknown_name("study", name, names())
    return import_module(f"{__name__}.{name}").STUDY
