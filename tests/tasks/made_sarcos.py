"""A small file in the format of sarcos_inv_test.mat: 200 rows, torques that are linear in the motion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from made_tables import describe
from scipy.io import savemat

from mtlbench.tasks import Source
from mtlbench.tasks.sarcos import INPUTS, TEST, TORQUES


def rows(seed: int, count: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    motion = rng.normal(size=(count, INPUTS))
    return np.concatenate([motion, motion @ rng.normal(size=(INPUTS, TORQUES))], axis=1)


def make_test_files(data_dir: Path) -> Source:
    """Write the file to ``data_dir/sarcos`` and return its source."""
    folder = data_dir / "sarcos"
    folder.mkdir(parents=True)
    savemat(folder / TEST, {"sarcos_inv_test": rows(0, 200)})
    return describe(folder)
