"""What the leaderboard says, in sentences drawn from its numbers and nothing else."""

from __future__ import annotations

import pandas as pd

from mtlbench.analysis.leaderboard import EQUAL, SINGLE_TASK, differences
from mtlbench.analysis.statistics import Interval
from mtlbench.arena import GROUP, Arena
from mtlbench.report.format import fixed, listing, number, plural, with_interval


def sentences(table: pd.DataFrame, board: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """For every dataset its name and what its rows say: who leads, what beats equal weighting, what ties.

    ``table``: the runs; ``board``: the leaderboard made of them. Two methods are told apart when the 95 %
    interval of their paired difference lies on one side of zero.
    """
    found = []
    for key, part in board.groupby(GROUP, sort=True):
        arena = Arena.of(key)
        found.append((arena.title, _of_dataset(arena.among(table), part)))
    return found


def _of_dataset(runs: pd.DataFrame, board: pd.DataFrame) -> list[str]:
    said = []
    methods = board[board["label"] != SINGLE_TASK]
    whole = methods[(methods["done"] == methods["runs"]) & methods["delta_m"].notna()]
    if whole.empty:
        said.append("No method can be placed: Δm is not defined here or no method ended all its runs.")
    else:
        leader = whole.iloc[0]
        said.append(_leader(leader))
        if leader["seeds"] < 2:
            said.append("One seed gives no interval, so no two methods can be told apart here.")
        else:
            said += _against_leader(str(leader["label"]), differences(runs, str(leader["label"])), set(whole["label"]))
            # The survivors of a method that breaks support no claim; its broken runs are told below.
            ended = {label: gap for label, gap in differences(runs, EQUAL).items() if label in set(whole["label"])}
            said += _against_equal(ended)
    said += _gaps(methods)
    said += [
        f"{row['label']}: {row['runs'] - row['done']} of {plural(row['runs'], 'run')} did not end "
        f"({listing([f'{row[kind]} {kind}' for kind in ('diverged', 'failed') if row[kind]])})."
        for row in board[board["done"] < board["runs"]].to_dict("records")
    ]
    return said


def _leader(row: pd.Series) -> str:
    text = f"{row['label']} has the lowest Δm: {with_interval(row['delta_m'], row['delta_m_half_width'])} %"
    text += f" ({plural(row['seeds'], 'seed')}), "
    interval = Interval(row["delta_m"], row["delta_m_half_width"], row["seeds"])
    if not interval.excludes_zero:
        return text + "which cannot be told apart from single-task networks."
    return text + ("better" if interval.mean < 0 else "worse") + " than single-task networks."


def _against_leader(leader: str, against: dict[str, Interval], whole: set[str]) -> list[str]:
    same = [label for label, gap in against.items() if label in whole and not gap.excludes_zero and gap.n > 1]
    if same:
        return [f"Not to be told apart from {leader}: {listing(same)}."]
    return (
        [f"Every other method that ended all its runs is worse than {leader} beyond its interval."]
        if len(whole) > 1
        else []
    )


def _against_equal(against: dict[str, Interval]) -> list[str]:
    compared = {label: gap for label, gap in against.items() if gap.n > 1}
    if not compared:
        return []
    better = [_by(label, gap) for label, gap in compared.items() if gap.high < 0]
    worse = [_by(label, gap) for label, gap in compared.items() if gap.low > 0]
    same = [label for label, gap in compared.items() if not gap.excludes_zero]
    said = []
    if better:
        said.append(f"Better than equal weighting: {listing(better)}.")
    if worse:
        said.append(f"Worse than equal weighting: {listing(worse)}.")
    if same:
        said.append(f"Cannot be told apart from equal weighting: {listing(same)}.")
    if not better:
        said.insert(0, "No method is better than equal weighting beyond its interval.")
    chance = 0.05 * len(compared)
    if len(compared) >= 10:
        said.append(
            f"Each interval stands for itself: among {len(compared)} methods no different from it, about "
            f"{fixed(chance, 1)} would seem to differ by chance."
        )
    return said


def _by(label: str, gap: Interval) -> str:
    return f"{label} (by {with_interval(abs(gap.mean), gap.half_width)} points)"


def _gaps(methods: pd.DataFrame) -> list[str]:
    gaps = methods.dropna(subset="worst_gap")
    if gaps.empty:
        return []
    worst = gaps.loc[gaps["worst_gap"].idxmax()]
    return [
        f"The largest certified gap of an inner solver in training is {number(worst['worst_gap'], 2)} "
        f"of min Gᵢᵢ, with {worst['label']}."
    ]
