"""A small QM9: geometries of 40 molecules, drawn, in MoleculeNet's files; two of them are left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from mtlbench.tasks import Source
from mtlbench.tasks.qm9 import COLUMNS, QM9

PARAMETERS = {"width": 16}
# Atoms and bonds (from, to, order; 4 is aromatic in the format, which QM9's files do not use).
METHANOL = ("COHHHH", ((1, 2, 1), (1, 3, 1), (1, 4, 1), (1, 5, 1), (2, 6, 1)))
HYDROGEN_CYANIDE = ("CNH", ((1, 2, 3), (1, 3, 1)))
FORMALDEHYDE = ("COHH", ((1, 2, 2), (1, 3, 1), (1, 4, 1)))
FURAN = ("OCCCCHHHH", ((1, 2, 1), (2, 3, 2), (3, 4, 1), (4, 5, 2), (5, 1, 1), *((n, n + 4, 1) for n in range(2, 6))))


def make_test_files(data_dir: Path) -> Source:
    """Write the three files to ``qm9`` and return their source."""
    folder = data_dir / "qm9"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    kinds = (METHANOL, HYDROGEN_CYANIDE, FORMALDEHYDE, FURAN)
    (folder / "gdb9.sdf").write_text("".join(_record(n, *kinds[n % 4], rng) for n in range(40)))
    table = pd.DataFrame({"mol_id": [f"gdb_{n + 1}" for n in range(40)], "A": 1.0})
    for column in (*COLUMNS, "gap"):
        table[column] = rng.normal(size=40) * 100
    table.to_csv(folder / "gdb9.sdf.csv", index=False)
    head = "2 molecules of another kind than intended\n" + "-\n" * 8
    (folder / "uncharacterized.txt").write_text(head + "     5   CCO   CCN\n    17   CCC   CCN\n2 compounds\n")
    return QM9.source


def _record(number: int, atoms: str, bonds: tuple[tuple[int, int, int], ...], rng: np.random.Generator) -> str:
    lines = [
        f"gdb_{number + 1}",
        "     RDKit          3D",
        "",
        f"{len(atoms):3}{len(bonds):3}  0  0  0  0  0  0  0  0999 V2000",
    ]
    for atom, (x, y, z) in zip(atoms, rng.normal(scale=1.5, size=(len(atoms), 3)), strict=True):
        lines.append(f"{x:10.4f}{y:10.4f}{z:10.4f} {atom:3} 0  0  0  0  0  0  0  0  0  0  0  0")
    lines += [f"{a:3}{b:3}{order:3}  0" for a, b, order in bonds]
    return "\n".join([*lines, "M  END", "$$$$"]) + "\n"
