"""A small NYUv2 in the form of MTAN: 20 + 5 scenes of 32x64 pixels, a corner of each without labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mtlbench.tasks import Source
from mtlbench.tasks.nyuv2 import NYUv2

PARAMETERS = {"width": 4}
SIZE = (32, 64)


def make_test_files(data_dir: Path) -> Source:
    """Write the folders of ``nyuv2`` and return their source."""
    write_scenes(data_dir / "nyuv2", classes=13, normals=True)
    return NYUv2.source


def write_scenes(root: Path, *, classes: int, normals: bool) -> None:
    """Scenes with labels, depth and, where asked for, normals of length one."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 20), ("val", 5)):
        for number in range(count):
            normal = rng.normal(size=(*SIZE, 3))
            scene = {
                "image": rng.random((*SIZE, 3)),
                "label": rng.integers(0, classes, SIZE).astype(np.float64),
                "depth": rng.uniform(0.5, 5, (*SIZE, 1)),
                "normal": normal / np.linalg.norm(normal, axis=2, keepdims=True),
            }
            for name, nothing in (("label", -1), ("depth", 0), ("normal", 0)):
                scene[name][:4, :4] = nothing
            if not normals:
                scene["depth"] = scene["depth"][..., 0]
                del scene["normal"]
            for name, array in scene.items():
                (root / part / name).mkdir(parents=True, exist_ok=True)
                np.save(root / part / name / f"{number}.npy", array)
