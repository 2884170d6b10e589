"""tox21, toxcast, qm8: fingerprints, splits, and what is wrong with a file; the real files where they are at hand."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from making import molecule_table, smiles, write_molecules
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from rdkit.Chem.Scaffolds import MurckoScaffold

from mtlbench import tasks
from mtlbench.tasks import DatasetError, chemistry, molecule_splits
from mtlbench.tasks.tox21 import Tox21

REAL = os.environ.get("MTLBENCH_DATA")
needs_real_files = pytest.mark.skipif(not REAL, reason="MTLBENCH_DATA does not name the folder of the real files")


def test_every_molecule_is_in_one_split_with_its_labels(ready):
    dataset, data_dir = ready("tox21")
    splits = dataset.load(5, data_dir)
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [96, 12, 12]
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    table = molecule_table(Tox21.columns, binary=True)
    expected = {}
    for row in table.itertuples(index=False):
        bits = generator.GetFingerprintAsNumPy(Chem.MolFromSmiles(row[0])).tobytes()
        expected[bits] = np.array(row[1:], dtype=np.float32)
    for split in (splits.train, splits.validation, splits.test):
        for place, bits in enumerate(split.inputs.numpy()):
            found = [split.targets[task.name][place].item() for task in dataset.tasks]
            np.testing.assert_array_equal(found, expected.pop(bits.tobytes()))
    assert not expected


def test_no_ring_system_is_in_two_parts_and_the_common_ones_are_learnt_from():
    rows = [*smiles(), *(f"C{tail}" for tail in ("O", "N", "CCC"))]
    parts = molecule_splits.scaffold_parts(rows)
    assert sorted(np.concatenate(parts)) == list(range(len(rows)))
    found = [{MurckoScaffold.MurckoScaffoldSmiles(rows[i]) for i in part} for part in parts]
    assert not found[0] & (found[1] | found[2])
    assert not found[1] & found[2]
    assert len(parts[0]) <= 0.8 * len(rows)


def test_the_scaffold_split_is_one_whatever_the_seed(ready):
    dataset, data_dir = ready("qm8", split="scaffold")
    assert dataset.load(0, data_dir).digest == dataset.load(1, data_dir).digest


def test_rare_classes_change_places_and_nothing_else_does():
    rng = np.random.default_rng(0)
    values = np.zeros((300, 3))
    values[:12] = 1
    values[7:20, 1] = np.nan
    values[np.arange(300) % 2 == 0, 2] = 1
    parts = [np.arange(240), np.arange(240, 270), np.arange(270, 300)]
    new = molecule_splits.both_classes_everywhere(values, parts, "abc", rng)
    assert sorted(np.concatenate(new)) == list(range(300))
    assert [len(part) for part in new] == [240, 30, 30]
    for old, part in zip(parts, new, strict=True):
        for column in values[part].T:
            assert {0.0, 1.0} <= set(column)
        # One active molecule of a and b in validation and in test: at most two exchanges each.
        assert len(set(old) - set(part)) <= 4
    with pytest.raises(DatasetError, match="the validation split has no molecule with label 1 for 'a'"):
        molecule_splits.both_classes_everywhere(values, parts, "abc", None)


def test_what_cannot_be_shared_out_is_said():
    values = np.zeros((30, 1))
    values[:2] = 1
    with pytest.raises(DatasetError, match="the test split has no molecule with label 1 for 'a'"):
        molecule_splits.both_classes_everywhere(
            values, [np.arange(24), np.arange(24, 27), np.arange(27, 30)], "a", np.random.default_rng(0)
        )


def test_a_valence_that_rdkit_does_not_know_is_no_reason_to_lose_a_molecule():
    assert Chem.MolFromSmiles("CC(=O)O[AlH3](O)O") is None
    assert chemistry.parse(Chem, "CC(=O)O[AlH3](O)O").GetNumAtoms() == 7
    assert chemistry.parse(Chem, "CC(=O") is None


def changed(change) -> pd.DataFrame:
    table = molecule_table(Tox21.columns, binary=True)
    change(table)
    return table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("SR-p53"), r"lacks the column 'SR-p53' \(1 of 13 are missing\)"),
        (lambda t: t.insert(0, "extra", 1), ""),
        (lambda t: t.__setitem__("NR-AR", 2.0), "holds a label that is neither 0 nor 1"),
        (lambda t: t.__setitem__("NR-AR", np.inf), "holds an infinite value"),
        (lambda t: t.__setitem__("NR-AR", "active"), "is not the CSV file it should be: .*active"),
        (lambda t: t.__setitem__("NR-AhR", np.nan), "has no label in the column 'NR-AhR'"),
        (lambda t: t.__setitem__("NR-AhR", 1.0), "no molecule with label 0 for 'NR-AhR'"),
        (lambda t: t.loc.__setitem__((3, "smiles"), "C1CC"), "cannot read the SMILES 'C1CC' of row 4"),
        (lambda t: t.loc.__setitem__((3, "smiles"), None), "cannot read the SMILES '' of row 4"),
    ],
)
def test_wrong_content_is_one_sentence(tmp_path, change, message):
    dataset = tasks.get("tox21")
    dataset.source = write_molecules(tmp_path, "tox21", "tox21.csv", changed(change))
    if not message:  # a column that nobody asks for does no harm
        assert len(dataset.load(0, tmp_path).train) == 96
        return
    with pytest.raises(DatasetError, match=message) as caught:
        dataset.load(0, tmp_path)
    assert "\n" not in str(caught.value)


def test_without_rdkit_the_extra_is_named(ready, monkeypatch):
    dataset, data_dir = ready("tox21")
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(DatasetError, match=r"RDKit, which is not installed: pip install 'mtlbench\[chem\]'"):
        dataset.load(0, data_dir)


@pytest.mark.parametrize("parameter", [{"split": "scafold"}, {"split": 3}, {"width": 0}, {"width": 2.0}])
def test_a_wrong_parameter_is_one_sentence(parameter):
    with pytest.raises(DatasetError, match=f"toxcast: {next(iter(parameter))} is .* but must be"):
        tasks.get("toxcast", **parameter)


@needs_real_files
def test_real_tox21():
    splits = tasks.get("tox21").load(0, Path(REAL))
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [6264, 783, 784]
    targets = [target for s in (splits.train, splits.validation, splits.test) for target in s.targets.values()]
    assert sum(int((~target.isnan()).sum()) for target in targets) == 77_946
    assert splits.train.inputs.dtype == torch.uint8
