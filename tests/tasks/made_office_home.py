"""A small Office-Home, made as Office-31 is."""

from __future__ import annotations

from pathlib import Path

from made_office31 import PARAMETERS, write_domains

from mtlbench.tasks import Source
from mtlbench.tasks.office_home import OfficeHome

__all__ = ["PARAMETERS", "make_test_files"]


def make_test_files(data_dir: Path) -> Source:
    """Write the folders of the archive and return their source."""
    write_domains(data_dir, OfficeHome)
    return OfficeHome.source
