"""What the makers of small files share: a source that describes the files made, and molecules enough for a test."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from mtlbench.tasks import Source, SourceFile


def described(data_dir: Path, folder: str, layout: Sequence[str] = ()) -> Source:
    """The source of which every file in ``data_dir/folder`` is a true copy; checksums of what no layout names."""
    files = [
        SourceFile(
            path.name, hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size, f"https://x/{path.name}"
        )
        for path in sorted((data_dir / folder).iterdir())
        if not layout
    ]
    return Source(tuple(files), "made for a test", "MIT", "none", folder, tuple(layout))


def smiles() -> list[str]:
    """120 molecules, no two with one fingerprint, with six different ring systems."""
    rings = ("c1ccccc1{}", "c1ccncc1{}", "C1CCCCC1{}", "c1ccoc1{}", "C1CCNCC1{}", "c1ccc2ccccc2c1{}")
    tails = ("C", "CC", "CO", "CN", "CF", "C(=O)O", "C#N", "CCl", "CBr", "S", "C=C", "OC", "NC", "CCO", "C(F)F")
    ends = ("", "(C)")
    made = [ring.format(f"C{end}{tail}") for tail, end, ring in product(tails, ends, rings)]
    return made[:120]


def molecule_table(columns: Sequence[str], *, binary: bool) -> pd.DataFrame:
    """The molecules with values: labels of 0 and 1, some of them missing, or numbers.

    Six columns are drawn and repeat, so that many tasks ask no more of twelve molecules than a few do.
    """
    rng = np.random.default_rng(0)
    rows = smiles()
    values = rng.normal(0.2, 0.05, (len(rows), 6))
    if binary:
        values = np.where(rng.random(values.shape) < 0.2, np.nan, values > 0.22)
    return pd.DataFrame({"smiles": rows} | {name: values[:, i % 6] for i, name in enumerate(columns)})


@cache
def pictures(count: int) -> tuple[bytes, ...]:
    """Small JPEG files of noise, of three sizes, encoded once for all tests."""
    rng, encoded = np.random.default_rng(0), []
    for number in range(count):
        stream = BytesIO()
        noise = rng.integers(0, 256, (6 + number % 3, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).save(stream, format="jpeg")
        encoded.append(stream.getvalue())
    return tuple(encoded)


def write_molecules(data_dir: Path, folder: str, name: str, table: pd.DataFrame) -> Source:
    """Write ``table`` as the one file of a dataset, gzipped without a time where its name says so."""
    (data_dir / folder).mkdir(parents=True, exist_ok=True)
    table.to_csv(
        data_dir / folder / name,
        index=False,
        compression={"method": "gzip", "mtime": 0} if name.endswith(".gz") else None,
    )
    return described(data_dir, folder)
