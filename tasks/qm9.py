"""qm9: eleven properties of molecules of up to nine heavy atoms, from their geometry.

The folder ``qm9/`` holds MoleculeNet's ``gdb9.sdf`` (geometries and bonds) and ``gdb9.sdf.csv`` (properties), and
``uncharacterized.txt``, which lists 3,054 molecules that failed a consistency check and are left out: 130,831 remain.
RDKit reads them; it is the optional extra ``chem``.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import data_directory, files
from .chemistry import rdkit
from .dataset import DatasetError, MultiTaskDataset, Protocol, Source, Split, Splits, Task
from .losses import mse
from .message_passing import MessagePassing
from .metrics import MAE

GEOMETRIES, PROPERTIES, LEFT_OUT = "gdb9.sdf", "gdb9.sdf.csv", "uncharacterized.txt"
# The targets of the multi-task papers: all of the twelve common ones but the gap, which is lumo less homo.
COLUMNS = ("mu", "alpha", "homo", "lumo", "r2", "zpve", "u0", "u298", "h298", "g298", "cv")
ATOMS = 29
ELEMENTS = (1, 6, 7, 8, 9)
BONDS = (1.0, 2.0, 3.0, 1.5)  # single, double, triple, aromatic, coded 1 to 4; 0 is no bond
# What the inputs hold of an atom: atomic number, aromatic, hybridisation (1 sp, 2 sp2, 3 sp3), hydrogens, place, bonds.
PLACE = slice(4, 7)
COLUMNS_OF_ATOM = 7 + ATOMS


class Geometry(nn.Module):
    """The padded molecules (batch, 29, 36) to (batch, width), by :class:`MessagePassing`.

    An atom has 11 features: which of H, C, N, O, F; atomic number; aromatic; sp, sp2, sp3; number of hydrogens. A
    pair of atoms has 5: single, double, triple or aromatic bond, and the distance in ångström.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.network = MessagePassing(11, 5, width)

    def forward(self, inputs: Tensor) -> Tensor:
        number, aromatic, hybridisation, hydrogens = inputs[..., :4].split(1, dim=2)
        element = number == number.new_tensor(ELEMENTS)
        kind = hybridisation == number.new_tensor([1, 2, 3])
        features = torch.cat([element, number, aromatic, kind, hydrogens], dim=2)
        place = inputs[..., PLACE]
        # Not cdist, whose gradient and value at distance 0 are delicate.
        distance = (place.unsqueeze(1) - place.unsqueeze(2)).square().sum(dim=3).sqrt()
        bonds = inputs[..., PLACE.stop :].unsqueeze(3) == number.new_tensor([1, 2, 3, 4])
        edges = torch.cat([bonds, distance.unsqueeze(3)], dim=3)
        return self.network(features, edges, number.squeeze(2) > 0)


