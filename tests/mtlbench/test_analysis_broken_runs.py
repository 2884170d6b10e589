"""Robust summaries by hand, and the rule for runs that broke: worst wherever order counts, no number in a mean."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_up_scores import benchmark, broke, scores
from scipy import stats

from mtlbench.analysis import leaderboard, overall
from mtlbench.analysis.changes import changes, relative_change
from mtlbench.analysis.overall import pool
from mtlbench.analysis.robust import TRIMMED, interquartile_mean, median, performance_profile, trimmed_mean
from mtlbench.analysis.verdict import verdicts


def rows(table: pd.DataFrame, dataset: str = "d") -> pd.DataFrame:
    return leaderboard(table)[lambda board: board["dataset"] == dataset].set_index("label")


class TestSummaries:
    def test_are_scipys_and_leave_nan_out(self) -> None:
        values = np.random.default_rng(0).normal(size=(3, 21))
        holes = np.insert(values, [0, 7, 21], np.nan, axis=1)
        for share in (0.0, 0.1, 0.25, 0.4):
            assert trimmed_mean(holes, share) == pytest.approx(stats.trim_mean(values, share, axis=1))
        assert median(holes) == pytest.approx(np.median(values, axis=1))
        assert np.isnan([*trimmed_mean([[np.nan, np.nan]], 0.1), *median([[np.nan]])]).all()

    def test_infinite_values_are_cut_until_there_are_too_many(self) -> None:
        values = [1.0, 2, 3, 4, 5, 6, 7, np.inf]
        assert interquartile_mean(values) == 4.5
        assert interquartile_mean([*values[:5], *3 * [np.inf]]) == np.inf
        assert median([values])[0] == 4.5
        assert trimmed_mean(values, 0.1) == np.inf

    def test_each_is_of_the_changes_of_every_task_and_seed(self) -> None:
        # Task a has two metrics, which share its weight; the change of a is 10 and 30 %, that of b −20 and 0.
        base = scores({("a", "mse"): [1.0, 1.0], ("a", "mae"): [1.0, 1.0], ("b", "mse"): [10.0, 10.0]}, "single_task")
        own = scores({("a", "mse"): [1.2, 1.2], ("a", "mae"): [1.0, 1.4], ("b", "mse"): [8.0, 10.0]}, "m")
        row = rows(pd.concat([base, own])).loc["m"]
        assert row["delta_m"] == pytest.approx((10 + 30 - 20 + 0) / 4)
        assert row["delta_m_by_metric"] == pytest.approx((20 + 20 + 0 + 40 - 20 + 0) / 6)
        assert row["delta_m_median"] == pytest.approx(5)
        assert row["delta_m_iqm"] == pytest.approx((0 + 10) / 2)
        assert row["delta_m_trimmed"] == pytest.approx(5)  # of four values a tenth is none
        assert TRIMMED * 4 < 1

    def test_the_profile_counts_what_is_at_most_tau(self) -> None:
        found = performance_profile(
            {"m": np.array([[-1.0, 0.0], [np.nan, 3.0]]), "bad": np.array([np.inf, 1.0])}, [-2, 0, 3]
        )
        assert found["m"].tolist() == pytest.approx([0, 2 / 3, 1])
        assert found["bad"].tolist() == [0, 0, 0.5]

    def test_the_pool_of_all_datasets_is_whole(self) -> None:
        found = pool(broke(benchmark(), "good", 1, "e"))
        assert {len(values) for values in found.values()} == {2 * 2 * 4}
        assert np.isinf(found["good"]).sum() == 2
        profile = performance_profile(found, [-5.0, 50.0])
        assert profile["good"].tolist() == [14 / 16, 14 / 16]
        assert profile["same"].tolist() == [0, 1]


class TestImprovement:
    def test_is_the_share_of_seeds_with_ties_as_halves(self) -> None:
        values = {"single_task": [1.0] * 4, "equal": [2.0] * 4, "m": [1.0, 2.0, 3.0, 1.5]}
        table = pd.concat([scores({("a", "mse"): row}, label) for label, row in values.items()])
        board = rows(table)["probability_of_improvement"]
        assert board["m"] == (1 + 0.5 + 0 + 1) / 4
        assert np.isnan(board["equal"])

    def test_a_broken_run_loses_a_broken_baseline_is_beaten_and_two_tie(self) -> None:
        values = {"single_task": [1.0] * 5, "equal": [2.0, None, None, 2.0, 2.0], "m": [1.0, None, 1.0, None, 3.0]}
        table = pd.concat([scores({("a", "mse"): row}, label) for label, row in values.items()])
        assert rows(table).loc["m", "probability_of_improvement"] == pytest.approx((1 + 0.5 + 1 + 0 + 0) / 5)

    def test_a_seed_without_its_reference_says_nothing(self) -> None:
        values = {"single_task": [1.0, None, 1.0, None], "equal": [2.0] * 4, "m": [1.0, 9.0, None, None]}
        found = changes(pd.concat([scores({("a", "mse"): row}, label) for label, row in values.items()]))
        own = found.labels.index("m")
        np.testing.assert_allclose(found.improvement("equal")[own], [1, np.nan, 0, np.nan])
        np.testing.assert_allclose(found.judged[own, :, 0], [0, np.nan, np.inf, np.nan])

    def test_a_run_without_one_of_its_scores_is_broken_as_a_whole(self) -> None:
        parts = {"single_task": [1.0, 1.0], "equal": [2.0, 2.0], "m": [1.5, 1.5]}
        table = pd.concat([scores({("a", "mse"): row, ("b", "mse"): row}, label) for label, row in parts.items()])
        table.loc[(table["label"] == "m") & (table["seed"] == 1) & (table["task"] == "b"), "value"] = np.nan
        found = changes(table)
        own = found.labels.index("m")
        np.testing.assert_allclose(found.judged[own], [[50, 50], [np.inf, np.inf]])
        np.testing.assert_allclose(found.improvement("equal")[own], [1, 0])
        np.testing.assert_allclose(found.against("equal")[own], [-50, np.nan])

    def test_against_a_reference_of_zero_nothing_is_said_of_broken_runs_either(self) -> None:
        values = {"single_task": [0.0, 0.0], "equal": [2.0, 2.0], "m": [1.0, None]}
        table = pd.concat([scores({("a", "mse"): row}, label) for label, row in values.items()])
        row = rows(table).loc["m"]
        assert row[["delta_m", "delta_m_iqm", "delta_m_median", "probability_of_improvement"]].isna().all()
        assert row["mean_rank"] == (1 + 2) / 2

    def test_the_scale_is_over_the_seeds_that_are_whole_on_both_sides(self) -> None:
        reference = np.array([[1.0, 1.0], [3.0, 1.0], [5.0, np.nan]])
        own = np.array([[2.0, 1.0], [9.0, np.nan], [9.0, 1.0]])
        found = relative_change(own, reference, np.array([False, True]))
        np.testing.assert_allclose(found, [[100, 0], [np.nan] * 2, [np.nan] * 2])


class TestBrokenRuns:
    def test_no_column_that_is_over_all_runs_gets_better_by_breaking(self) -> None:
        whole, hurt = rows(benchmark()), rows(broke(benchmark(), "good", 2))
        before, after = whole.loc["good"], hurt.loc["good"]
        assert after["probability_of_improvement"] == before["probability_of_improvement"] - 1 / 4
        for name in ("delta_m_median", "delta_m_trimmed", "delta_m_iqm", "mean_rank"):
            assert after[name] > before[name], name
        assert (before["against_equal"], after["against_equal"]) == ("better", "broken")

    @pytest.mark.parametrize("dataset", ["d", "e"])
    def test_over_all_datasets_they_are_counted_marked_and_last(self, dataset: str) -> None:
        board = overall(broke(benchmark(), "good", 2, dataset)).set_index("label")
        assert board.index[-1] == "good"
        row = board.loc["good"]
        assert (row["runs"], row["broken"], row["against_equal"]) == (8, 1, "broken")
        assert row["probability_of_improvement"] == 7 / 8
        assert row["delta_m"] < board["delta_m"].drop("good").min()

    def test_a_method_without_a_survivor_has_ranks_and_losses_and_no_mean(self) -> None:
        table = benchmark()
        for seed in range(4):
            table = broke(table, "same", seed, "e")
        row = overall(table).set_index("label").loc["same"]
        assert np.isnan([row["delta_m"], row["delta_m_vs_equal"]]).all()
        assert row["probability_of_improvement"] <= 0.5
        assert row["delta_m_median"] > 10
        assert row["mean_rank"] > 3

    def test_verdicts(self) -> None:
        found = verdicts(
            [-2, 2, 2, -2, -2, np.nan], [1, 1, 3, 1, np.nan, np.nan], [False, False, False, True, False, False]
        )
        assert found.tolist() == ["better", "worse", "same", "broken", "", ""]
