"""Small files in the format of Adult: 300 persons for training, 100 for test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from made_tables import describe

from mtlbench.tasks import Source
from mtlbench.tasks.adult import ATTRIBUTES, TEST, TRAIN


def rows(rng: np.random.Generator, count: int) -> list[str]:
    found = []
    for _ in range(count):
        age = rng.integers(17, 90)
        values = {
            name: "?" if size > 2 and rng.random() < 0.1 else f"Value-{rng.integers(2)}"
            for name, size in ATTRIBUTES.items()
        }
        values |= {name: str(rng.integers(100_000)) for name, size in ATTRIBUTES.items() if not size}
        values |= {"age": str(age), "income": ">50K" if age > 60 else "<=50K"}
        values["marital_status"] = "Never-married" if age < 40 else "Widowed"
        values["education"] = "Bachelors" if rng.random() < 0.4 else "10th"
        found.append(", ".join(values[name] for name in ATTRIBUTES))
    return found


def make_test_files(data_dir: Path) -> Source:
    """Write the two files to ``data_dir/adult`` and return their source."""
    folder = data_dir / "adult"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    (folder / TRAIN).write_text("\n".join(rows(rng, 300)) + "\n\n")
    (folder / TEST).write_text("|1x3 Cross validator\n" + "".join(f"{row}.\n" for row in rows(rng, 100)))
    return describe(folder)
