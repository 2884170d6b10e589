"""The weights of runs beside those of exact: by hand, and on a run that was really trained."""

from __future__ import annotations

import numpy as np
import pytest

from mtlbench.errors import CheckFailed
from mtlbench.referee import afterwards
from mtlbench.training.cell import run_cell


def test_the_distances_of_two_orthogonal_gradients():
    # G = diag(1, 4): w* = (0.8, 0.2), u* = (0.8, 0.4). With w = (1, 0): u = (1, 0), gap 1 - 0.
    found = afterwards.against_exact(np.diag([1.0, 4.0]), np.array([1.0, 0.0]))
    assert found["relative_gap"] == pytest.approx(1)
    assert found["exact_gap"] == pytest.approx(0, abs=1e-9)
    assert found["distance"] == pytest.approx(np.hypot(0.2, 0.4), rel=1e-6)
    assert found["moved_weight"] == pytest.approx(0.2, rel=1e-6)


def test_runs_with_an_inner_problem_have_a_row_and_inexact_solvers_a_distance(tiny, tiny_cell, tmp_path):
    inexact = {"solver": "smooth_min", "max_iterations": 3}
    for cell in (tiny_cell("equal"), tiny_cell("mgda", seeds=(0, 1)), tiny_cell("mgda", method_parameters=inexact)):
        run_cell(cell, tmp_path / "runs")
    table = afterwards.compare(tmp_path).set_index(["label", "seed"])
    assert set(table.index) == {("mgda", 0), ("mgda", 1), ("mgda(solver=smooth_min, max_iterations=3)", 0)}
    assert (table["problems"] == 6).all()
    assert (table.loc["mgda", "worst_distance"] < 1e-4).all()
    rough = table.loc["mgda(solver=smooth_min, max_iterations=3)"].iloc[0]
    assert rough["worst_distance"] > 1e-2
    # The certificate bounds the distance, whoever computed the weights.
    assert rough["worst_distance"] ** 2 <= rough["worst_relative_gap"] + rough["worst_exact_gap"]
    folder = next((tmp_path / "runs").rglob("audit.npz"))
    folder.write_bytes(folder.read_bytes()[:200])
    with pytest.raises(CheckFailed, match="is not a whole run"):
        afterwards.compare(tmp_path)
