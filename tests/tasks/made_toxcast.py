"""A small toxcast.csv.gz: 120 molecules with values that are drawn."""

from __future__ import annotations

from pathlib import Path

from making import molecule_table, write_molecules

from mtlbench.tasks import Source
from mtlbench.tasks.toxcast import ToxCast

PARAMETERS = {"width": 32}


def make_test_files(data_dir: Path) -> Source:
    """Write ``toxcast/toxcast.csv.gz`` and return its source."""
    table = molecule_table(ToxCast.columns, binary=ToxCast.binary)
    return write_molecules(data_dir, "toxcast", "toxcast.csv.gz", table)
