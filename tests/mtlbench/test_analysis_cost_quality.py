"""Cost beside quality, from curves whose every number is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtlbench.analysis.cost_quality import (
    COST,
    at_equal_time,
    epochs_to_equal,
    final_slopes,
    summary,
    validation_delta_m,
)
from mtlbench.arena import GROUP

ARENA = dict(zip(GROUP, ("d", "hard_sharing", "tuned", ""), strict=True))
# Delta-m (percent) after each epoch, by seed; the error is 2 at the best of the single-task networks, lower is better.
EQUAL = [[8.0, 4, 1, 2], [9.0, 3, 3, 3]]
CURVES = {
    "single_task": [[50.0, 0, 0, 10], [50.0, 0, 0, 0]],
    "equal": EQUAL,
    "fast": [[2.0, 0, 0, 0], [3.5, 2.5, 2, 1.5]],
    "slow": [[9.0, 8, 7, 6], [9.0, 8, 7, 3]],
    "breaks": [[-50.0, -50, -50, -50], [-50.0, -50, None, None]],
}


def made_up(curves: dict = CURVES, broken: tuple = (("breaks", 1),)) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table of runs and the curves: one task with one metric, errors 2 · (1 + Delta-m / 100)."""
    rows = [
        {**ARENA, "label": label, "seed": seed, "epoch": epoch + 1, "value": 2 * (1 + change / 100)}
        for label, runs in curves.items()
        for seed, run in enumerate(runs)
        for epoch, change in enumerate(run)
        if change is not None
    ]
    frame = pd.DataFrame(rows).assign(split="validation", task="a", metric="mse")
    best = frame.groupby([*GROUP, "label", "seed", "task", "metric", "split"], as_index=False)["value"].min()
    table = best.assign(higher_is_better=False, main=True)
    for label, seed in broken:
        table.loc[(table["label"] == label) & (table["seed"] == seed), "value"] = np.nan
    # Neither the training curves nor the test scores have a say.
    return pd.concat([table, table.assign(split="test", value=7.0)]), pd.concat(
        [frame, frame.assign(split="train", value=0.1)]
    )


@pytest.fixture
def validation() -> pd.DataFrame:
    return validation_delta_m(*made_up())


def seconds(**given: float) -> pd.Series:
    index = pd.MultiIndex.from_tuples([("d", "hard_sharing", "", label) for label in given], names=COST)
    return pd.Series(list(given.values()), index=index)


def by_run(frame: pd.DataFrame, column: str) -> dict[tuple[str, int], float]:
    return frame.set_index(["label", "seed"])[column].to_dict()


def test_delta_m_is_against_what_the_single_task_networks_kept(validation: pd.DataFrame) -> None:
    found = validation.pivot(index=["label", "seed"], columns="epoch", values="delta_m")
    for label in ("equal", "fast", "slow"):
        assert found.loc[label].to_numpy() == pytest.approx(np.array(CURVES[label]))
    assert "single_task" not in found.index
    assert found.loc[("breaks", 0)].tolist() == pytest.approx([-50] * 4)
    assert found.loc[("breaks", 1)].isna().all()


def test_epochs_to_the_best_of_equal_weighting_on_the_same_seed(validation: pd.DataFrame) -> None:
    found = epochs_to_equal(validation)
    assert by_run(found, "target") == pytest.approx({key: [1, 3][key[1]] for key in by_run(found, "target")})
    wanted = {("equal", 0): 3, ("equal", 1): 2, ("fast", 0): 2, ("fast", 1): 2, ("slow", 0): np.nan, ("slow", 1): 4}
    assert by_run(found, "epochs") == pytest.approx(wanted | {("breaks", 0): 1, ("breaks", 1): np.nan}, nan_ok=True)


def test_where_equal_weighting_broke_there_is_no_target() -> None:
    found = epochs_to_equal(validation_delta_m(*made_up(broken=(("equal", 1),))))
    assert found[found["seed"] == 1][["target", "epochs"]].isna().all(axis=None)
    assert found[found["seed"] == 0]["target"].notna().all()


