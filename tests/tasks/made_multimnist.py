"""Small files in the format of MNIST: noisy bars whose height is the class, 120 for training and 40 for test."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np

from mtlbench.tasks import Source, SourceFile


def idx(array: np.ndarray) -> bytes:
    """The uint8 ``array`` as a gzip file in the IDX format, without a time in it."""
    header = (0x0800 | array.ndim).to_bytes(4) + b"".join(size.to_bytes(4) for size in array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)


def describe(folder: Path, inside: str = "") -> tuple[SourceFile, ...]:
    """The files in ``folder`` as their true copies, under ``inside`` of the source's folder."""
    return tuple(
        SourceFile(
            inside + path.name,
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_size,
            f"https://x/{inside}{path.name}",
        )
        for path in sorted(folder.iterdir())
    )


def write(folder: Path, seed: int) -> None:
    """Write the four files to ``folder``."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for part, count in (("train", 120), ("t10k", 40)):
        labels = np.arange(count, dtype=np.uint8) % 10
        images = rng.integers(0, 30, (count, 28, 28), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[4 : 6 + 2 * label, 10:18] = 255
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(images))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx(labels))


def make_test_files(data_dir: Path) -> Source:
    """Write the four files to ``data_dir/mnist`` and return their source."""
    write(data_dir / "mnist", seed=0)
    return Source(describe(data_dir / "mnist"), "made for a test", "MIT", "none", "mnist")
