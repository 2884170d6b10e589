"""When a recorded run counts: whole, of the present configuration, code and environment. Needs no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mtlbench.files import digest
from mtlbench.provenance import environment
from mtlbench.sections import Cell
from mtlbench.sources import code_digest

RUN = "run.json"


def read(folder: Path) -> dict[str, Any] | None:
    """The ``run.json`` of ``folder``; ``None`` unless it, and every file that it names, is whole."""
    try:
        record = json.loads((folder / RUN).read_text(encoding="utf-8"))
        if not isinstance(record, dict) or record.get("complete") is not True:
            return None
        if any(digest(folder / name) != expected for name, expected in record["files"].items()):
            return None
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return record


def identity(cell: Cell) -> dict[str, Any]:
    """What a run's provenance must say for it to count: the sources the cell depends on, versions, processor.

    Runs that differ in one of them are never paired with each other in one table.
    """
    return environment() | {"code": code_digest(cell)}


def current(cell: Cell, seed: int, folder: Path, here: dict[str, Any]) -> dict[str, Any] | None:
    """The record in ``folder`` if it is whole and is this very run's, whatever its status.

    ``here`` is the cell's :func:`identity`.
    """
    record = read(folder)
    if record is None or record.get("seed") != seed or record.get("configuration") != cell.run_configuration():
        return None
    provenance = record.get("provenance", {})
    return record if {name: provenance.get(name) for name in here} == here else None