def test_at_equal_time_the_dear_stop_early_and_the_cheap_gain_nothing(validation: pd.DataFrame) -> None:
    found = at_equal_time(validation, seconds(equal=0.3, fast=0.45, slow=0.1, breaks=0.3))
    # 4 epochs of equal weighting are 2.7 of fast; slow has no more than its own four.
    assert by_run(found, "epochs") == {
        **{(label, 0): epochs for label, epochs in (("equal", 4), ("fast", 2), ("slow", 4), ("breaks", 4))},
        **{(label, 1): epochs for label, epochs in (("equal", 4), ("fast", 2), ("slow", 4), ("breaks", 0))},
    }
    best = by_run(found, "delta_m")
    assert (best["fast", 0], best["fast", 1], best["slow", 1]) == pytest.approx((0, 2.5, 3))
    rank = by_run(found, "rank")
    assert [rank[label, 0] for label in ("breaks", "fast", "equal", "slow")] == [1, 2, 3, 4]
    assert [rank[label, 1] for label in ("fast", "equal", "slow", "breaks")] == [1, 2.5, 2.5, 4]


def test_too_dear_for_a_single_epoch_is_worst_and_without_a_time_there_is_no_rank(validation: pd.DataFrame) -> None:
    found = at_equal_time(validation, seconds(equal=1.0, fast=4.1, slow=1.0))
    assert "breaks" not in set(found["label"])
    assert found[found["label"] == "fast"]["delta_m"].isna().all()
    assert (found[found["label"] == "fast"]["rank"] == 3).all()
    assert at_equal_time(validation, seconds(fast=1.0, slow=1.0)).empty


def test_the_slope_is_of_the_last_quarter_and_at_least_three_epochs() -> None:
    epochs = np.arange(1.0, 17)
    still = np.where(epochs <= 12, 100, 50 - 2 * epochs)
    curves = {"single_task": [[0.0] * 16], "equal": [still.tolist()], "flat": [(50 + 0 * epochs).tolist()]}
    found = by_run(final_slopes(validation_delta_m(*made_up(curves, ()))), "slope")
    assert found == pytest.approx({("equal", 0): -2, ("flat", 0): 0}, abs=1e-9)
    short = by_run(final_slopes(validation_delta_m(*made_up())), "slope")
    assert short["slow", 0] == pytest.approx(-1)
    assert short["fast", 1] == pytest.approx(-0.5)
    assert np.isnan(short["breaks", 1])
    two = {label: [run[:2] for run in runs] for label, runs in CURVES.items()}
    assert final_slopes(validation_delta_m(*made_up(two)))["slope"].isna().all()


def test_the_summary_has_a_row_per_label_and_counts_never_as_infinite(validation: pd.DataFrame) -> None:
    found = summary(validation, seconds(equal=0.3, fast=0.45, slow=0.1, breaks=0.3)).set_index("label")
    assert found["epochs_to_equal"].to_dict() == {"equal": 2.5, "fast": 2, "slow": np.inf, "breaks": np.inf}
    assert found["reached_equal"].to_dict() == {"equal": 1, "fast": 1, "slow": 0.5, "breaks": 0.5}
    assert found.loc["slow", "final_slope"] == pytest.approx((-1 - 2.5) / 2)
    assert found.loc["fast", "rank_at_equal_time"] == 1.5
    assert np.isnan(found.loc["breaks", "delta_m_at_equal_time_half_width"])
    assert "rank_at_equal_time" not in summary(validation)


def test_order_changes_nothing() -> None:
    table, curves = made_up()
    shuffled = validation_delta_m(table.sample(frac=1, random_state=1), curves.sample(frac=1, random_state=2))
    pd.testing.assert_frame_equal(shuffled, validation_delta_m(table, curves))


def test_nothing_to_compare_is_an_empty_table_not_an_error() -> None:
    empty = pd.DataFrame(columns=["dataset", "architecture", "track", "setting", "label", "seed", "epoch", "delta_m"])
    index = pd.MultiIndex.from_tuples([("d", "hard_sharing", "", "equal")], names=COST)
    found = summary(empty, pd.Series([0.1], index=index))
    assert found.empty
    assert "rank_at_equal_time" in found.columns
