"""Small files of Office-Caltech: in four domains five pictures of each of ten classes, whose words depend on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from making import described
from scipy.io import savemat

from mtlbench.tasks import Source
from mtlbench.tasks.office_caltech import WORDS, OfficeCaltech

PARAMETERS = {"width": 32}


def make_test_files(data_dir: Path) -> Source:
    """Write the four files to ``office_caltech10`` and return their source."""
    folder = data_dir / "office_caltech10"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(1, 11, dtype=np.uint8), 5)
    for file in OfficeCaltech.source.files:
        counts = rng.poisson(1, (len(labels), WORDS)) + 3 * (np.arange(WORDS) % 10 + 1 == labels[:, None])
        savemat(folder / file.name, {"fts": counts.astype(np.uint8), "labels": labels[:, None]})
    # The header of a MATLAB file holds the time at which it was written.
    for path in folder.iterdir():
        content = path.read_bytes()
        path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(116) + content[116:])
    return described(data_dir, "office_caltech10")
