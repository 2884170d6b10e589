"""A small file in the format of school.mat: 139 schools of 8 to 12 pupils."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from made_tables import describe
from scipy.io import savemat

from mtlbench.tasks import Source
from mtlbench.tasks.school import FILE, INPUTS, SCHOOLS


def cells() -> tuple[np.ndarray, np.ndarray]:
    """X and Y: cells of (pupils, 28), the last column 1, and (pupils, 1)."""
    rng = np.random.default_rng(0)
    inputs, scores = np.empty((1, SCHOOLS), dtype=object), np.empty((1, SCHOOLS), dtype=object)
    for school in range(SCHOOLS):
        pupils = int(rng.integers(8, 13))
        values = rng.integers(0, 100, (pupils, INPUTS + 1), dtype=np.uint8)
        values[:, -1] = 1
        inputs[0, school] = values
        scores[0, school] = rng.integers(1, 71, (pupils, 1), dtype=np.uint8)
    return inputs, scores


def make_test_files(data_dir: Path) -> Source:
    """Write the file to ``data_dir/school`` and return its source."""
    folder = data_dir / "school"
    folder.mkdir(parents=True)
    inputs, scores = cells()
    savemat(folder / FILE, {"X": inputs, "Y": scores}, do_compression=True)
    return describe(folder)
