"""qm9: geometries and bonds as numbers, the message-passing network on them, and what is wrong with a file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from mtlbench.tasks import DatasetError
from mtlbench.tasks.message_passing import EdgeConvolution, Set2Set
from mtlbench.tasks.qm9 import COLUMNS, PLACE, Geometry


@pytest.fixture
def molecules(ready):
    dataset, data_dir = ready("qm9")
    splits = dataset.load(0, data_dir)
    parts = (splits.train, splits.validation, splits.test)
    return splits, torch.cat([s.inputs for s in parts]), data_dir


def test_the_listed_molecules_are_left_out_and_targets_are_standardised_over_train(molecules):
    splits, _, data_dir = molecules
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [32, 3, 3]
    for target in splits.train.targets.values():
        assert target.mean().abs() < 1e-6
        assert target.std(correction=0) == pytest.approx(1, rel=1e-5)
    table = pd.read_csv(data_dir / "qm9" / "gdb9.sdf.csv")[list(COLUMNS)].drop(index=[4, 16])
    for name in ("mu", "u0"):
        found = torch.cat([s.targets[name] for s in (splits.train, splits.validation, splits.test)]).flatten().sort()[0]
        truth = np.sort(table[name].to_numpy())
        assert np.corrcoef(truth, found.numpy())[0, 1] == pytest.approx(1, abs=1e-6)


def test_atoms_and_bonds_are_those_of_the_file(molecules):
    _, inputs, _ = molecules
    formaldehyde = next(m for m in inputs if (m[:, 0] > 0).sum() == 4)
    assert formaldehyde[:5, 0].tolist() == [6, 8, 1, 1, 0]
    assert formaldehyde[0, 1:4].tolist() == [0, 2, 2]  # not aromatic, sp2, two hydrogens
    bonds = formaldehyde[:4, PLACE.stop : PLACE.stop + 4]
    assert bonds.tolist() == [[0, 2, 1, 1], [2, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
    cyanide = next(m for m in inputs if (m[:, 0] > 0).sum() == 3)
    assert cyanide[0, 2:4].tolist() == [1, 1]
    assert cyanide[0, PLACE.stop + 1] == 3
    furan = next(m for m in inputs if (m[:, 0] > 0).sum() == 9)
    assert furan[:5, 1].tolist() == [1] * 5
    assert furan[0, PLACE.stop : PLACE.stop + 5].tolist() == [0, 4, 0, 0, 4]


def test_the_network_knows_neither_the_order_of_atoms_nor_the_place_of_the_molecule(molecules):
    _, inputs, _ = molecules
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Geometry(8)
    expected = network(inputs)
    order = torch.from_numpy(np.random.default_rng(0).permutation(29))
    moved = inputs[:, order].clone()
    moved[..., PLACE.stop :] = moved[..., PLACE.stop :][..., order]
    real = moved[..., :1] > 0
    moved[..., PLACE] = torch.where(real, moved[..., PLACE] + 1, 0)
    torch.testing.assert_close(network(moved), expected, atol=1e-5, rtol=1e-4)
    stretched = inputs.clone()
    stretched[..., PLACE] *= 1.5
    assert (network(stretched) - expected).abs().max() > 1e-3


def test_the_sum_over_edges_is_that_with_a_matrix_for_each_edge():
    draw = torch.Generator().manual_seed(0)
    nodes, edges = torch.randn(2, 5, 4, generator=draw), torch.randn(2, 5, 5, 3, generator=draw)
    linked = (torch.rand(2, 5, 5, generator=draw) < 0.6).float()
    linked[0, 0] = 0  # an atom without neighbours
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = EdgeConvolution(4, 3, hidden=6)
    # matrices: (4, hidden * 4) is one 4x4 matrix W_k for each hidden feature k.
    each = layer.matrices.weight.view(4, 6, 4).movedim(1, 0)
    matrix = torch.einsum("bijk,kod->bijod", layer.edges(edges), each)
    matrix = matrix + layer.constant.weight
    expected = torch.einsum("bijod,bjd,bij->bio", matrix, nodes, linked) / linked.sum(2, keepdim=True).clamp(min=1)
    torch.testing.assert_close(layer(nodes, edges, linked), expected + layer.own(nodes))


def test_the_readout_does_not_see_padding():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        readout, nodes = Set2Set(4), torch.randn(3, 6, 4)
    real = torch.arange(6).expand(3, 6) < 4
    changed = nodes.clone()
    changed[:, 4:] = 1e3
    torch.testing.assert_close(readout(changed, real), readout(nodes, real))
    torch.testing.assert_close(readout(nodes[:, :4], real[:, :4]), readout(nodes, real))


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("gdb9.sdf", " O   0", " S   0", "has an atom that is not H, C, N, O or F"),
        ("gdb9.sdf", "V2000", "V20", "molecule 1 is damaged"),
        ("gdb9.sdf", "gdb_40", "gdb_40\n\n\n  0  0\nM  END\n$$$$\nx", "holds 41 molecules, but .* 40 rows"),
        ("gdb9.sdf.csv", "homo", "homeau", "is not a table with the columns mu, alpha, homo"),
        ("gdb9.sdf.csv", "gdb_1,1.0,", "gdb_1,1.0,x", "is not a table with the columns"),
        ("uncharacterized.txt", "    17 ", "    xx ", "must begin with the number of a molecule"),
        ("uncharacterized.txt", "-\n", "", "is cut or damaged"),
    ],
)
def test_a_wrong_file_is_one_sentence(ready, file, old, new, message):
    dataset, data_dir = ready("qm9")
    path = data_dir / "qm9" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(DatasetError, match=f"{file}.*{message}") as caught:
        dataset.load(0, data_dir)
    assert "\n" not in str(caught.value)
