"""A small file in the format of rf1.arff, and one in that of sf1.arff with nominal inputs; some inputs are missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from made_tables import describe

from mtlbench.tasks import Source
from mtlbench.tasks.mulan import TABLES

FLARE_VALUES = ("A,B,C,D,E,F,H", "X,R,S,A,H,K", "X,O,I,C", "1,2", "1,2,3", "1,2,3", "1,2", "1,2", "1,2", "1,2")


def arff(kinds: list[str], rows: list[list[str]]) -> str:
    header = "".join(f"@attribute 'a{i}' {kind}\n" for i, kind in enumerate(kinds))
    return "@relation 'x'\n\n" + header + "\n@data\n" + "".join(",".join(row) + "\n" for row in rows)


def river(count: int = 300) -> str:
    """64 numbers and 8 targets, a "?" in the inputs of every tenth row."""
    rng = np.random.default_rng(0)
    kinds = ["numeric"] * (TABLES["rf1"].inputs + 8)
    rows = [[f"{value:.6f}" for value in row] for row in rng.normal(size=(count, len(kinds)))]
    for row in rows[::10]:
        row[3] = "?"
    return arff(kinds, rows)


def flares(count: int = 120) -> str:
    """10 nominal inputs, and 3 targets that count."""
    rng = np.random.default_rng(1)
    rows = [
        [str(rng.choice(values.split(","))) for values in FLARE_VALUES] + [str(n) for n in rng.integers(0, 3, 3)]
        for _ in range(count)
    ]
    rows[0][0] = "?"
    return arff([f"{{{values}}}" for values in FLARE_VALUES] + ["numeric"] * 3, rows)


def make_test_files(data_dir: Path) -> Source:
    """Write rf1.arff to ``data_dir/mulan_mtr`` and return its source."""
    folder = data_dir / "mulan_mtr"
    folder.mkdir(parents=True)
    (folder / "rf1.arff").write_text(river())
    return describe(folder)
