"""Small files in the format of MNIST and of Fashion-MNIST, whose names are the same."""

from __future__ import annotations

import runpy
from pathlib import Path

from mtlbench.tasks import Source

made = runpy.run_path(str(Path(__file__).with_name("made_multimnist.py")))


def make_test_files(data_dir: Path) -> Source:
    """Write the files of both to their folders in ``data_dir`` and return their source."""
    files = []
    for seed, folder in enumerate(("mnist", "fashion_mnist")):
        made["write"](data_dir / folder, seed)
        files += made["describe"](data_dir / folder, f"{folder}/")
    return Source(tuple(files), "made for a test", "MIT", "none")
