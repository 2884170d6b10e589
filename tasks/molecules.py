"""Molecules as fingerprints: what ``tox21``, ``toxcast`` and ``qm8`` share.

A molecule is the 2048-bit Morgan fingerprint of radius 2 (ECFP4) of its SMILES: bit b is set where one of the
surroundings of its atoms, at most two bonds away, hashes to b. Source: D. Rogers, M. Hahn. Extended-connectivity
fingerprints. J. Chem. Inf. Model. 50(5), 2010; the form and the splits are those of MoleculeNet (Z. Wu et al. Chem.
Sci. 9, 2018). RDKit computes them; it is the optional extra ``chem``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from . import data_directory, files
from .cache import cached
from .chemistry import parse, rdkit, version
from .dataset import DatasetError, MultiTaskDataset, Source, Split, Splits, Task
from .molecule_splits import both_classes_everywhere, random_parts, scaffold_parts

BITS, RADIUS = 2048, 2
SPLITS = ("random", "scaffold")


def slug(column: str) -> str:
    """The name of a column as the name of a task."""
    return re.sub(r"[^a-z0-9]+", "_", column.lower())


class ToFloat(nn.Module):
    """Bits, kept as bytes, become float32 numbers when the network reads them."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.float()


class Molecules(MultiTaskDataset):
    """Properties of molecules in a CSV file: a column ``smiles`` and one for each task.

    ``split="random"``: 80/10/10, drawn by the seed; ``"scaffold"``: MoleculeNet's, one fixed split in which no two
    parts share a ring system. ``width`` is that of the one hidden layer; MoleculeNet's multitask network has 1000,
    which costs four times as much and gains little here.
    """

    columns: ClassVar[tuple[str, ...]]
    binary: ClassVar[bool] = True

    def __init__(self, *, split: str = "random", width: int = 256) -> None:
        if split not in SPLITS:
            raise DatasetError(f"{self.name}: split is {split!r} but must be one of {', '.join(SPLITS)}")
        if type(width) is not int or width < 1:
            raise DatasetError(f"{self.name}: width is {width!r} but must be a whole number of at least 1")
        self.split, self.width = split, width

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The molecules of trial ``seed``, fingerprints as uint8 (N, 2048), targets as float32 (N, 1)."""
        paths = files.locate(self.source, data_directory(data_dir) / self.source.folder)
        (path,) = paths.values()
        decides: dict[str, object] = {"split": self.split, "rdkit": version()}
        if self.split == "random":
            decides["seed"] = seed
        return cached(self.name, self.source, paths, decides, lambda: self._build(path, seed))

    def _build(self, path: Path, seed: int) -> Splits:
        smiles, bits, values = _read(self.source, path.absolute(), self.columns)
        if self.binary and not bool((np.isnan(values) | (values == 0) | (values == 1)).all()):
            raise DatasetError(f"{path} holds a label that is neither 0 nor 1 nor empty")
        rng = np.random.default_rng(seed)
        parts = random_parts(len(bits), rng) if self.split == "random" else scaffold_parts(smiles)
        if self.binary:
            # Some assays of ToxCast have 19 active molecules: a tenth drawn at random has none once in seven times.
            parts = both_classes_everywhere(values, parts, self.columns, rng if self.split == "random" else None)
        return Splits.of(*(self._part(bits[part], values[part]) for part in parts))

    def _part(self, bits: np.ndarray, values: np.ndarray) -> Split:
        columns = torch.from_numpy(values).split(1, dim=1)
        targets = {task.name: column.clone() for task, column in zip(self.tasks, columns, strict=True)}
        return Split(torch.from_numpy(bits), targets)

    def encoder(self) -> nn.Module:
        """One full layer with dropout 0.25, to (batch, width)."""
        return nn.Sequential(ToFloat(), nn.Linear(BITS, self.width), nn.ReLU(), nn.Dropout(0.25))

    def head(self, task: Task) -> nn.Module:
        """One full layer, to the logit or the value."""
        return nn.Linear(self.width, task.outputs)


@lru_cache(maxsize=1)
def _read(source: Source, path: Path, columns: tuple[str, ...]) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """The SMILES, the fingerprints (N, 2048) and the values (N, columns) of a file, once per process."""
    import pandas as pd

    files.verify(source, {path.name: path})
    try:
        table = pd.read_csv(path, dtype={"smiles": str, **dict.fromkeys(columns, "float32")})
    except (ValueError, OSError) as error:
        raise DatasetError(f"{path} is not the CSV file it should be: {str(error).splitlines()[0]}") from None
    lacking = [column for column in ("smiles", *columns) if column not in table]
    if lacking:
        raise DatasetError(f"{path} lacks the column {lacking[0]!r} ({len(lacking)} of {len(columns) + 1} are missing)")
    values = table[list(columns)].to_numpy()
    if np.isinf(values).any():
        raise DatasetError(f"{path} holds an infinite value")
    empty = np.flatnonzero(np.isnan(values).all(axis=0))
    if len(empty):
        raise DatasetError(f"{path} has no label in the column {columns[empty[0]]!r}")
    smiles = tuple(table["smiles"].fillna(""))
    return smiles, _fingerprints(path, smiles), values


def _fingerprints(path: Path, smiles: Sequence[str]) -> np.ndarray:
    chem = rdkit()
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    bits = np.empty((len(smiles), BITS), dtype=np.uint8)
    for row, text in enumerate(smiles):
        molecule = parse(chem, text)
        if molecule is None:
            raise DatasetError(f"{path}: RDKit cannot read the SMILES {text!r} of row {row + 1}")
        bits[row] = generator.GetFingerprintAsNumPy(molecule)
    return bits
