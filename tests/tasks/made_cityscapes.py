"""A small Cityscapes in the form of MTAN, made as NYUv2 is."""

from __future__ import annotations

from pathlib import Path

from made_nyuv2 import PARAMETERS, write_scenes

from mtlbench.tasks import Source
from mtlbench.tasks.cityscapes import Cityscapes

__all__ = ["PARAMETERS", "make_test_files"]


def make_test_files(data_dir: Path) -> Source:
    """Write the folders of ``cityscapes`` and return their source."""
    write_scenes(data_dir / "cityscapes", classes=7, normals=False)
    return Cityscapes.source
