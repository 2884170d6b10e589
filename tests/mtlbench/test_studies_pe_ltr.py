"""The study of PE-LTR's bounds: what is bounded, by hand, and the sweep of runs that were really trained."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtlbench.analysis import load
from mtlbench.studies import pe_ltr_bounds as study
from mtlbench.training.cell import run_cell


@pytest.mark.parametrize(
    ("lower", "said"),
    [([0, 0, 0], "none"), ([0.2, 0.2, 0.2], "every task"), ([0, 0.3, 0], "b"), ([0.1, 0, 0.2], "a and c")],
)
def test_which_tasks_are_bounded(lower, said):
    assert study.bounded(np.array(lower, dtype=float), ["a", "b", "c"]) == said


def points(rows):
    columns = ["label", "method", "bounded", "bound", "task", "value", "weight"]
    frame = pd.DataFrame([(*row[:5], [*row[5:]], seed) for row in rows for seed in (0, 1)])
    values = [(row[5][0] + 0.01 * row[6], row[5][1]) for row in frame.itertuples(index=False)]
    frame = pd.concat([frame[[0, 1, 2, 3, 4]], pd.DataFrame(values)], axis=1)
    frame.columns = columns
    equal = frame[frame["method"] == "equal"].groupby("task")["value"].mean()
    against = frame["value"] - frame["task"].map(equal) + np.tile([0.001, -0.001], len(rows))
    return frame.assign(dataset="d", metric="auc", at_bound=50.0, against_equal=against)


def test_the_sentences_follow_a_sweep_from_no_bound_to_the_highest():
    rows = [
        ("equal", "equal", "", 0.0, "a", 0.90, 0.5),
        ("equal", "equal", "", 0.0, "b", 0.80, 0.5),
        ("free", "pe_ltr", "none", 0.0, "a", 0.70, 0.1),
        ("free", "pe_ltr", "none", 0.0, "b", 0.80, 0.9),
        ("half", "pe_ltr", "a", 0.5, "a", 0.90, 0.5),
        ("half", "pe_ltr", "a", 0.5, "b", 0.60, 0.5),
    ]
    found = study.table(points(rows))
    assert list(found["label"]) == ["equal", "equal", "free", "free", "half", "half"]
    sweep, beside = study.findings(found)
    # 0.7, 0.71 have the mean 0.705 and the half width 12.7 · 0.005.
    assert "a bound on a of 0 to 0.50 takes the auc of a from 0.705 ± 0.064 to 0.905 ± 0.064" in sweep
    assert "(mean weight 0.10 to 0.50)" in sweep
    assert "b from 0.805 ± 0.064 to 0.605 ± 0.064 (mean weight 0.90 to 0.50)" in sweep
    # Both tasks were moved once by 0.2, beyond the noise of the differences; the others lie within it.
    assert "of 4 comparisons of pe_ltr with equal" in beside
    assert "2 lie beyond" in beside


def test_without_a_bounded_method_there_is_nothing_to_say(tiny, tiny_cell, tmp_path):
    run_cell(tiny_cell("equal", epochs=1), tmp_path / "runs")
    empty = study.table(study.measure(load.read(tmp_path)))
    assert empty.empty
    assert study.findings(empty) == ["No run of pe_ltr belongs to this benchmark."]


def test_the_sweep_of_real_runs_goes_from_mgda_to_fixed_weights(tiny, tiny_cell, tmp_path):
    third = 1 / 3
    cells = [("equal", {}), ("mgda", {}), ("pe_ltr", {"lower": 0}), ("pe_ltr", {"lower": third})]
    cells += [("pe_ltr", {"lower": [0.6, 0, 0]}), ("pe_ltr_relaxed", {"lower": [0.6, 0, 0]})]
    for method, parameters in cells:
        run_cell(tiny_cell(method, method_parameters=parameters, epochs=1), tmp_path / "runs")
    points = study.measure(load.read(tmp_path))
    rows = study.table(points)
    at = rows.set_index(["method", "bounded", "task"])
    # Without bounds it is MGDA, with bounds of sum 1 it is fixed weights, and no weight falls below its bound.
    for task in points["task"].unique():
        assert at.loc[("pe_ltr", "none", task), "value"] == at.loc[("mgda", "", task), "value"]
        assert at.loc[("pe_ltr", "every task", task), "weight"] == pytest.approx(third)
        assert at.loc[("pe_ltr", "every task", task), "at_bound"] == 100
    for method in study.SWEPT:
        assert at.loc[(method, "a", "a"), "weight"] >= 0.6 - study.CLOSE
    difference = at.loc[("mgda", "", "a"), "value"] - at.loc[("equal", "", "a"), "value"]
    assert at.loc[("mgda", "", "a"), "against_equal"] == pytest.approx(difference)
    assert len(study.draw(points).axes) == 2 * points["task"].nunique()
    assert any("a bound on a of 0 to 0.60" in sentence for sentence in study.findings(rows))
