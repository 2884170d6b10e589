"""Which molecules belong to train, validation and test: at random, or by scaffold, as in MoleculeNet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from .chemistry import parse, rdkit
from .dataset import DatasetError

TRAIN, HELD_OUT = 0.8, 0.1
PARTS = ("train", "validation", "test")


def random_parts(count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """80/10/10 of ``count`` molecules."""
    ends = [int(TRAIN * count), int((TRAIN + HELD_OUT) * count)]
    return np.split(rng.permutation(count), ends)


def scaffold_parts(smiles: Sequence[str]) -> list[np.ndarray]:
    """Molecules of one Bemis-Murcko scaffold stay together; the largest groups come first and fill train.

    The order of groups is DeepChem's: by size, then by the first molecule, descending. A group that would overfill
    train goes to validation, one that would overfill validation too to test.
    """
    chem, groups = rdkit(), defaultdict(list)
    from rdkit.Chem.Scaffolds import MurckoScaffold

    for number, text in enumerate(smiles):
        groups[MurckoScaffold.MurckoScaffoldSmiles(mol=parse(chem, text))].append(number)
    parts: list[list[int]] = [[], [], []]
    limits = TRAIN * len(smiles), (TRAIN + HELD_OUT) * len(smiles)
    for group in sorted(groups.values(), key=lambda group: (len(group), group[0]), reverse=True):
        if len(parts[0]) + len(group) <= limits[0]:
            parts[0] += group
        elif len(parts[0]) + len(parts[1]) + len(group) <= limits[1]:
            parts[1] += group
        else:
            parts[2] += group
    return [np.array(part, dtype=np.int64) for part in parts]


def both_classes_everywhere(
    values: np.ndarray, parts: Sequence[np.ndarray], columns: Sequence[str], rng: np.random.Generator | None
) -> list[np.ndarray]:
    """``parts`` in which every task has a molecule of either class, without which its AUC is not defined.

    Where one is missing, a molecule of train that has it, drawn by ``rng``, changes places with one whose leaving
    takes no class away. Without ``rng``, and where no exchange helps, raises :class:`DatasetError` naming the task.
    """
    has = np.concatenate([values == 0, values == 1], axis=1)
    parts = [part.copy() for part in parts]
    for number in (1, 2):
        while len(lacking := np.flatnonzero(has[parts[number]].sum(axis=0) == 0)):
            column = lacking[0]
            giving = [place for place in _dispensable(has[parts[0]]) if has[parts[0][place], column]]
            leaving = _dispensable(has[parts[number]])
            if rng is None or not giving or not len(leaving):
                raise _single_class(column, columns, PARTS[number])
            here, there = rng.choice(giving), rng.choice(leaving)
            parts[0][here], parts[number][there] = parts[number][there], parts[0][here]
    lacking = np.flatnonzero(has[parts[0]].sum(axis=0) == 0)
    if len(lacking):
        raise _single_class(lacking[0], columns, PARTS[0])
    return parts


def _dispensable(has: np.ndarray) -> np.ndarray:
    """The places of molecules that are not the last of any class of any task."""
    last = has.sum(axis=0) == 1
    return np.flatnonzero(~(has[:, last]).any(axis=1))


def _single_class(column: int, columns: Sequence[str], part: str) -> DatasetError:
    label, task = divmod(int(column), len(columns))
    return DatasetError(
        f"the {part} split has no molecule with label {label} for {columns[task]!r}, "
        "whose area under the ROC curve is then not defined: use split='random' on the whole file"
    )
