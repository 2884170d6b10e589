"""Over all datasets: what the runs of one (track, setting) say together; datasets are fixed, seeds are the sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.analysis.changes import EQUAL, SINGLE_TASK, Changes, changes
from mtlbench.analysis.intervals import Array, Intervals, jackknife_t, stratified_t
from mtlbench.analysis.robust import FEWEST, TRIMMED, interquartile_mean, median, trimmed_mean
from mtlbench.analysis.statistics import ranks
from mtlbench.analysis.verdict import verdicts
from mtlbench.arena import GROUP, Arena

TOGETHER = ["track", "setting"]
STRATUM = ["dataset", "architecture"]


def overall(table: pd.DataFrame) -> pd.DataFrame:
    """One row per (track, setting) and label that ran on all its datasets; none where there is a single dataset.

    ``table`` is :func:`mtlbench.analysis.load.runs`. A dataset under two architectures is two datasets here. Columns,
    with their ``..._half_width`` where an interval is known:

    - datasets, runs, broken: how many, and how many runs diverged or failed;
    - delta_m, delta_m_vs_equal: the mean of the datasets' means, stratified t;
    - against_equal: :mod:`mtlbench.analysis.verdict`;
    - probability_of_improvement: the mean over datasets of the share of seeds on which Delta-m is below equal's;
    - delta_m_median, delta_m_trimmed, delta_m_iqm: of all (dataset, task, seed), :mod:`mtlbench.analysis.robust`; the
      last with the jackknife's interval from five datasets on;
    - mean_rank: among these labels, over (dataset, task), each counting the same, stratified t;
    - ``delta_m.<dataset>``: the mean on each dataset.

    Rows: methods whose runs all ended by Delta-m (by mean rank where that is not defined), then those with broken runs.
    """
    test = table[table["split"] == "test"]
    boards = [board for key, part in test.groupby(TOGETHER, sort=True) if len(board := _together(key, part))]
    return pd.concat(boards, ignore_index=True) if boards else pd.DataFrame(columns=[*TOGETHER, "label"])


def pool(table: pd.DataFrame) -> dict[str, Array]:
    """The relative changes of every label that ran on all datasets of one (track, setting), for a profile over them.

    ``table``: the rows of one (track, setting). The numbers are :attr:`mtlbench.analysis.changes.Changes.judged`.
    """
    found = dict(_strata(table[table["split"] == "test"]))
    labels = _shared(found.values())
    judged = [own.judged[_rows(own, labels)].reshape(len(labels), -1) for own in found.values()]
    return dict(zip(labels, np.concatenate(judged, axis=1), strict=True)) if labels else {}


def rank_scores(table: pd.DataFrame) -> pd.DataFrame:
    """The mean rank over (task, seed), datasets by labels, among the labels that ran on all datasets of the table."""
    test = table[table["split"] == "test"]
    rank = _seed_ranks(test, _shared(found for _, found in _strata(test)))
    return rank.groupby([*STRATUM, "label"])["rank"].mean().unstack("label")


def _together(key: tuple[str, ...], part: pd.DataFrame) -> pd.DataFrame:
    found = dict(_strata(part))
    labels = [label for label in _shared(found.values()) if label != SINGLE_TASK]
    if len(found) < 2 or not labels:
        return pd.DataFrame()
    rows = [_rows(own, labels) for own in found.values()]
    each = list(zip(found.values(), rows, strict=True))
    delta = _stacked([own.by_task.mean(axis=-1)[at] for own, at in each])
    judged = _stacked([own.judged[at] for own, at in each])
    flat = judged.reshape(len(labels), -1)
    gap = stratified_t(_stacked([own.against(EQUAL)[at] for own, at in each]))
    broken = sum(own.broken[at].sum(axis=1) for own, at in each)
    board = pd.DataFrame({**dict(zip(TOGETHER, key, strict=True)), "label": labels, "datasets": len(found)})
    board["runs"] = sum(own.ran[at].sum(axis=1) for own, at in each)
    board["broken"] = broken
    _put(board, "delta_m", stratified_t(delta))
    # Equal weighting does not differ from itself by measurement.
    _put(board, "delta_m_vs_equal", gap, known=board["label"] != EQUAL)
    board["against_equal"] = verdicts(board["delta_m_vs_equal"], board["delta_m_vs_equal_half_width"], broken > 0)
    won = stratified_t(_stacked([own.improvement(EQUAL)[at] for own, at in each]))
    board["probability_of_improvement"] = won.mean
    board["delta_m_median"] = median(flat)
    board["delta_m_trimmed"] = trimmed_mean(flat, TRIMMED)
    _put(board, "delta_m_iqm", jackknife_t(judged, interquartile_mean))
    if len(found) < FEWEST:
        board["delta_m_iqm_half_width"] = np.nan
    _put(board, "mean_rank", _mean_ranks(part, list(found), labels))
    for arena, (own, at) in zip(found, each, strict=True):
        mean = stratified_t(own.by_task.mean(axis=-1)[at][:, None]).mean
        board[f"delta_m.{Arena(*arena).title}"] = mean
    order = board.assign(whole=broken > 0).sort_values(["whole", "delta_m", "mean_rank", "label"])
    return board.loc[order.index]


def _strata(part: pd.DataFrame) -> Iterator[tuple[tuple[str, ...], Changes]]:
    for key, runs in part.groupby(STRATUM, sort=True):
        yield key, changes(runs)


def _shared(found: Iterable[Changes]) -> list[str]:
    return sorted(set.intersection(*(set(own.labels) for own in found)))


def _rows(own: Changes, labels: list[str]) -> NDArray[np.int_]:
    return np.array([own.labels.index(label) for label in labels])


def _stacked(arrays: list[Array]) -> Array:
    """Arrays (labels, seeds, …) of the datasets as one (labels, datasets, seeds, …), NaN where one is shorter."""
    shape = np.max([array.shape for array in arrays], axis=0)
    room = [[(0, most - size) for size, most in zip(array.shape, shape, strict=True)] for array in arrays]
    return np.stack([np.pad(array, free, constant_values=np.nan) for array, free in zip(arrays, room, strict=True)], 1)


def _mean_ranks(part: pd.DataFrame, arenas: list[tuple[str, ...]], labels: list[str]) -> Intervals:
    """Datasets weigh as many as they have tasks, so that every (dataset, task) counts the same."""
    rank = _seed_ranks(part, labels)
    seeds = sorted(rank["seed"].unique())
    every = pd.MultiIndex.from_product([labels, range(len(arenas)), seeds])
    number = {arena: position for position, arena in enumerate(arenas)}
    rank["arena"] = [number[key] for key in zip(rank["dataset"], rank["architecture"], strict=True)]
    values = rank.set_index(["label", "arena", "seed"])["rank"].reindex(every).to_numpy()
    tasks = part.groupby(STRATUM, sort=True)["task"].nunique().loc[arenas]
    return stratified_t(values.reshape(len(labels), len(arenas), -1), weights=tasks)


def _seed_ranks(part: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    """The ranks of ``labels`` among themselves: one that ran on some datasets only would push the others down there."""
    rank = ranks(part[part["main"] & part["label"].isin(labels) & (part["label"] != SINGLE_TASK)])
    return rank.groupby([*GROUP, "label", "seed"], as_index=False)["rank"].mean()


def _put(board: pd.DataFrame, name: str, found: Intervals, known: pd.Series | bool = True) -> None:
    board[name] = np.where(known, found.mean, np.nan)
    board[f"{name}_half_width"] = np.where(known, found.half_width, np.nan)
