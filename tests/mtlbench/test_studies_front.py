"""The study of the scalarisation front: places by hand, fronts whose truth is known, the grid of a benchmark file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtlbench import config, tasks
from mtlbench.analysis import load
from mtlbench.errors import InputError
from mtlbench.sections import FrontSection
from mtlbench.studies import _front_picture
from mtlbench.studies import scalarisation_front as study
from mtlbench.training.cell import run_cell

LINE = np.array([[0.0, 1.0], [0.25, 0.5], [0.5, 0.25], [1.0, 0.0]])


def benchmark(**front):
    return {"name": "b", "datasets": {"multi_digits": {"methods": ["equal"], "front": front}}}


def test_the_grid_of_two_tasks_goes_evenly_from_end_to_end():
    grid = [row.parameters["weights"] for row in FrontSection(tasks=2, points=11).rows()]
    assert grid[0] == [0, 1]
    assert grid[3] == [0.3, 0.7]
    assert grid[-1] == [1, 0]
    assert len(grid) == 11


def test_the_grid_of_more_tasks_covers_the_simplex_and_depends_on_its_seed_alone():
    grid = np.array([row.parameters["weights"] for row in FrontSection(tasks=10, points=512).rows()])
    assert grid.shape == (512, 10)
    assert grid.min() > 0
    assert grid.sum(axis=1) == pytest.approx(1, abs=1e-3)
    # Dirichlet(1, ..., 1): means 1/K, variances (K − 1) / (K² (K + 1)), every pair negatively correlated.
    assert grid.mean(axis=0) == pytest.approx(0.1, abs=0.01)
    assert grid.var(axis=0) == pytest.approx(9 / 1100, rel=0.25)
    again, other = (FrontSection(tasks=10, points=512, seed=seed).rows() for seed in (0, 1))
    assert [row.parameters["weights"] for row in again] == grid.tolist()
    assert other[0].parameters["weights"] != grid[0].tolist()


def test_the_grid_follows_the_methods_as_rows_like_any_other():
    cells = config.cells(config.parse(benchmark(tasks=2, points=3), "f"))
    assert [cell.label for cell in cells] == [
        "equal",
        "static(weights=0.0/1.0)",
        "static(weights=0.5/0.5)",
        "static(weights=1.0/0.0)",
    ]


@pytest.mark.parametrize(
    ("front", "message"),
    [
        ({"tasks": 2}, "front.points is missing"),
        ({"tasks": 2, "pionts": 3}, "unknown key 'pionts': did you mean 'points'"),
        ({"tasks": 1, "points": 3}, "front.tasks: input should be greater than or equal to 2"),
        ({"tasks": 2, "points": 1}, "front.points: input should be greater than or equal to 2"),
    ],
)
def test_a_wrong_grid_is_refused_in_a_sentence(front, message):
    with pytest.raises(InputError, match=message):
        config.parse(benchmark(**front), "f")


def test_a_grid_for_another_number_of_tasks_is_refused_before_anything_trains():
    cells = config.cells(config.parse(benchmark(tasks=3, points=2), "f"))
    with pytest.raises(InputError, match="3 given for 2 tasks"):
        config.check_plugins(cells[-1])


def test_weights_that_stand_in_the_grid_and_in_the_list_are_refused():
    content = benchmark(tasks=2, points=3)
    content["datasets"]["multi_digits"]["methods"].append({"static": {"weights": [0.5, 0.5]}})
    with pytest.raises(InputError, match=r"static-weights=0.5-0.5 is listed twice"):
        config.parse(content, "f")


@pytest.mark.parametrize(
    ("own", "beyond", "gained", "dominated"),
    [
        # Ahead of (0.25, 0.5) by 0.1 in one task: the others are further away. New area: 0.1 x 0.25 left of 0.5.
        ((0.25, 0.4), 10.0, 0.1 * 0.25, 0),
        # Behind (0.25, 0.5) by 0.1 in both tasks.
        ((0.35, 0.6), -10.0, 0.0, 1),
        # A copy neither dominates nor is dominated.
        ((0.25, 0.5), 0.0, 0.0, 0),
        # As good as (0.5, 0.25) in one task, worse in the other.
        ((0.5, 0.3), 0.0, 0.0, 1),
    ],
)
def test_the_place_of_a_point_by_hand(own, beyond, gained, dominated):
    found = study.place(LINE, np.array(own))
    assert found == pytest.approx((beyond, 100 * gained / study.REFERENCE**2, dominated), abs=1e-9)


def arena(rows, seeds=3):
    """Scores of two tasks of which the first is better when higher, the same for every seed; labels to (x, y)."""
    index = pd.MultiIndex.from_product([rows, range(seeds)], names=["label", "seed"])
    values = [rows[label] for label, _ in index]
    return pd.DataFrame(values, index=index, columns=["a", "b"], dtype=float)


def test_each_row_stands_against_the_grid_in_units_of_its_box():
    # Costs 0 to 10 in either task once the first is turned round; the untrained end lies far away and sets no scale.
    grid = {"w0": (100, 10), "w1": (95, 2), "w2": (90, 0), "end": (-500, 0)}
    weights = {"w0": [0.9, 0.1], "w1": [0.5, 0.5], "w2": [0.1, 0.9], "end": [0, 1]}
    found = study.of_arena(arena(grid | {"new": (97, 5), "bad": (80, 4)}), weights, np.array([True, False]))
    places = found.groupby("label")[["beyond_front", "dominated"]].mean()
    assert places.loc["new"].tolist() == pytest.approx([20, 0])  # w1 would have to gain 2 of 10 in a
    assert places.loc["bad"].tolist() == pytest.approx([-40, 1])  # w2 is better by 10 and by 4 of 10
    assert places.loc["w1"].tolist() == pytest.approx([50, 0])  # against the rest of the grid: w2 is behind by 5 of 10
    assert found.loc[found["label"] == "end", "kind"].unique() == ["end"]


def test_the_mean_of_runs_at_both_ends_is_no_point_of_the_front():
    """A method that ends at either task of a concave front is not beyond the grid; its mean over seeds would be."""
    ends = {0: (0.0, 1.0), 1: (1.0, 0.0)}
    rows = {("w0", seed): ends[0] for seed in ends} | {("w1", seed): ends[1] for seed in ends}
    rows |= {("either", seed): ends[seed] for seed in ends} | {("between", seed): (0.7, 0.7) for seed in ends}
    scores = pd.DataFrame(rows.values(), index=pd.MultiIndex.from_tuples(rows, names=["label", "seed"]))
    weights = {"w0": [0.4, 0.6], "w1": [0.6, 0.4]}
    places = study.of_arena(scores, weights, np.array([False, False])).groupby("label")["beyond_front"].mean()
    assert places["either"] == pytest.approx(0)
    assert places["between"] == pytest.approx(30)


def test_table_and_sentences_say_who_lies_where():
    grid = {f"w{i}": (i, (10 - i) ** 2 / 10) for i in range(11)}
    weights = {f"w{i}": [(i + 1) / 12, 1 - (i + 1) / 12] for i in range(11)}
    points = study.of_arena(arena(grid | {"good": (3, 1), "bad": (9, 9)}), weights, np.array([False, False]))
    points = points.assign(dataset="d", delta_m=np.nan, delta_m_half_width=np.nan)
    found = study.table(points)
    assert list(found["label"][:4]) == [study.GRID, study.EVERYTHING, "good", "bad"]
    assert found.set_index("label").loc["bad", "dominated"] == 100
    first, second = study.findings(found)
    assert "of 2 methods 1 (good) lies beyond the front of 11 fixed weights, 1 (bad) lies behind it" in first
    assert "1 (good) lies beyond it by more than its gaps are worth" in first
    assert "hypervolume of the fixed weights" in second


def test_an_untrained_end_is_no_gap_and_one_row_makes_no_box():
    grid = {"w0": (0, 10), "w1": (3, 3), "w2": (10, 0), "end": (-20, 50)}
    weights = {"w0": [0.1, 0.9], "w1": [0.5, 0.5], "w2": [0.9, 0.1], "end": [1, 0]}
    points = study.of_arena(arena(grid | {"good": (2, 2)}), weights, np.array([False, False]))
    found = study.table(points.assign(dataset="d", delta_m=np.nan, delta_m_half_width=np.nan))
    rows = found.set_index("label")
    assert rows.loc[["w0", "end", "good"], "fixed"].tolist() == [1, 2, 0]
    assert rows.loc["end", "beyond_front"] > rows.loc["w1", "beyond_front"] == pytest.approx(70)
    assert "front of 4 fixed weights" in study.findings(found)[0]
    assert "worth (70 %)" in study.findings(found)[0]
    # With one row between the ends, the scale is that of all that share a network; the reference networks have no say.
    few = {"w1": (3, 3), "good": (1, 7), "single_task": (1000, 1000)}
    alone = study.of_arena(arena(few), {"w1": [0.5, 0.5]}, np.array([False, False]))
    assert alone[study.EVERYTHING].max() <= 100
    assert alone.groupby("label")["beyond_front"].mean()["good"] == pytest.approx(100)


@pytest.mark.parametrize("variant", ["concave", "convex"])
def test_the_true_front_of_a_tug_of_war_is_reached_by_fixed_weights_only_if_convex(variant):
    dataset = tasks.get(f"tug_of_war:{variant}")
    true = dataset.true_front(1001)
    distance = 2 * np.linspace(0, 1, 1001)
    assert true == pytest.approx(dataset.expected_loss(np.stack([distance[::-1], distance], axis=1)))
    best = {int((true @ [w, 1 - w]).argmin()) for w in np.linspace(0.02, 0.98, 49)}
    between = [index for index in best if 20 <= index <= 980]
    assert len(between) == (49 if variant == "convex" else 0)


@pytest.mark.parametrize(("count", "rho", "width"), [(3, -0.25, 1), (3, 0.3, 1), (4, -0.2, 2)])
def test_the_true_front_of_the_bottleneck_holds_what_fixed_weights_reach_and_the_balanced_loss(count, rho, width):
    dataset = tasks.get("linear_bottleneck", tasks=count, relatedness=rho, width=width)
    true = dataset.true_front(6000)
    weights = np.array([0.5, *[0.5 / (count - 1)] * (count - 1)])
    assert (true @ weights).min() == pytest.approx(dataset.scalarised(weights) @ weights, abs=0.02)
    assert (true @ weights).min() >= dataset.scalarised(weights) @ weights - 1e-9
    if width == 1:
        assert true.max(axis=1).min() == pytest.approx(dataset.balanced_loss(), abs=0.03)


def test_where_no_front_is_known_there_is_none():
    assert tasks.get("scaled_regression", tasks=2).true_front(9) is None


def test_the_study_of_real_runs(tiny, tiny_cell, tmp_path):
    grid = [{"weights": row} for row in ([1, 1, 1], [3, 1, 1], [1, 3, 1])]
    for method, parameters in [("single_task", {}), ("mgda", {}), *(("static", row) for row in grid)]:
        run_cell(tiny_cell(method, method_parameters=parameters, seeds=(0, 1), epochs=1), tmp_path / "runs")
    points = study.measure(load.read(tmp_path))
    assert points["kind"].value_counts().to_dict() == {"fixed": 6, "method": 2, "single_task": 2}
    found = study.table(points).set_index("label")
    assert found.loc[study.EVERYTHING, "hypervolume"] >= found.loc[study.GRID, "hypervolume"] > 0
    assert found.loc["mgda", "seeds"] == 2
    assert np.isnan(found.loc["mgda", "beyond_truth"])
    assert len(_front_picture.draw(points).axes) == 2
    assert "of 1 method " in study.findings(study.table(points))[0]
