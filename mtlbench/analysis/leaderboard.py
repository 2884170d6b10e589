"""The leaderboard: a pure function from the table of runs to one row per (arena, method)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np
import pandas as pd

from mtlbench.analysis.changes import EQUAL, SINGLE_TASK, Changes, changes
from mtlbench.analysis.intervals import Intervals, paired_t
from mtlbench.analysis.robust import TRIMMED, interquartile_mean, median, trimmed_mean
from mtlbench.analysis.seesaw import rates
from mtlbench.analysis.statistics import Interval, ranks
from mtlbench.analysis.verdict import verdicts
from mtlbench.arena import GROUP

MEANS = ("update_conflict_rate", "predicted_rise_rate", "realised_rise_rate", "median_stationarity")
PAPER = ("last_10_epochs", "best_test_epoch")
SUMS = ("zero_task_events", "inner_solves", "inner_solves_outside")


def metrics(table: pd.DataFrame) -> pd.DataFrame:
    """The metrics of every dataset, in the runs' order: GROUP, task, metric, direction, unit, main."""
    columns = [*GROUP, "task", "metric", "higher_is_better", "unit", "main"]
    return table.drop_duplicates([*GROUP, "task", "metric"])[columns].reset_index(drop=True)


def leaderboard(table: pd.DataFrame, all_metrics: bool = False, curves: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row per arena and label, on the test split; every mean with an interval has a ``..._half_width`` column.

    ``table`` is :func:`mtlbench.analysis.load.runs`, ``curves`` :func:`mtlbench.analysis.load.curves`, without which
    no seesaw rate is known. Columns:

    - runs, done, diverged, failed, reason; ``seeds``, how many seeds Delta-m is over;
    - delta_m and delta_m_vs_equal (percent, lower is better), and what the latter says in a word, against_equal
      (:mod:`mtlbench.analysis.verdict`); delta_m_by_metric, where every metric and not every task counts the same;
    - probability_of_improvement: the share of seeds on which Delta-m is below equal's, ties ½, a broken run a loss;
    - delta_m_median, delta_m_trimmed, delta_m_iqm: of the changes of all (task, seed), broken runs counting as the
      worst (:mod:`mtlbench.analysis.robust`);
    - mean_rank over the tasks' main metrics (single-task networks are the reference and are not ranked);
    - the audit's conflict_rate, noise_floor, excess_conflict, update_conflict_rate, predicted_rise_rate,
      realised_rise_rate and median_stationarity (means over runs), smallest_cosine and worst_gap (over all runs),
      zero_task_events, inner_solves and inner_solves_outside (their sums);
    - seesaw_rate (:mod:`mtlbench.analysis.seesaw`);
    - delta_m_last_10_epochs and delta_m_best_test_epoch, chosen on test as papers do, where the benchmark ran in paper
      mode: both sides of the comparison are chosen in the same way;
    - ``<task>.<metric>``, the main metrics or all of them.

    Intervals are 95 % paired t over seeds, NaN with fewer than two.

    Rows are sorted by arena; first the single-task reference, then methods whose runs all ended, by Delta-m, then
    those with broken runs: the mean over the survivors of a method that diverges must not lead the table.
    """
    test = table[table["split"] == "test"]
    validation = None if curves is None else dict(iter(curves[curves["split"] == "validation"].groupby(GROUP)))
    boards = [
        _board(key, part, all_metrics, None if validation is None else validation.get(key))
        for key, part in test.groupby(GROUP, sort=True)
    ]
    board = pd.concat(boards, ignore_index=True)
    for name in PAPER:
        _paper(board, name, table[table["split"] == name])
    return board


def unranked(board: pd.DataFrame) -> pd.DataFrame:
    """``board`` without its ranks and verdicts, for a benchmark that is not made to compare: what ran is left."""
    compared = ["mean_rank", "probability_of_improvement", "delta_m_vs_equal"]
    return board.drop(columns=[*compared, "mean_rank_half_width", "delta_m_vs_equal_half_width", "against_equal"])


def is_ranked(board: pd.DataFrame) -> bool:
    """Whether ``board`` compares methods: :func:`unranked` takes the ranks out."""
    return "mean_rank" in board


def differences(table: pd.DataFrame, baseline: str) -> dict[str, Interval]:
    """Delta-m of every label minus that of ``baseline``, paired by seed, in percentage points (negative: better).

    ``table`` holds one arena. Only seeds whole for the label, the baseline and the single-task reference count.
    """
    found = changes(table[table["split"] == "test"])
    gaps = found.against(baseline)
    seeds = (~np.isnan(gaps)).sum(axis=1)
    columns = (values.tolist() for values in (*paired_t(gaps)[:2], seeds))
    rows = zip(found.labels, *columns, strict=True)
    return {label: Interval(mean, half, n) for label, mean, half, n in rows if n and label != baseline}


def alike(table: pd.DataFrame, leader: str, labels: Iterable[str]) -> tuple[list[str], list[str]]:
    """Those of ``labels`` that cannot be told apart from ``leader``, and which of them for want of an interval.

    Told apart is what has an interval of the paired difference that excludes 0; with fewer than two seeds in common
    there is none. ``table`` holds one arena.
    """
    gaps = differences(table, leader)
    same = [label for label in labels if label != leader and not (label in gaps and gaps[label].excludes_zero)]
    return same, [label for label in same if label not in gaps or gaps[label].n < 2]


def _board(key: Hashable, part: pd.DataFrame, all_metrics: bool, curves: pd.DataFrame | None) -> pd.DataFrame:
    assert isinstance(key, tuple)
    # Sums of floats depend on their order, and the order of the runs must not matter.
    runs = part.drop_duplicates(["label", "seed"]).sort_values(["label", "seed"])
    per_label = runs.groupby("label", sort=True)
    found, described = changes(part), metrics(part)
    labels = pd.Index(found.labels, name="label")
    board = pd.DataFrame(dict(zip(GROUP, key, strict=True)), index=labels).assign(label=labels)
    board["method"], board["runs"] = per_label["method"].first(), per_label.size()
    for name in ("done", "diverged", "failed"):
        board[name] = (runs["status"] == name).groupby(runs["label"]).sum()
    _quality(board, found)
    _put(board, "mean_rank", _rank_intervals(part, labels))
    board[["conflict_rate", "noise_floor"]] = per_label[["conflict_rate", "noise_floor"]].mean()
    _put(board, "excess_conflict", _over_seeds(runs.set_index(["label", "seed"])["excess_conflict"], labels))
    board[list(MEANS)] = per_label[list(MEANS)].mean()
    board["smallest_cosine"], board["worst_gap"] = per_label["smallest_cosine"].min(), per_label["worst_gap"].max()
    board[list(SUMS)] = per_label[list(SUMS)].sum(min_count=1)
    seesaws = pd.Series(dtype=float) if curves is None else rates(curves, described)
    _put(board, "seesaw_rate", _over_seeds(seesaws, labels))
    board["reason"] = _reasons(runs).reindex(labels, fill_value="")
    shown = described if all_metrics else described[described["main"]]
    scores = paired_t(np.moveaxis(found.scores, 1, 2))
    values = {}
    for name in shown[["task", "metric"]].itertuples(index=False, name=None):
        column = found.metrics.get_loc(name)
        values[".".join(name)] = scores.mean[:, column]
        values[f"{'.'.join(name)}_half_width"] = scores.half_width[:, column]
    # Hundreds of tasks at once: one by one, pandas would copy the board for each.
    return _sorted(pd.concat([board, pd.DataFrame(values, index=labels)], axis=1).reset_index(drop=True))


def _paper(board: pd.DataFrame, name: str, part: pd.DataFrame) -> None:
    """Add Delta-m of the scores that were chosen on test in one of the papers' ways, where there are any."""
    if part.empty:
        return
    keys = pd.MultiIndex.from_frame(board[[*GROUP, "label"]])
    found = pd.DataFrame(np.nan, index=keys, columns=["mean", "half_width"])
    for key, own in part.groupby(GROUP, sort=True):
        assert isinstance(key, tuple)
        chosen = changes(own)
        interval = paired_t(chosen.by_task.mean(axis=-1))
        rows = [(*key, label) for label in chosen.labels]
        found.loc[rows] = np.stack([interval.mean, interval.half_width], axis=1)
    found.loc[board["label"].eq(SINGLE_TASK).to_numpy(), "half_width"] = np.nan
    board[f"delta_m_{name}"] = found["mean"].to_numpy()
    board[f"delta_m_{name}_half_width"] = found["half_width"].to_numpy()


def _quality(board: pd.DataFrame, found: Changes) -> None:
    """The columns made of the relative changes."""
    reference = board["label"] == SINGLE_TASK
    delta = found.by_task.mean(axis=-1)
    board["seeds"] = (~np.isnan(delta)).sum(axis=1)
    for name, values in (("delta_m", delta), ("delta_m_by_metric", found.by_metric.mean(axis=-1))):
        _put(board, name, paired_t(values))
        # Zero by definition; an interval of width zero would claim a precision nobody measured.
        board.loc[reference, f"{name}_half_width"] = np.nan
    _put(board, "delta_m_vs_equal", paired_t(found.against(EQUAL)))
    board.loc[board["label"] == EQUAL, ["delta_m_vs_equal", "delta_m_vs_equal_half_width"]] = np.nan
    gap = board["delta_m_vs_equal"], board["delta_m_vs_equal_half_width"]
    board["against_equal"] = verdicts(*gap, board["done"] < board["runs"]).to_numpy()
    board["probability_of_improvement"] = paired_t(found.improvement(EQUAL)).mean
    judged = found.judged.reshape(len(board), -1)
    board["delta_m_median"] = median(judged)
    board["delta_m_trimmed"] = trimmed_mean(judged, TRIMMED)
    board["delta_m_iqm"] = interquartile_mean(judged)


def _sorted(board: pd.DataFrame) -> pd.DataFrame:
    group = np.where(board["label"] == SINGLE_TASK, 0, np.where(board["done"] == board["runs"], 1, 2))
    order = pd.DataFrame({"group": group, "delta_m": board["delta_m"], "label": board["label"]})
    # The reference's own Delta-m and NaN decide nothing; labels break ties, so the order is always the
    # same.
    return board.loc[order.sort_values(["group", "delta_m", "label"], na_position="last").index]


def _rank_intervals(part: pd.DataFrame, labels: pd.Index) -> Intervals:
    rank = ranks(part[part["main"] & (part["label"] != SINGLE_TASK)])
    return _over_seeds(rank.groupby(["label", "seed"])["rank"].mean(), labels)


def _over_seeds(values: pd.Series, labels: pd.Index) -> Intervals:
    """The paired t intervals of values by (label, seed), one for each of ``labels``."""
    if values.empty:
        return paired_t(np.full((len(labels), 1), np.nan))
    return paired_t(values.unstack("seed").reindex(labels).to_numpy(dtype=float))


def _put(board: pd.DataFrame, name: str, found: Intervals) -> None:
    board[name], board[f"{name}_half_width"] = found.mean, found.half_width


def _reasons(runs: pd.DataFrame) -> pd.Series:
    """The distinct reasons of broken runs with their seeds: ``loss of left is nan (seeds 1, 2)``."""
    broken = runs[runs["status"] != "done"]
    broken = broken.assign(reason=broken["reason"].fillna("no reason given"))
    found: dict[str, list[str]] = {}
    for (label, reason), rows in broken.groupby(["label", "reason"], sort=True):
        seeds = f"seed{'s' if len(rows) > 1 else ''} {', '.join(map(str, rows['seed']))}"
        found.setdefault(label, []).append(f"{reason} ({seeds})")
    return pd.Series({label: "; ".join(parts) for label, parts in found.items()}, dtype=object)
