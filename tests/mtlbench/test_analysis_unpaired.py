"""Welch's interval against known truth, and differences of Δm between results that share no seed."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mtlbench.analysis.statistics import directions, wide
from mtlbench.analysis.unpaired import against, welch_interval


def test_welch_covers_the_truth_as_often_as_it_says() -> None:
    draw, inside = np.random.default_rng(0), 0
    for _ in range(1000):
        found = welch_interval(draw.normal(1.0, 1.0, 5), draw.normal(0.0, 4.0, 10))
        inside += abs(found.mean - 1.0) <= found.half_width
    assert 0.93 <= inside / 1000 <= 0.97


def test_welch_is_the_interval_of_the_textbook() -> None:
    own, base = [20.4, 24.2, 15.4, 21.4, 20.2, 18.5, 21.5], [20.2, 16.9, 18.5, 17.3, 20.5]
    found = welch_interval(own, base)
    error = np.sqrt(np.var(own, ddof=1) / 7 + np.var(base, ddof=1) / 5)
    freedom = error**4 / (np.var(own, ddof=1) ** 2 / 49 / 6 + np.var(base, ddof=1) ** 2 / 25 / 4)
    assert found.half_width == pytest.approx(stats.t.ppf(0.975, freedom) * error)
    assert found.mean == pytest.approx(np.mean(own) - np.mean(base))


@pytest.mark.parametrize(("own", "base", "n"), [([1.0], [2.0, 3.0], 1), ([1.0, np.nan], [2.0, 3.0], 1), ([], [1.0], 0)])
def test_one_value_has_no_interval(own: list[float], base: list[float], n: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = welch_interval(own, base)
    assert found.n == n
    assert np.isnan(found.half_width)


def test_values_without_spread_have_an_interval_of_zero() -> None:
    assert welch_interval([1.0, 1.0], [0.5, 0.5]).half_width == 0


def test_the_means_of_against_differ_by_the_difference_of_delta_m() -> None:
    draw = np.random.default_rng(1)

    def table(level: float, seeds: range) -> pd.DataFrame:
        rows = [(s, t, m, level + draw.random(), m == "b") for s in seeds for t in "xy" for m in "ab"]
        return pd.DataFrame(rows, columns=["seed", "task", "metric", "value", "higher_is_better"])

    own, reference = table(1.0, range(4)), table(2.0, range(10, 15))
    higher = directions(reference)
    sides = [against(wide(side), wide(reference), higher).mean() for side in (own, reference)]
    means, base = wide(own).mean(), wide(reference).mean()
    sign = np.where(higher.reindex(base.index), -1, 1)
    assert sides[0] - sides[1] == pytest.approx(100 * np.mean(sign * (means - base) / base))
