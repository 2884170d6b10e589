"""A small MovieLens-1M: 30 users, 40 films, 300 ratings."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mtlbench.tasks import Source
from mtlbench.tasks.movielens import AGES, GENRES, MovieLens

PARAMETERS = {"width": 64, "embedding": 4}


def make_test_files(data_dir: Path) -> Source:
    """Write the three files to ``ml-1m`` and return their source."""
    folder = data_dir / "ml-1m"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    users = [
        f"{n}::{'FM'[n % 2]}::{AGES[n % 7]}::{n % 21}::{rng.integers(10000, 99999)}{'-1234' if n % 9 == 0 else ''}"
        for n in range(1, 31)
    ]
    films = [f"{3 * n}::Café Nº{n}, The ({1950 + n})::{GENRES[n % 18]}|{GENRES[(n + 5) % 18]}" for n in range(1, 41)]
    pairs = rng.choice(30 * 40, 300, replace=False)
    ratings = [f"{1 + p // 40}::{3 * (1 + p % 40)}::{rng.integers(1, 6)}::978300760" for p in pairs]
    for name, lines in (("users", users), ("movies", films), ("ratings", ratings)):
        (folder / f"{name}.dat").write_bytes(("\n".join(lines) + "\n").encode("latin-1"))
    return MovieLens.source
