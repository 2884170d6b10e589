"""RDKit, the optional extra ``chem``: asked for by one name, and the reading of a SMILES."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from .dataset import DatasetError


def parse(chem: ModuleType, text: str) -> Any:  # RDKit's Mol; it need not be installed
    """The molecule of a SMILES, also where an atom has a valence that RDKit does not expect; None if it is no SMILES.

    Eight of Tox21's aluminium compounds are of the first kind; other readers lose them without a word.
    """
    molecule = chem.MolFromSmiles(text) if text else None
    return molecule or _without_valences(chem, text)


def _without_valences(chem: ModuleType, text: str) -> Any:
    molecule = chem.MolFromSmiles(text, sanitize=False) if text else None
    if molecule is None:
        return None
    molecule.UpdatePropertyCache(strict=False)
    flags = chem.SanitizeFlags
    failed = chem.SanitizeMol(molecule, flags.SANITIZE_ALL ^ flags.SANITIZE_PROPERTIES, catchErrors=True)
    return None if failed else molecule


def version() -> str:
    """The version of RDKit, which decides what it computes."""
    rdkit()
    from rdkit import rdBase

    return str(rdBase.rdkitVersion)


def rdkit() -> ModuleType:
    """``rdkit.Chem``, silent; raises :class:`DatasetError` naming the extra where it is not installed."""
    try:
        from rdkit import Chem, RDLogger
    except ImportError:
        raise DatasetError(
            "molecules are read with RDKit, which is not installed: pip install 'mtlbench[chem]'"
        ) from None
    RDLogger.DisableLog("rdApp.*")
    return Chem