class QM9(MultiTaskDataset):
    """11 regressions on float32 (29, 36): a row for each atom, zeros where there is none.

    The seed draws 10,000 molecules for validation and 10,000 for test, as the papers do. Targets are standardised over
    the training molecules, and the mean absolute error is in these standard deviations; the papers multiply by them.
    """

    name = "qm9"
    summary = "11 quantum-chemical properties of 130,831 small molecules from their geometry, regression tasks"
    tasks = tuple(Task(column, 1, mse, (replace(MAE, unit="standard deviations of train"),)) for column in COLUMNS)
    # The papers', who also lower the rate to 0.7 of it where validation does not improve.
    protocol = Protocol(epochs=300, batch_size=120, optimizer="adam", learning_rate=1e-3)
    source = Source(
        files=(),
        layout=(GEOMETRIES, PROPERTIES, LEFT_OUT),
        home=(
            "QM9 in MoleculeNet's form, "
            "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/molnet_publish/qm9.zip, "
            "with the list of uncharacterized molecules, https://ndownloader.figshare.com/files/3195404"
        ),
        licence="CC0 (quantum-machine.org)",
        citation=(
            "R. Ramakrishnan, P. O. Dral, M. Rupp, O. A. von Lilienfeld. Quantum chemistry structures and properties "
            "of 134 kilo molecules. Scientific Data 1, 2014. Z. Wu et al. MoleculeNet. Chem. Sci. 9, 2018"
        ),
        folder="qm9",
    )

    def __init__(self, *, width: int = 64) -> None:
        if type(width) is not int or width < 1:
            raise DatasetError(f"qm9: width is {width!r} but must be a whole number of at least 1")
        self.width = width

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The molecules of trial ``seed``."""
        atoms, values = _read(self.source, (data_directory(data_dir) / self.source.folder).absolute())
        order = np.random.default_rng(seed).permutation(len(atoms))
        # A smaller file keeps a tenth for each.
        held_out = min(10_000, len(atoms) // 10)
        if not held_out:
            raise DatasetError(
                f"{self.source.folder}/{GEOMETRIES} holds {len(atoms)} molecules, too few for three splits"
            )
        parts = np.split(order, [-2 * held_out, -held_out])
        mean, scale = values[parts[0]].mean(axis=0), values[parts[0]].std(axis=0)
        if not (scale > 0).all():
            raise DatasetError(f"{COLUMNS[int(scale.argmin())]} has one value in all molecules of the training split")
        scaled = ((values - mean) / scale).astype(np.float32)

        def split(part: np.ndarray) -> Split:
            columns = torch.from_numpy(scaled[part]).split(1, dim=1)
            targets = {task.name: c.clone() for task, c in zip(self.tasks, columns, strict=True)}
            return Split(torch.from_numpy(atoms[part]), targets)

        return Splits.of(*map(split, parts))

    def encoder(self) -> nn.Module:
        """The message-passing network, to (batch, width)."""
        return Geometry(self.width)

    def head(self, task: Task) -> nn.Module:
        """One full layer, to the value."""
        return nn.Linear(self.width, task.outputs)


@lru_cache(maxsize=1)
def _read(source: Source, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The atoms (N, 29, 36) and the properties (N, 11) of all molecules that are used."""
    import pandas as pd

    paths = files.locate(source, folder)
    try:
        table = pd.read_csv(paths[PROPERTIES], usecols=COLUMNS, dtype="float64")[list(COLUMNS)].to_numpy()
    except (ValueError, OSError) as error:
        raise DatasetError(
            f"{paths[PROPERTIES]} is not a table with the columns {', '.join(COLUMNS)}: {error}"
        ) from None
    if not np.isfinite(table).all():
        raise DatasetError(f"{paths[PROPERTIES]} holds an empty or infinite value")
    used = np.ones(len(table), dtype=bool)
    used[[place for place in _left_out(paths[LEFT_OUT]) if place < len(table)]] = False
    chem = rdkit()
    try:
        molecules = chem.SDMolSupplier(str(paths[GEOMETRIES]), removeHs=False, sanitize=False)
    except OSError as error:
        raise DatasetError(f"{paths[GEOMETRIES]} cannot be read: {error}") from None
    if len(molecules) != len(table):
        raise DatasetError(
            f"{paths[GEOMETRIES]} holds {len(molecules)} molecules, but {paths[PROPERTIES]} {len(table)} rows"
        )
    atoms = np.zeros((int(used.sum()), ATOMS, COLUMNS_OF_ATOM), dtype=np.float32)
    for row, place in enumerate(np.flatnonzero(used)):
        molecule = molecules[int(place)]
        if molecule is None or not 1 < molecule.GetNumAtoms() <= ATOMS:
            raise DatasetError(f"{paths[GEOMETRIES]}: molecule {place + 1} is damaged or has not 2 to {ATOMS} atoms")
        try:
            _describe(chem, molecule, atoms[row])
        except ValueError as error:
            raise DatasetError(f"{paths[GEOMETRIES]}: molecule {place + 1} is damaged: {error}") from None
        if not np.isin(atoms[row, : molecule.GetNumAtoms(), 0], ELEMENTS).all():
            raise DatasetError(f"{paths[GEOMETRIES]}: molecule {place + 1} has an atom that is not H, C, N, O or F")
    return atoms, table[used]


def _describe(chem: ModuleType, molecule: Any, atoms: np.ndarray) -> None:
    """Fill in the rows of one molecule."""
    molecule.UpdatePropertyCache(strict=False)
    chem.SanitizeMol(
        molecule, chem.SanitizeFlags.SANITIZE_ALL ^ chem.SanitizeFlags.SANITIZE_PROPERTIES, catchErrors=True
    )
    kinds = {chem.HybridizationType.SP: 1, chem.HybridizationType.SP2: 2, chem.HybridizationType.SP3: 3}
    for row, atom in zip(atoms, molecule.GetAtoms(), strict=False):
        hydrogens = sum(neighbour.GetAtomicNum() == 1 for neighbour in atom.GetNeighbors())
        row[:4] = atom.GetAtomicNum(), atom.GetIsAromatic(), kinds.get(atom.GetHybridization(), 0), hydrogens
    atoms[: molecule.GetNumAtoms(), PLACE] = molecule.GetConformer().GetPositions()
    for bond in molecule.GetBonds():
        one, other = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        code = 1 + BONDS.index(bond.GetBondTypeAsDouble())
        atoms[one, PLACE.stop + other] = atoms[other, PLACE.stop + one] = code


def _left_out(path: Path) -> list[int]:
    """The places, from 0, of the molecules that the list names by their numbers from 1."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from None
    # Nine lines of explanation, a line for each molecule, and one line below the table.
    numbers = [line.split(maxsplit=1)[0] if line.strip() else "" for line in lines[9:-1]]
    wrong = [text for text in numbers if not text.isdecimal()]
    if wrong or not numbers:
        raise DatasetError(f"{path} is cut or damaged: its lines must begin with the number of a molecule")
    return [int(text) - 1 for text in numbers]
