"""Cost beside quality, from the learning curves: when a method gets where equal weighting got, and what it has to show
after the same time. Everything here is on the validation split; the test split is read once, by the leaderboard.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from mtlbench.analysis.changes import EQUAL, SINGLE_TASK, changes, relative_change
from mtlbench.analysis.intervals import paired_t
from mtlbench.analysis.statistics import ranks
from mtlbench.arena import GROUP, Arena

RUN = [*GROUP, "label", "seed"]
COST = ["dataset", "architecture", "setting", "label"]
LEAST = 3  # epochs that a slope is fitted to


def validation_delta_m(table: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """Delta-m on validation after every epoch: GROUP, label, seed, epoch, delta_m; single-task networks left out.

    ``table``: :func:`mtlbench.analysis.load.table`, ``curves``: :func:`mtlbench.analysis.load.curves`. The reference is
    what each single-task network had at the epoch that its own selection kept, so Delta-m compares with the finished
    reference, not with its curve. NaN throughout for a run that broke, and without single-task networks.
    """
    scores = table[table["split"] == "validation"]
    found = dict(iter(curves[curves["split"] == "validation"].groupby(GROUP)))
    empty = curves.iloc[:0]
    parts = [_of_arena(key, part, found.get(key, empty)) for key, part in scores.groupby(GROUP, sort=True)]
    return pd.concat(parts, ignore_index=True)[[*RUN, "epoch", "delta_m"]]


def epochs_to_equal(validation: pd.DataFrame) -> pd.DataFrame:
    """How many epochs every run takes to equal weighting's own best Delta-m of the same seed.

    ``validation``: :func:`validation_delta_m`. Columns: GROUP, label, seed, target (that best; NaN where equal
    weighting broke or was not run), epochs (NaN where the target is not known or never reached).
    """
    equal = validation[validation["label"] == EQUAL]
    target = equal.groupby([*GROUP, "seed"])["delta_m"].min().rename("target").reset_index()
    every = validation.merge(target, on=[*GROUP, "seed"], how="left")
    there = every[every["delta_m"] <= every["target"]].groupby(RUN)["epoch"].min().rename("epochs").reset_index()
    return every[[*RUN, "target"]].drop_duplicates(ignore_index=True).merge(there, on=RUN, how="left")


def at_equal_time(validation: pd.DataFrame, seconds: pd.Series) -> pd.DataFrame:
    r"""The best Delta-m of every run within the time that equal weighting's whole training takes, and its rank.

    A label of c seconds per epoch gets :math:`\lfloor E\, c_\mathrm{equal} / c \rfloor` of its epochs, E those of equal
    weighting, and never more than it was trained for: a cheaper method gains nothing here. The learning-rate schedule
    is that of the whole training. ``validation``: :func:`validation_delta_m`; ``seconds``: per epoch or per step, by
    dataset, architecture, setting and label.

    Columns: GROUP, label, seed, epochs, delta_m, rank (:func:`mtlbench.analysis.ranks`: among the labels of known cost,
    on seeds that all have run; a run that broke or gets no epoch is worst). Arenas without equal weighting drop out.
    """
    timed = validation.merge(seconds.rename("seconds").reset_index(), on=COST, how="inner")
    base = timed[timed["label"] == EQUAL].groupby(GROUP).agg(budget=("epoch", "max"), base=("seconds", "first"))
    timed = timed.merge(base.reset_index(), on=GROUP, how="inner")
    # The quotient first: equal weighting's own is exactly 1.
    timed["allowed"] = np.floor(timed["budget"] * (timed["base"] / timed["seconds"]))
    within = (timed["epoch"] <= timed["allowed"]) & timed["delta_m"].notna()
    timed["spent"], timed["reached"] = within.astype(int), timed["delta_m"].where(within)
    best = timed.groupby(RUN).agg(epochs=("spent", "sum"), delta_m=("reached", "min")).reset_index()
    contest = best.assign(task="delta_m", value=best["delta_m"], higher_is_better=False)
    return best.merge(ranks(contest)[[*RUN, "rank"]], on=RUN, how="left")


def final_slopes(validation: pd.DataFrame) -> pd.DataFrame:
    """The least-squares slope of Delta-m over the last quarter of the epochs, at least three, as the column slope.

    In points per epoch: negative while a method still improves, near 0 on a plateau. NaN for a run that broke or has
    fewer than three epochs. ``validation``: :func:`validation_delta_m`.
    """
    wide = validation.pivot(index=RUN, columns="epoch", values="delta_m")
    slope = pd.Series(np.nan, index=wide.index, name="slope")
    # Runs of one length at a time; those that broke have none.
    for length, part in wide.groupby(wide.notna().sum(axis=1)):
        epochs = part.columns[: int(length)][-max(LEAST, -(-int(length) // 4)) :]
        if length >= LEAST:
            slope[part.index] = np.polyfit(epochs.to_numpy(dtype=float), part[epochs].to_numpy().T, 1)[0]
    return slope.reset_index()


def summary(validation: pd.DataFrame, seconds: pd.Series | None = None) -> pd.DataFrame:
    """One row per arena and label, from the functions above; the half widths are of 95 % paired t intervals over seeds.

    Columns: GROUP, label, epochs_to_equal (median over the seeds whose target is known; infinite where half of them
    never arrive), reached_equal (the share that does), final_slope; with ``seconds`` also epochs_at_equal_time,
    delta_m_at_equal_time and rank_at_equal_time.
    """
    keys = [*GROUP, "label"]
    arrived = epochs_to_equal(validation).dropna(subset="target")
    by_label = arrived.assign(epochs=arrived["epochs"].fillna(np.inf)).groupby(keys)["epochs"]
    board = validation[keys].drop_duplicates().set_index(keys).sort_index()
    board["epochs_to_equal"] = by_label.median()
    board["reached_equal"] = by_label.agg(lambda epochs: np.isfinite(epochs).mean())
    _put(board, "final_slope", final_slopes(validation), "slope")
    if seconds is not None:
        timed = at_equal_time(validation, seconds)
        board["epochs_at_equal_time"] = timed.groupby(keys)["epochs"].max()
        _put(board, "delta_m_at_equal_time", timed, "delta_m")
        _put(board, "rank_at_equal_time", timed, "rank")
    return board.reset_index()


def _of_arena(key: tuple[str, ...], scores: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    found = changes(scores)
    values = curves.pivot(index=["label", "seed", "epoch"], columns=["task", "metric"], values="value")
    epochs = sorted(curves["epoch"].unique())
    every = pd.MultiIndex.from_product([found.labels, found.seeds, epochs], names=["label", "seed", "epoch"])
    whole = values.reindex(index=every, columns=found.metrics).to_numpy(dtype=float)
    whole = whole.reshape(len(found.labels), len(found.seeds), len(epochs), len(found.metrics))
    whole = np.where(found.broken[:, :, None, None], np.nan, whole)
    changed = relative_change(np.moveaxis(whole, 1, 2), found.reference, found.higher_is_better)
    delta = np.moveaxis(found.per_task(changed).mean(axis=-1), 1, 2)
    frame = pd.DataFrame({"delta_m": delta.ravel()}, index=every).reset_index().assign(**Arena.of(key)._asdict())
    ran = np.repeat(found.ran.ravel(), len(epochs))
    return frame[ran & (frame["label"] != SINGLE_TASK)]


def _put(board: pd.DataFrame, name: str, runs: pd.DataFrame, column: str) -> None:
    """Add the mean of ``column`` over seeds and its half width."""
    wide = runs.pivot(index=[*GROUP, "label"], columns="seed", values=column).reindex(board.index)
    found = paired_t(wide.to_numpy(dtype=float))
    board[name], board[f"{name}_half_width"] = found.mean, found.half_width
