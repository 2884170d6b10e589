"""A small file in the format of parkinsons_updrs.data: 10 subjects with 20 recordings each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from made_tables import describe

from mtlbench.tasks import Source
from mtlbench.tasks.parkinsons import FILE, INPUTS, SUBJECT, TARGETS


def table() -> list[str]:
    """The header and 200 rows."""
    rng = np.random.default_rng(0)
    lines = [",".join((SUBJECT, *INPUTS[:3], *TARGETS.values(), *INPUTS[3:]))]
    for number in range(200):
        values = rng.random(len(INPUTS))
        scores = (20 + 10 * values[0], 30 + 10 * values[1])
        lines.append(",".join([str(number // 20 + 1), *(f"{v:.5f}" for v in (*values[:3], *scores, *values[3:]))]))
    return lines


def make_test_files(data_dir: Path) -> Source:
    """Write the file to ``data_dir/parkinsons`` and return its source."""
    folder = data_dir / "parkinsons"
    folder.mkdir(parents=True)
    (folder / FILE).write_text("\n".join(table()) + "\n")
    return describe(folder)
