"""The studies: numbers by hand, and the chapter of runs that were really trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mtlbench import config, studies
from mtlbench.analysis import load
from mtlbench.errors import InputError
from mtlbench.report import parallel
from mtlbench.report import study as chapter
from mtlbench.studies import optimizers, shared_encoder_bound, solver_accuracy
from mtlbench.training.cell import run_cell

CONFIGS = Path(__file__).parents[2] / "config"
ROUGH = {"solver": "smooth_min", "max_iterations": 2}


@pytest.mark.parametrize("name", studies.names())
def test_every_study_has_a_benchmark_file_of_its_name(name):
    assert config.load(CONFIGS / f"{name}.yaml").study == name
    assert studies.get(name).title


def test_a_misspelt_study_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'solver_accuracy'"):
        config.parse(
            {"name": "b", "study": "solver_acuracy", "datasets": {"multi_digits": {"methods": ["equal"]}}}, "f"
        )


def test_the_integer_witness_makes_a_task_worse():
    """z = (1, 1), (1, -1) and A = [[1, 0], [-2, 1]]: u = (1, 0) and <g_1, u> = -1; min-norm weights (0.7, 0.3)."""
    z, a = np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([[1.0, 0.0], [-2.0, 1.0]])
    g = z @ a
    found = shared_encoder_bound.of_step(g @ g.T, z @ z.T, np.array([0.5, 0.5]))
    assert found["makes_worse"]
    assert found["smallest_cosine"] == pytest.approx(-1 / np.sqrt(2))
    assert found["from_min_norm"] == pytest.approx(0.2)
    assert found["interaction"] == found["from_norms_alone"] == 0
    exact = shared_encoder_bound.of_step(g @ g.T, g @ g.T, np.array([0.7, 0.3]))
    assert not exact["makes_worse"]
    assert exact["from_min_norm"] == pytest.approx(0, abs=1e-12)
    # The norms alone, √2 and √10, would give 5/6.
    assert exact["from_norms_alone"] == pytest.approx(5 / 6 - 0.7)


@pytest.fixture
def records(tiny, tiny_cell, tmp_path):
    exact = {"solver": "exact"}
    cells = [("single_task", {}), ("mgda", exact), ("mgda", ROUGH), ("mgda", {}), ("mgda_ub", {})]
    for method, options in cells:
        run_cell(tiny_cell(method, method_parameters=options, seeds=(0, 1), epochs=2), tmp_path / "runs")
    return load.read(tmp_path)


def test_solver_accuracy_sets_gap_conflict_and_metrics_side_by_side(records):
    points = solver_accuracy.measure(records).set_index("solver")
    assert set(points.index) == {"exact", "smooth_min", "active_set"}
    assert points.loc["exact", "against_exact"] == 0
    assert points.loc["smooth_min", "budget"] == 2
    assert np.isnan(points.loc["active_set", "budget"])
    assert points.loc["smooth_min", "median_gap"] > 1e-3
    assert points.loc["exact", "worst_gap"] < 1e-6
    assert points.loc["smooth_min", "outside_tolerance"] > points.loc["active_set", "outside_tolerance"] == 0
    difference = points.loc["smooth_min", "delta_m"] - points.loc["exact", "delta_m"]
    assert points.loc["smooth_min", "against_exact"] == pytest.approx(difference)
    solver_accuracy.draw(points.reset_index())
    assert "of 2 settings" in solver_accuracy.findings(points.reset_index())[0]


def test_the_findings_name_what_lies_beyond_its_interval():
    table = pd.DataFrame(
        {
            "dataset": "d",
            "solver": ["exact", "a", "b", "c"],
            "budget": [np.nan, 3, 3, 30],
            "against_exact": [0, 2.0, -1.0, 0.1],
            "against_exact_half_width": [np.nan, 1.0, 0.5, 0.5],
            "median_gap": [0, 1.0, 0.1, 1e-3],
            "update_conflicts": [0, 9, 5, 1],
        }
    )
    first, second = solver_accuracy.findings(table)
    assert "of 3 settings 1 (a at 3) is worse" in first
    assert "1 (b at 3) is better" in first
    assert "conflicting updates 1" in second


def test_the_chapter_is_written_and_read_again(records, tmp_path, monkeypatch):
    assert chapter.chapter(tmp_path) is None
    monkeypatch.setattr(chapter, "_name", lambda results: "shared_encoder_bound")
    parallel.run(list(chapter.write(tmp_path, records)))
    assert (tmp_path / "plots" / "study.svg").exists()
    found = chapter.chapter(tmp_path)
    assert {row[0].text for row in found.tables[0].rows} >= {"mgda", "mgda_ub"}
    assert any("the direction of mgda_ub makes a task worse in" in sentence for sentence in found.findings)
    first = (tmp_path / "study.csv").read_bytes()
    chapter.write(tmp_path, records)
    assert (tmp_path / "study.csv").read_bytes() == first


def test_optimizers_counts_the_pairs_that_turn_beyond_noise():
    rows = [
        # a before b before c with sgd; with adam c leads, and whether a or b comes first cannot be told.
        *[("sgd", "a", 1.0, None), ("sgd", "b", 2.0, "a"), ("sgd", "c", 3.0, "a; b")],
        *[("adam", "c", 1.0, None), ("adam", "a", 2.0, "c"), ("adam", "b", 2.1, "c")],
    ]
    table = pd.DataFrame(rows, columns=["setting", "label", "delta_m", "worse_than"]).assign(dataset="d")
    assert optimizers.findings(table) == [
        "d, sgd against adam: Kendall's τ of the orders is −0.33; of 2 pairs of methods told apart under both, 2 turn "
        "(a before c becomes the reverse; b before c becomes the reverse)."
    ]
    # A label may hold a comma of its own.
    long = "mgda(solver=frank_wolfe, max_iterations=100)"
    renamed = table.replace({"a": long, "a; b": f"{long}; b"})
    assert "of 2 pairs" in optimizers.findings(renamed)[0]
    assert "compares no settings" in optimizers.findings(table[table["setting"] == "sgd"])[0]


def test_optimizers_reads_every_setting_of_real_runs(tiny, tiny_cell, tmp_path):
    for setting in ("sgd", "adam"):
        for method in ("single_task", "equal", "mgda"):
            cell = tiny_cell(method, seeds=(0, 1), epochs=1, setting=setting, optimizer=setting)
            run_cell(cell, tmp_path / "runs")
    points = optimizers.measure(load.read(tmp_path))
    assert sorted(points[["setting", "label"]].itertuples(index=False, name=None)) == [
        *[("adam", label) for label in ("equal", "mgda")],
        *[("sgd", label) for label in ("equal", "mgda")],
    ]
    assert sorted(points["place"]) == [1, 1, 2, 2]
    assert optimizers.draw(points).axes
