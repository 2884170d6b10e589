"""Small files in the format of Fashion-MNIST, which is that of MNIST."""

from __future__ import annotations

import runpy
from pathlib import Path

from mtlbench.tasks import Source

made = runpy.run_path(str(Path(__file__).with_name("made_multimnist.py")))


def make_test_files(data_dir: Path) -> Source:
    """Write the four files to ``data_dir/fashion_mnist`` and return their source."""
    made["write"](data_dir / "fashion_mnist", seed=1)
    return Source(made["describe"](data_dir / "fashion_mnist"), "made for a test", "MIT", "none", "fashion_mnist")
