"""Delta-m, intervals and ranks against numbers known beforehand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_up_scores import benchmark, scores
from scipy import stats

from mtlbench.analysis import delta_m, differences, leaderboard, overall, paired_t_interval, ranks
from mtlbench.analysis.statistics import change, directions, wide


class TestDeltaM:
    def test_by_hand(self) -> None:
        reference = scores({("a", "accuracy"): [0.8, 0.8], ("a", "nll"): [2.0, 2.0], ("b", "mse"): [10.0, 10.0]})
        own = scores({("a", "accuracy"): [0.4, 0.8], ("a", "nll"): [3.0, 2.0], ("b", "mse"): [5.0, 10.0]})
        # Seed 0: task a (50 % + 50 %) / 2, task b −50 %. A task counts once, however many metrics it has.
        assert delta_m(own, reference).to_dict() == pytest.approx({0: 0.0, 1: 0.0})
        own = scores({("a", "accuracy"): [0.6, 0.8], ("a", "nll"): [2.0, 2.0], ("b", "mse"): [12.0, 10.0]})
        assert delta_m(own, reference).to_dict() == pytest.approx({0: (12.5 + 20) / 2, 1: 0.0})

    def test_mean_over_seeds_is_the_formula_with_seed_means(self) -> None:
        rng = np.random.default_rng(0)
        base = {("a", "accuracy"): list(rng.random(5)), ("b", "mse"): list(-rng.random(5))}
        values = {("a", "accuracy"): list(rng.random(5)), ("b", "mse"): list(rng.random(5))}
        expected = np.mean(
            [
                100 * sign * (np.mean(values[key]) - np.mean(base[key])) / abs(np.mean(base[key]))
                for key, sign in ((("a", "accuracy"), -1), (("b", "mse"), 1))
            ]
        )
        assert delta_m(scores(values), scores(base)).mean() == pytest.approx(expected)

    def test_units_do_not_matter(self) -> None:
        rng = np.random.default_rng(1)
        base, own = rng.random(4), rng.random(4)
        plain = delta_m(scores({("a", "mse"): list(own)}), scores({("a", "mse"): list(base)}))
        scaled = delta_m(scores({("a", "mse"): list(1e6 * own)}), scores({("a", "mse"): list(1e6 * base)}))
        assert scaled.to_numpy() == pytest.approx(plain.to_numpy())

    def test_only_seeds_whole_on_both_sides_count_and_the_reference_is_their_mean(self) -> None:
        reference = scores({("a", "mse"): [1.0, 3.0, None, 100.0]})
        own = scores({("a", "mse"): [2.0, 4.0, 5.0, None]})
        assert delta_m(own, reference).to_dict() == pytest.approx({0: 50.0, 1: 50.0})

    def test_undefined_against_a_reference_of_zero(self) -> None:
        reference = scores({("a", "mse"): [0.0, 0.0], ("b", "mse"): [1.0, 1.0]})
        assert delta_m(scores({("a", "mse"): [1.0, 1.0], ("b", "mse"): [1.0, 1.0]}), reference).isna().all()

    def test_empty_without_a_common_seed(self) -> None:
        assert delta_m(scores({("a", "mse"): [None, 1.0]}), scores({("a", "mse"): [1.0, None]})).empty


class TestInterval:
    def test_is_scipys_paired_t_interval(self) -> None:
        rng = np.random.default_rng(2)
        own, other = rng.normal(size=7), rng.normal(size=7)
        found = paired_t_interval(own, other)
        expected = stats.ttest_rel(own, other).confidence_interval(0.95)
        assert (found.low, found.high, found.n) == (pytest.approx(expected.low), pytest.approx(expected.high), 7)

    def test_pairs_with_a_missing_side_are_left_out(self) -> None:
        found = paired_t_interval([1.0, 2.0, np.nan, 4.0], [0.0, np.nan, 0.0, 1.0])
        assert found == paired_t_interval([1.0, 3.0])

    @pytest.mark.parametrize(("values", "mean"), [([2.5], 2.5), ([], np.nan)])
    def test_one_seed_has_no_interval(self, values: list[float], mean: float) -> None:
        found = paired_t_interval(values)
        assert found.n == len(values)
        assert found.mean == pytest.approx(mean, nan_ok=True)
        assert np.isnan(found.half_width)
        assert not found.excludes_zero

    def test_covers_the_true_delta_m_in_95_percent_of_leaderboards(self) -> None:
        # 5 seeds, two tasks; seeds share noise between method and reference, each has noise of its own.
        rng, truth, covered, repeats = np.random.default_rng(3), 5.0, 0, 600
        table = scores({("a", "mse"): [1.0] * 5, ("b", "mse"): [1.0] * 5})
        ones, lower = wide(table), directions(table)
        for _ in range(repeats):
            shared = 0.05 * rng.normal(size=(5, 2))
            base = ones + shared + 0.03 * rng.normal(size=(5, 2))
            own = ones + truth / 100 + shared + 0.03 * rng.normal(size=(5, 2))
            found = paired_t_interval(change(own, base, lower))
            covered += found.low <= truth <= found.high
        # Three standard errors of the simulation around 95 %.
        assert covered / repeats == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / repeats))


class TestRanks:
    def test_ties_share_and_broken_runs_are_worst_and_tie(self) -> None:
        table = pd.concat(
            [
                scores({("a", "accuracy"): [0.9]}, "first"),
                scores({("a", "accuracy"): [0.7]}, "tied"),
                scores({("a", "accuracy"): [0.7]}, "other"),
                scores({("a", "accuracy"): [None]}, "broken"),
                scores({("a", "accuracy"): [None]}, "gone"),
            ]
        )
        found = ranks(table).set_index("label")["rank"].to_dict()
        assert found == {"first": 1, "tied": 2.5, "other": 2.5, "broken": 4.5, "gone": 4.5}

    def test_only_seeds_that_all_have_run_count(self) -> None:
        table = pd.concat([scores({("a", "mse"): [1.0, 9.0]}, "x"), scores({("a", "mse"): [2.0]}, "y")])
        found = ranks(table)
        assert found[["label", "seed", "rank"]].to_numpy().tolist() == [["x", 0, 1.0], ["y", 0, 2.0]]


class TestLeaderboard:
    def test_planted_differences_are_found(self) -> None:
        found = differences(benchmark()[lambda table: table["dataset"] == "d"], "equal")
        assert {label for label, gap in found.items() if gap.high < 0} == {"good", "single_task"}
        assert found["bad"].low > 0
        assert not found["same"].excludes_zero
        assert found["good"].mean == pytest.approx(-20, abs=1)

    def test_reference_leads_and_the_rest_is_sorted_by_delta_m(self) -> None:
        board = leaderboard(benchmark())
        for _, part in board.groupby("dataset"):
            assert part["label"].iloc[0] == "single_task"
            assert part["label"].iloc[[1, -1]].tolist() == ["good", "bad"]
            assert part["delta_m"].iloc[1:].is_monotonic_increasing
            assert part["delta_m"].iloc[0] == 0
            assert np.isnan(part["mean_rank"].iloc[0])

    def test_survivors_of_a_method_that_diverges_do_not_lead(self) -> None:
        table = benchmark()
        broken = (table["label"] == "good") & (table["seed"] == 2)
        table.loc[broken, "value"] = np.nan
        table.loc[broken, "status"] = "diverged"
        table.loc[broken, "reason"] = "loss is nan"
        board = leaderboard(table)
        row = board[board["label"] == "good"].iloc[0]
        assert (row["seeds"], row["diverged"], row["reason"]) == (3, 1, "loss is nan (seed 2)")
        assert row["delta_m"] == pytest.approx(-10, abs=1)
        assert row["mean_rank"] == pytest.approx((1 + 1 + 4 + 1) / 4)
        assert board[board["dataset"] == "d"]["label"].iloc[-1] == "good"

    def test_order_of_rows_methods_and_seeds_changes_nothing(self) -> None:
        table = benchmark()
        for seed in range(3):
            shuffled = table.sample(frac=1, random_state=seed)
            columns = sorted(leaderboard(table).columns)
            pd.testing.assert_frame_equal(leaderboard(shuffled)[columns], leaderboard(table)[columns])

    def test_papers_choices_stand_in_columns_of_their_own(self) -> None:
        table = benchmark()
        flattered = table.assign(split="best_test_epoch")
        flattered["value"] = flattered["value"].where(flattered["label"] == "single_task", flattered["value"] * 0.9)
        plain, board = leaderboard(table), leaderboard(pd.concat([table, flattered]))
        assert "delta_m_best_test_epoch" not in plain.columns
        assert "delta_m_last_10_epochs" not in board.columns
        columns = list(plain.columns)
        pd.testing.assert_frame_equal(board[columns], plain)
        alone = leaderboard(flattered.assign(split="test")).set_index(["dataset", "label"])
        found = board.set_index(["dataset", "label"])
        for name in ("", "_half_width"):
            expected = alone[f"delta_m{name}"].reindex(found.index)
            pd.testing.assert_series_equal(found[f"delta_m_best_test_epoch{name}"], expected, check_names=False)

    def test_overall_needs_two_datasets(self) -> None:
        table = benchmark()
        both = overall(table)
        assert both["label"].iloc[0] == "good"
        assert {"delta_m.d", "delta_m.e"} <= set(both.columns)
        one = table[table["dataset"] == "d"]
        assert overall(one).empty
