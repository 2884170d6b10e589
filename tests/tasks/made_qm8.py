"""A small qm8.csv.gz: 120 molecules with values that are drawn."""

from __future__ import annotations

from pathlib import Path

from making import molecule_table, write_molecules

from mtlbench.tasks import Source
from mtlbench.tasks.qm8 import QM8

PARAMETERS = {"width": 32}


def make_test_files(data_dir: Path) -> Source:
    """Write ``qm8/qm8.csv.gz`` and return its source."""
    return write_molecules(data_dir, "qm8", "qm8.csv.gz", molecule_table(QM8.columns, binary=QM8.binary))
