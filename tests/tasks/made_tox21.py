"""A small tox21.csv: 120 molecules with values that are drawn."""

from __future__ import annotations

from pathlib import Path

from making import molecule_table, write_molecules

from mtlbench.tasks import Source
from mtlbench.tasks.tox21 import Tox21

PARAMETERS = {"width": 32}


def make_test_files(data_dir: Path) -> Source:
    """Write ``tox21/tox21.csv`` and return its source."""
    return write_molecules(data_dir, "tox21", "tox21.csv", molecule_table(Tox21.columns, binary=Tox21.binary))
