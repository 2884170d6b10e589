"""A small CelebA: 48 pictures whose attributes are drawn, half of them for training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from making import pictures

from mtlbench.tasks import Source
from mtlbench.tasks.celeba import ATTRIBUTES, CelebA

PARAMETERS = {"width": 4}


def make_test_files(data_dir: Path) -> Source:
    """Write both lists and the pictures to ``celeba`` and return their source."""
    folder = data_dir / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    rng = np.random.default_rng(0)
    names = [f"{number:06}.jpg" for number in range(1, 49)]
    values = np.where(rng.random((len(names), len(ATTRIBUTES))) < 0.5, 1, -1)
    rows = [f"{name} " + " ".join(f"{v:2d}" for v in row) for name, row in zip(names, values, strict=True)]
    (folder / "list_attr_celeba.txt").write_text("\n".join([str(len(names)), " ".join(ATTRIBUTES) + " ", *rows]) + "\n")
    parts = [0] * 24 + [1] * 12 + [2] * 12
    lines = "".join(f"{name} {part}\n" for name, part in zip(names, parts, strict=True))
    (folder / "list_eval_partition.txt").write_text(lines)
    for name, content in zip(names, pictures(len(names)), strict=True):
        (folder / "img_align_celeba" / name).write_bytes(content)
    return CelebA.source
