"""Small files in the format of Census-Income: 300 persons for training, 200 for test."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from made_tables import describe

from mtlbench.tasks import Source
from mtlbench.tasks.census_income import ATTRIBUTES, COLLEGE, LABELS, TEST, TRAIN


def rows(rng: np.random.Generator, count: int) -> list[list[str]]:
    """``count`` persons; older ones earn more and are married, "?" stands among the values."""
    found = []
    for _ in range(count):
        age = rng.integers(15, 90)
        values = {
            name: "?" if size > 2 and rng.random() < 0.1 else f"value {rng.integers(2)}"
            for name, size in ATTRIBUTES.items()
        }
        values |= {name: str(rng.integers(1000)) for name, size in ATTRIBUTES.items() if not size}
        values |= {"age": str(age), "weight": f"{rng.random() * 2000:.2f}", "income": LABELS[int(age > 60)]}
        values["marital_status"] = "Never married" if age < 40 else "Widowed"
        values["education"] = COLLEGE[age % 6] if rng.random() < 0.4 else "10th grade"
        found.append([values[name] for name in ATTRIBUTES])
    return found


def write(path: Path, table: list[list[str]]) -> None:
    path.write_bytes(gzip.compress("".join(", ".join(row) + "\n" for row in table).encode(), mtime=0))


def make_test_files(data_dir: Path) -> Source:
    """Write the two files to ``data_dir/census_income_kdd`` and return their source."""
    folder = data_dir / "census_income_kdd"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, count in ((TRAIN, 300), (TEST, 200)):
        write(folder / name, rows(rng, count))
    return describe(folder)
