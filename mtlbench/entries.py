"""How a benchmark file names a plug-in, with its parameters or without, and how a reader sees the two together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def named(entry: Any, what: str) -> dict[str, Any]:
    """``mgda`` or ``{mgda: {solver: frank_wolfe}}`` as ``{"name": ..., "parameters": ...}``.

    Raises ``ValueError`` for anything else; ``what`` is what is being named ("a method").
    """
    if isinstance(entry, str):
        return {"name": entry, "parameters": {}}
    if isinstance(entry, dict) and len(entry) == 1:
        ((name, parameters),) = entry.items()
        if isinstance(parameters, dict) or parameters is None:
            return {"name": name, "parameters": parameters or {}}
    raise ValueError(f"{what} is written as its name, or as {{name: {{parameter: value}}}}")


def shown(name: str, parameters: Mapping[str, Any]) -> str:
    """The name that a reader sees: ``mgda(solver=frank_wolfe)``, ``hard_sharing(encoder=mlp(width=200))``."""
    if not parameters:
        return name
    return f"{name}({', '.join(f'{key}={_plain(value)}' for key, value in parameters.items())})"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "/".join(shown(str(name), inner or {}) for name, inner in value.items())
    return "/".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)
