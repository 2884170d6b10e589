"""The intervals against scipy, formulas by hand, and simulated leaderboards whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mtlbench.analysis import coverage
from mtlbench.analysis.intervals import jackknife_t, paired_t, power, smallest_effect, stratified_t
from mtlbench.analysis.overall import overall
from mtlbench.analysis.robust import interquartile_mean
from mtlbench.arena import GROUP

USED = {"delta_m", "delta_m on one dataset", "delta_m_vs_equal", "mean_rank", "delta_m_iqm"}


def margin(share: float, repeats: int) -> float:
    """Four standard errors of a share found in so many repetitions."""
    return 4 * float(np.sqrt(share * (1 - share) / repeats))


class TestStratified:
    def test_is_welchs_interval_for_two_datasets(self) -> None:
        first, second = np.random.default_rng(0).normal([[0], [3]], [[1], [5]], size=(2, 6))
        found = stratified_t([first, second])
        # Half the sum is half the difference to the negative: Welch's t test, computed by scipy.
        welch = stats.ttest_ind(first, -second, equal_var=False)
        low, high = welch.confidence_interval(0.95)
        assert (2 * found.low, 2 * found.high) == (pytest.approx(low), pytest.approx(high))
        assert found.degrees == pytest.approx(welch.df)

    def test_is_the_paired_interval_for_one_dataset(self) -> None:
        values = np.random.default_rng(1).normal(size=7)
        low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        for found in (paired_t(values), stratified_t(values[None])):
            assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))

    def test_levels_of_the_datasets_and_orders_do_not_matter(self) -> None:
        values = np.random.default_rng(2).normal(size=(4, 5))
        plain, moved = stratified_t(values), stratified_t(values[::-1, ::-1] + [[0], [10], [200], [-7]])
        assert moved.half_width == pytest.approx(plain.half_width)
        assert moved.mean - plain.mean == pytest.approx(203 / 4)

    def test_seeds_that_are_missing_are_left_out_and_weights_are_shares(self) -> None:
        values = np.array([[1.0, 2.0, 6.0], [4.0, 4.5, np.nan]])
        found = stratified_t(values, weights=[1, 3])
        assert found.mean == pytest.approx(3 / 4 + 3 * 4.25 / 4)
        variances = np.array([7 / 3 / 16, 9 * 0.125 / 2 / 16])
        degrees = variances.sum() ** 2 / (variances**2 / [2, 1]).sum()
        assert found.half_width == pytest.approx(stats.t.ppf(0.975, degrees) * np.sqrt(variances.sum()))

    def test_one_seed_on_one_dataset_leaves_no_interval_and_none_no_mean(self) -> None:
        found = stratified_t([[[1.0, 2.0], [3.0, np.nan]], [[1.0, 2.0], [np.nan, np.nan]]])
        assert found.mean[0] == 2.25
        assert np.isnan([found.mean[1], *found.half_width]).all()


class TestJackknife:
    def test_is_the_stratified_interval_for_a_mean(self) -> None:
        values = np.random.default_rng(3).normal(size=(3, 5, 2)) * [[[1]], [[4]], [[9]]]
        found = jackknife_t(values, lambda pool: np.nanmean(pool, axis=-1))
        for mine, wanted in zip(found, stratified_t(values.mean(axis=-1)), strict=True):
            assert mine == pytest.approx(wanted)

    def test_infinite_values_that_are_cut_leave_it_finite(self) -> None:
        values = np.random.default_rng(4).normal(size=(5, 5, 2))
        values[0, 0] = np.inf
        found = jackknife_t(values, interquartile_mean)
        assert np.isfinite([found.mean, found.half_width]).all()


class TestPower:
    @pytest.mark.parametrize("seeds", [3, 5, 10])
    def test_the_smallest_effect_is_found_in_80_percent(self, seeds: int) -> None:
        effect, repeats = smallest_effect(2.0, seeds), 20_000
        found = paired_t(np.random.default_rng(seeds).normal(-effect, 2.0, size=(repeats, seeds)))
        assert (found.high < 0).mean() == pytest.approx(0.8, abs=margin(0.8, repeats))
        assert power(-effect, 2.0, seeds) == pytest.approx(0.8)

    def test_without_an_effect_either_side_has_its_half_of_five_percent(self) -> None:
        assert power(0.0, 1.0, 5) == pytest.approx(0.025)

    def test_any_number_of_seeds_has_one_but_a_single_seed_finds_nothing(self) -> None:
        found = [smallest_effect(1.0, seeds, wanted) for wanted in (0.5, 0.8, 0.99) for seeds in (2, 3, 20, 1000)]
        assert np.isfinite(found).all()
        assert smallest_effect(1.0, 1000) == pytest.approx((1.96 + 0.8416) / np.sqrt(1000), rel=1e-3)  # Gaussian limit
        assert np.isnan(smallest_effect(1.0, 1))


class TestCoverage:
    def test_the_simulation_is_the_leaderboard(self) -> None:
        scores = coverage.simulate(5, 4, "gaussian", repeats=2, effect=0.05)
        for repeat, one in enumerate(scores):
            row = overall(_table(one)).set_index("label").loc["method_a"]
            for (quantity, kind, shown), (found, _) in coverage.intervals(scores).items():
                if shown and quantity in row:
                    wanted = found.mean[repeat], found.half_width[repeat]
                    assert (row[quantity], row[f"{quantity}_half_width"]) == pytest.approx(wanted), (quantity, kind)

    def test_what_is_published_has_the_stated_coverage(self) -> None:
        table = coverage.published()
        assert (table["repeats"] == 2000).all()
        null = table[(table["effect"] == 0) & table["shown"]]
        assert {tuple(size) for size in null[["datasets", "seeds", "noise"]].drop_duplicates().to_numpy()} == {
            (*size, noise) for size in coverage.SIZES for noise in coverage.NOISES
        }
        bar = null[(null["datasets"] == 5) & (null["seeds"] == 5) & (null["noise"] == "gaussian")]
        assert set(bar["quantity"]) == USED
        assert bar["coverage"].between(0.93, 0.98).all()

    @pytest.mark.parametrize("noise", coverage.NOISES)
    @pytest.mark.parametrize("size", coverage.SIZES)
    def test_what_is_published_is_what_a_smaller_simulation_finds(self, size: tuple[int, int], noise: str) -> None:
        repeats, keys = 400, ["quantity", "interval"]
        published = coverage.published().query("datasets == @size[0] and seeds == @size[1] and noise == @noise")
        stated = published[published["effect"] == 0].set_index(keys)["coverage"]
        found = coverage.coverage(*size, noise, repeats, seed=1).set_index(keys)["coverage"]
        assert found.index.tolist() == stated.index.tolist()
        for key, share in found.items():
            assert share == pytest.approx(stated[key], abs=margin(stated[key], repeats)), key


class TestPage:
    def test_the_page_prints_what_was_simulated_and_the_smallest_effects(self) -> None:
        page = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text(encoding="utf-8")
        for effect in (0, coverage.EFFECT):
            assert coverage.markdown(effect) in page, "print it again: mtlbench.analysis.coverage.markdown"
        effects = " | ".join(f"{smallest_effect(1, seeds):.2f}" for seeds in (2, 3, 4, 5, 10, 20))
        assert f"| effect / σ | {effects} |" in page


def _table(scores: np.ndarray) -> pd.DataFrame:
    """Simulated scores (datasets, labels, seeds, tasks) as a table of runs."""
    rows = [
        (f"d{d}", "hard_sharing", "tuned", "", coverage.LABELS[m], s, f"t{t}", scores[d, m, s, t])
        for d, m, s, t in np.ndindex(scores.shape)
    ]
    table = pd.DataFrame(rows, columns=[*GROUP, "label", "seed", "task", "value"])
    return table.assign(split="test", metric="m", higher_is_better=False, main=True)
