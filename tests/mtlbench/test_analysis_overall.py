"""The table over all datasets, and the critical difference, against numbers by hand and from the literature."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_up_scores import benchmark, scores

from mtlbench.analysis import differences, leaderboard, overall
from mtlbench.analysis.critical_difference import critical_difference
from mtlbench.analysis.intervals import stratified_t
from mtlbench.analysis.overall import rank_scores


def test_means_are_over_datasets_whatever_their_tasks_and_seeds() -> None:
    parts = [
        scores({("a", "mse"): [1.0] * 3}, "single_task", "d"),
        scores({("a", "mse"): [1.1, 1.2, 1.3]}, "m", "d"),
        scores({(task, "mse"): [1.0] * 2 for task in "abc"}, "single_task", "e"),
        scores({(task, "mse"): [1.6, 1.8] for task in "abc"}, "m", "e"),
    ]
    row = overall(pd.concat(parts)).iloc[0]
    assert row["delta_m"] == pytest.approx((20 + 70) / 2)
    wanted = stratified_t([[10, 20, 30], [60, 80, np.nan]])
    assert row["delta_m_half_width"] == pytest.approx(float(wanted.half_width))
    assert (row["delta_m.d"], row["delta_m.e"], row["datasets"], row["runs"]) == (
        pytest.approx(20),
        pytest.approx(70),
        2,
        5,
    )
    assert np.isnan(row["delta_m_iqm_half_width"])  # two datasets: the jackknife covers too little


def test_a_planted_effect_is_found_and_no_effect_is_not() -> None:
    board = overall(benchmark()).set_index("label")
    assert board["against_equal"].to_dict() == {"good": "better", "same": "same", "equal": "", "bad": "worse"}
    assert board.loc["good", "delta_m_vs_equal"] == pytest.approx(-20, abs=1)
    assert board.loc["good", "mean_rank"] == 1


def test_every_task_counts_the_same_in_the_mean_rank() -> None:
    parts = [
        scores({("a", "mse"): [1.0] * 3, ("b", "mse"): [1.0] * 3}, "x", "d"),
        scores({("a", "mse"): [2.0] * 3, ("b", "mse"): [2.0] * 3}, "y", "d"),
        scores({("c", "mse"): [5.0, 1.0]}, "x", "e"),
        scores({("c", "mse"): [1.0, 2.0]}, "y", "e"),
    ]
    table = pd.concat(parts)
    found = overall(table).set_index("label")["mean_rank"].to_dict()
    assert found == pytest.approx({"x": (1 + 1 + 1.5) / 3, "y": (2 + 2 + 1.5) / 3})


def test_tracks_settings_and_architectures_never_mix() -> None:
    tuned = benchmark(1).assign(track="tuned")
    adam = benchmark(2).assign(setting="adam")
    board = overall(pd.concat([benchmark(), tuned, adam]))
    assert board[["track", "setting"]].drop_duplicates().to_numpy().tolist() == [
        ["out_of_the_box", ""],
        ["out_of_the_box", "adam"],
        ["tuned", ""],
    ]
    own = board[board["track"] == "tuned"].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, overall(tuned))
    # One dataset under two architectures is two datasets, each with its own name.
    two = pd.concat([part.assign(architecture=name) for name in ("hard_sharing", "mtan") for part in [benchmark()]])
    both = overall(two)
    assert (both["datasets"] == 4).all()
    assert {"delta_m.d", "delta_m.d, mtan"} <= set(both.columns)


def test_a_method_that_is_not_everywhere_is_not_placed() -> None:
    table = benchmark()
    board = overall(table[(table["label"] != "good") | (table["dataset"] == "d")])
    assert set(board["label"]) == {"equal", "same", "bad"}


def test_ranks_over_all_datasets_are_among_the_methods_that_ran_on_all() -> None:
    table = benchmark()
    everywhere = table[table["label"] != "good"]
    # The best method of one dataset, on half of its seeds, neither pushes the others down nor takes seeds from them.
    here = table[(table["label"] == "good") & (table["dataset"] == "d") & (table["seed"] < 2)]
    both = pd.concat([everywhere, here])
    pd.testing.assert_frame_equal(overall(both), overall(everywhere))
    pd.testing.assert_frame_equal(rank_scores(both), rank_scores(everywhere))
    assert overall(both).set_index("label").loc["bad", "mean_rank"] == 3


def test_order_of_rows_and_names_of_seeds_change_nothing() -> None:
    table = benchmark()
    wanted = overall(table)
    shuffled = table.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(overall(shuffled), wanted)
    renamed = table.assign(seed=table["seed"].map({0: 3, 1: 17, 2: 0, 3: 5}))
    pd.testing.assert_frame_equal(overall(renamed), wanted)
    board, gaps = leaderboard(table), differences(table[table["dataset"] == "d"], "equal")
    pd.testing.assert_frame_equal(leaderboard(renamed), board)
    assert gaps["good"] == pytest.approx(differences(renamed[renamed["dataset"] == "d"], "equal")["good"])


def test_names_of_methods_change_nothing_but_names() -> None:
    table, names = benchmark(), {"good": "zeta", "bad": "alpha", "same": "mu"}
    renamed = overall(table.replace({"label": names})).set_index("label")
    wanted = overall(table).replace({"label": names}).set_index("label")
    pd.testing.assert_frame_equal(renamed.loc[wanted.index], wanted)


class TestCriticalDifference:
    @pytest.mark.parametrize(("labels", "quantile"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
    def test_is_nemenyis_by_the_table_of_demsar(self, labels: int, quantile: float) -> None:
        values = np.random.default_rng(0).normal(size=(14, labels))
        found = critical_difference(pd.DataFrame(values, columns=[f"m{k}" for k in range(labels)]))
        assert found is not None
        assert found.difference == pytest.approx(quantile * np.sqrt(labels * (labels + 1) / (6 * 14)), rel=1e-3)
        assert found.datasets == 14

    def test_groups_are_the_longest_runs_of_neighbours_within_it(self) -> None:
        # Always the same order of five on 30 datasets: CD = 2.728 √(30 / 180) = 1.11, so only neighbours are alike.
        found = critical_difference(pd.DataFrame(np.tile(np.arange(5.0), (30, 1)), columns=list("edcba")))
        assert found is not None
        assert found.ranks.to_dict() == {"e": 1, "d": 2, "c": 3, "b": 4, "a": 5}
        assert found.groups == [["e", "d"], ["d", "c"], ["c", "b"], ["b", "a"]]
        assert found.p_value < 1e-10
        # On 5 datasets CD = 2.73: three neighbours are alike, and no shorter run is named beside them.
        few = critical_difference(pd.DataFrame(np.tile(np.arange(5.0), (5, 1)), columns=list("edcba")))
        assert few is not None
        assert few.groups == [["e", "d", "c"], ["d", "c", "b"], ["c", "b", "a"]]

    def test_of_the_runs_and_of_too_few(self) -> None:
        found = critical_difference(rank_scores(benchmark()))
        assert found is not None
        assert found.ranks.index[0] == "good"
        assert critical_difference(rank_scores(benchmark()).iloc[:1]) is None
