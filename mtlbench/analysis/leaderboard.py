"""The leaderboard: a pure function from the table of runs to one row per (dataset, method)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from mtlbench.analysis.seesaw import rates
from mtlbench.analysis.statistics import Interval, change, directions, mean_rank, paired_t_interval, ranks
from mtlbench.arena import GROUP, Arena

SINGLE_TASK = "single_task"
EQUAL = "equal"
MEANS = ("update_conflict_rate", "predicted_rise_rate", "realised_rise_rate", "median_stationarity")
SUMS = ("zero_task_events", "inner_solves", "inner_solves_outside")


def metrics(table: pd.DataFrame) -> pd.DataFrame:
    """The metrics of every dataset, in the runs' order: GROUP, task, metric, direction, unit, main."""
    columns = [*GROUP, "task", "metric", "higher_is_better", "unit", "main"]
    return table.drop_duplicates([*GROUP, "task", "metric"])[columns].reset_index(drop=True)


def leaderboard(table: pd.DataFrame, all_metrics: bool = False, curves: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row per arena and label, on the test split; every mean has a ``..._half_width``
    column.

    ``table`` is :func:`mtlbench.analysis.load.runs`, ``curves`` :func:`mtlbench.analysis.load.curves`, without which
    no seesaw rate is known. Columns: runs, done, diverged, failed, reason;
    ``seeds``, how many seeds Delta-m is over; delta_m and delta_m_vs_equal (percent, lower is better);
    mean_rank over the tasks' main metrics (single-task networks are the reference and are not ranked);
    the audit's conflict_rate, noise_floor, excess_conflict, update_conflict_rate, predicted_rise_rate,
    realised_rise_rate and median_stationarity (means over runs), smallest_cosine and worst_gap (over all runs),
    zero_task_events, inner_solves and inner_solves_outside (their sums); seesaw_rate
    (:mod:`mtlbench.analysis.seesaw`); then ``<task>.<metric>``, the main metrics or all of them. Intervals are 95 %
    paired t over seeds, NaN with fewer than two.

    Rows are sorted by dataset; first the single-task reference, then methods whose runs all ended, by
    Delta-m, then those with broken runs: the mean over the survivors of a method that diverges must not
    lead the table.
    """
    test = table[table["split"] == "test"]
    boards = [_board(key, part, all_metrics, curves) for key, part in test.groupby(GROUP, sort=True)]
    return pd.concat(boards, ignore_index=True)


def differences(table: pd.DataFrame, baseline: str) -> dict[str, Interval]:
    """Delta-m of every label minus that of ``baseline``, paired by seed, in percentage points (negative:
    better).

    ``table`` holds one dataset. Only seeds whole for the label, the baseline and the single-task
    reference count.
    """
    test = table[table["split"] == "test"]
    return _differences(_by_label(test), directions(test), baseline)


def overall(table: pd.DataFrame, board: pd.DataFrame) -> pd.DataFrame:
    """Mean rank over every (dataset, task) and Delta-m on each dataset, of the methods that ran on all of
    them.

    Columns: label, mean_rank, broken (runs that diverged or failed), then one Delta-m column per dataset.
    No interval is given across datasets. Empty with a single dataset.
    """
    rankable = _rankable(table[table["split"] == "test"])
    names = board[GROUP].drop_duplicates()
    if len(names) < 2:
        return pd.DataFrame()
    result = mean_rank(rankable).sort_index().sort_values(kind="stable").to_frame()
    result["broken"] = board.assign(broken=board["runs"] - board["done"]).groupby("label")["broken"].sum()
    per_dataset = board.pivot_table(index="label", columns="dataset", values="delta_m", dropna=False)
    return result.join(per_dataset, how="left").rename_axis("label").reset_index()


def _board(key: Hashable, part: pd.DataFrame, all_metrics: bool, curves: pd.DataFrame | None) -> pd.DataFrame:
    values, higher_is_better = _by_label(part), directions(part)
    reference = values.get(SINGLE_TASK)
    against_equal = _differences(values, higher_is_better, EQUAL)
    rank_of = _rank_intervals(part)
    shown = metrics(part) if all_metrics else metrics(part)[lambda frame: frame["main"]]
    unknown = Interval(np.nan, np.nan, 0)
    assert isinstance(key, tuple)
    seesaws = _seesaws(key, part, curves)
    rows = []
    # Sums of floats depend on their order, and the order of the runs must not matter.
    runs = part.drop_duplicates(["label", "seed"]).sort_values(["label", "seed"])
    for label, per_run in runs.groupby("label", sort=True):
        own = values[str(label)]
        row: dict[str, Any] = dict(zip(GROUP, key, strict=True))
        row |= {"label": label, "method": per_run["method"].iloc[0], "runs": len(per_run)}
        status = per_run["status"]
        row |= {name: int((status == name).sum()) for name in ("done", "diverged", "failed")}
        interval = unknown if reference is None else paired_t_interval(change(own, reference, higher_is_better))
        if label == SINGLE_TASK:
            # Zero by definition; an interval of width zero would claim a precision nobody measured.
            interval = Interval(0.0 if interval.n else np.nan, np.nan, interval.n)
        row["seeds"] = interval.n
        row |= _columns("delta_m", interval)
        row |= _columns("delta_m_vs_equal", against_equal.get(str(label), unknown))
        row |= _columns("mean_rank", rank_of.get(str(label), unknown))
        row |= {name: per_run[name].mean() for name in ("conflict_rate", "noise_floor")}
        row |= _columns("excess_conflict", paired_t_interval(per_run["excess_conflict"]))
        row |= {name: per_run[name].mean() for name in MEANS}
        row |= {"smallest_cosine": per_run["smallest_cosine"].min(), "worst_gap": per_run["worst_gap"].max()}
        row |= {name: per_run[name].sum(min_count=1) for name in SUMS}
        row |= _columns("seesaw_rate", paired_t_interval(seesaws.get(str(label), ())))
        row["reason"] = _reasons(per_run)
        for task, metric in shown[["task", "metric"]].itertuples(index=False):
            row |= _columns(f"{task}.{metric}", paired_t_interval(own[task, metric]))
        rows.append(row)
    return _sorted(pd.DataFrame(rows))


def _seesaws(key: Hashable, part: pd.DataFrame, curves: pd.DataFrame | None) -> dict[str, pd.Series]:
    """The seesaw rates of every label by seed; none without curves."""
    if curves is None:
        return {}
    found = rates(Arena.of(key).among(curves), metrics(part))
    return {str(label): own for label, own in found.groupby(level="label")}


def _by_label(test: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The scores of every label: seeds as rows, (task, metric) as columns, both sorted."""
    values = test.pivot(index=["label", "seed"], columns=["task", "metric"], values="value")
    values = values.sort_index().sort_index(axis=1)
    return {str(label): own.droplevel("label") for label, own in values.groupby(level="label")}


def _differences(values: dict[str, pd.DataFrame], higher_is_better: pd.Series, baseline: str) -> dict[str, Interval]:
    if baseline not in values or SINGLE_TASK not in values:
        return {}
    base, reference = values[baseline], values[SINGLE_TASK]
    found = {}
    for label, own in values.items():
        whole = own.dropna().index.intersection(base.dropna().index).intersection(reference.dropna().index)
        if label == baseline or whole.empty:
            continue
        both = (change(frame.loc[whole], reference.loc[whole], higher_is_better) for frame in (own, base))
        found[label] = paired_t_interval(*both)
    return found


def _sorted(board: pd.DataFrame) -> pd.DataFrame:
    group = np.where(board["label"] == SINGLE_TASK, 0, np.where(board["done"] == board["runs"], 1, 2))
    order = pd.DataFrame({"group": group, "delta_m": board["delta_m"], "label": board["label"]})
    # The reference's own Delta-m and NaN decide nothing; labels break ties, so the order is always the
    # same.
    return board.loc[order.sort_values(["group", "delta_m", "label"], na_position="last").index]


def _rank_intervals(part: pd.DataFrame) -> dict[str, Interval]:
    rankable = _rankable(part)
    if rankable.empty:
        return {}
    per_seed = ranks(rankable).groupby(["label", "seed"])["rank"].mean()
    return {str(label): paired_t_interval(values) for label, values in per_seed.groupby(level="label")}


def _rankable(test: pd.DataFrame) -> pd.DataFrame:
    return test[test["main"] & (test["label"] != SINGLE_TASK)]


def _columns(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.mean, f"{name}_half_width": interval.half_width}


def _reasons(per_run: pd.DataFrame) -> str:
    """The distinct reasons of broken runs with their seeds: ``loss of left is nan (seeds 1, 2)``."""
    broken = per_run[per_run["status"] != "done"]
    broken = broken.assign(reason=broken["reason"].fillna("no reason given"))
    parts = [
        f"{reason} (seed{'s' if len(rows) > 1 else ''} {', '.join(str(seed) for seed in rows['seed'])})"
        for reason, rows in broken.groupby("reason", sort=True)
    ]
    return "; ".join(parts)
