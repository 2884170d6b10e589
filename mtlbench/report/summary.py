"""What the leaderboard says, in sentences drawn from its numbers and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pandas as pd

from mtlbench.analysis.leaderboard import EQUAL, SINGLE_TASK, alike, is_ranked
from mtlbench.analysis.statistics import Interval
from mtlbench.arena import GROUP, Arena
from mtlbench.report import strays
from mtlbench.report.format import fixed, listing, number, plural, with_interval

NAMED = 8
"""A sentence names so many methods, best first, and counts the others: the table has them all."""


def sentences(
    table: pd.DataFrame,
    board: pd.DataFrame,
    edges: Mapping[Arena, Mapping[str, str]] = {},
) -> list[tuple[Arena, list[str]]]:
    """For every arena what its rows say: who leads, at what cost, what beats equal weighting, what ties, what broke.

    ``table``: the runs; ``board``: the leaderboard made of them, with costs where known; ``edges``: labels whose best
    trial lies at the edge of the range. Two methods are told apart when the 95 % interval of their paired difference
    lies on one side of zero.
    """
    runs = dict(iter(table.groupby(GROUP)))
    found = []
    for key, part in board.groupby(GROUP, sort=True):
        arena = Arena.of(key)
        found.append((arena, [*_of_arena(runs[key], part), *_edges(edges.get(arena, {}))]))
    return found


def across(board: pd.DataFrame) -> list[str]:
    """Who leads how often, and who is better than equal weighting everywhere; nothing where there is one arena."""
    parts = [_whole(part) for _, part in board.groupby(GROUP, sort=True)]
    parts = [part for part in parts if not part.empty]
    if len(parts) < 2 or not is_ranked(board):
        return []
    leaders = Counter(part.iloc[0]["label"] for part in parts).most_common()
    said = [f"Lowest Δm: {_some([f'{label} in {count} of {len(parts)} tables' for label, count in leaders])}."]
    sides = [dict(zip(part["label"], _side(part), strict=True)) for part in parts]
    if any(label == EQUAL for side in sides for label in side):
        gap = board.groupby("label")["delta_m_vs_equal"].mean()
        everywhere = sorted(set.intersection(*(set(side) for side in sides)) - {EQUAL}, key=gap.get)
        better = [label for label in everywhere if all(side[label] < 0 for side in sides)]
        worse = [label for label in everywhere if all(side[label] > 0 for side in sides)]
        said.append(
            f"Better than equal weighting beyond its interval in every table: {_some(better) or 'no method'}; "
            f"worse in every table: {_some(worse) or 'no method'}."
        )
    broken = board.groupby("label")[["runs", "done"]].sum()[lambda sums: sums["done"] < sums["runs"]]
    if not broken.empty:
        said.append(
            f"Runs that did not end: {_some([f'{label} ({r - d} of {r})' for label, r, d in broken.itertuples()])}."
        )
    return said


def _of_arena(runs: pd.DataFrame, board: pd.DataFrame) -> list[str]:
    said = []
    methods = board[board["label"] != SINGLE_TASK]
    whole = _whole(board)
    if not is_ranked(board):
        pass
    elif whole.empty:
        said.append("No method can be placed: Δm is not defined here or no method ended all its runs.")
    else:
        leader = whole.iloc[0]
        said += [*strays.reference(runs), _leader(leader)]
        if leader["seeds"] < 2:
            said.append("One seed gives no interval, so no two methods can be told apart here.")
        else:
            said += _against_leader(str(leader["label"]), runs, whole)
            # The survivors of a method that breaks support no claim; its broken runs are told below.
            said += _against_equal(whole)
    said += _gaps(methods)
    said += [
        f"{row['label']}: {row['runs'] - row['done']} of {plural(row['runs'], 'run')} did not end "
        f"({listing([f'{row[kind]} {kind}' for kind in ('diverged', 'failed') if row[kind]])})."
        for row in board[board["done"] < board["runs"]].to_dict("records")
    ]
    return said


def _whole(board: pd.DataFrame) -> pd.DataFrame:
    """The methods that can be placed: all their runs ended, and Δm is defined; best first, as in the board."""
    ended = (board["done"] == board["runs"]) & board["delta_m"].notna()
    return board[(board["label"] != SINGLE_TASK) & ended]


def _leader(row: pd.Series) -> str:
    text = f"{row['label']} has the lowest Δm: {with_interval(row['delta_m'], row['delta_m_half_width'])} %"
    text += f" ({plural(row['seeds'], 'seed')}), "
    interval = Interval(row["delta_m"], row["delta_m_half_width"], row["seeds"])
    if not interval.excludes_zero:
        text += "which cannot be told apart from single-task networks"
    else:
        text += ("better" if interval.mean < 0 else "worse") + " than single-task networks"
    times = row.get("times_equal", float("nan"))
    if row["label"] != EQUAL and not pd.isna(times):
        text += f"; a step takes {number(times, 2)} times as long as with equal weighting"
    return text + "."


def _against_leader(leader: str, runs: pd.DataFrame, whole: pd.DataFrame) -> list[str]:
    same, unknown = alike(runs, leader, whole["label"])
    if not same:
        return (
            [f"Every other method that ended all its runs is worse than {leader} beyond its interval."]
            if len(whole) > 1
            else []
        )
    said = [f"Not to be told apart from {leader}: {_some(same)}."]
    if unknown:
        said.append(f"Fewer than two seeds in common with {leader} give no interval: {_some(unknown)}.")
    both = whole[whole["label"].isin({leader, *same})]
    both = both.dropna(subset="times_equal") if "times_equal" in both else both[:0]
    if len(both) > 1:
        cheapest = both.loc[both["times_equal"].idxmin()]
        said.append(
            f"The cheapest step among these: {cheapest['label']}, "
            f"{number(cheapest['times_equal'], 2)} times that of equal weighting."
        )
    return said


def _side(board: pd.DataFrame) -> pd.Series:
    """−1 where a row is better than equal weighting beyond its interval, 1 where worse, else 0."""
    mean, half = board["delta_m_vs_equal"], board["delta_m_vs_equal_half_width"]
    return (mean > half).astype(int) - (mean < -half).astype(int)


def _against_equal(board: pd.DataFrame) -> list[str]:
    compared = board[(board["label"] != SINGLE_TASK) & board["delta_m_vs_equal_half_width"].notna()]
    if compared.empty:
        return []
    side = _side(compared)
    better = [_by(row) for row in compared[side < 0].to_dict("records")]
    worse = [_by(row) for row in compared[side > 0].to_dict("records")]
    same = list(compared[side == 0]["label"])
    said = []
    if better:
        said.append(f"Better than equal weighting: {_some(better)}.")
    if worse:
        said.append(f"Worse than equal weighting: {_some(worse)}.")
    if same:
        said.append(f"Cannot be told apart from equal weighting: {_some(same)}.")
    if not better:
        said.insert(0, "No method is better than equal weighting beyond its interval.")
    if len(compared) >= 10:
        said.append(
            f"Each interval stands for itself: among {len(compared)} methods no different from it, about "
            f"{fixed(0.05 * len(compared), 1)} would seem to differ by chance."
        )
    return said


def _by(row: dict[str, float]) -> str:
    gap = with_interval(abs(row["delta_m_vs_equal"]), row["delta_m_vs_equal_half_width"])
    return f"{row['label']} (by {gap} points)"


def _gaps(methods: pd.DataFrame) -> list[str]:
    gaps = methods.dropna(subset="worst_gap")
    if gaps.empty:
        return []
    worst = gaps.loc[gaps["worst_gap"].idxmax()]
    return [
        f"The largest certified gap of an inner solver in training is {number(worst['worst_gap'], 2)} "
        f"of min Gᵢᵢ, with {worst['label']}."
    ]


def _edges(found: Mapping[str, str]) -> list[str]:
    if not found:
        return []
    named = [f"{label} ({edge})" for label, edge in sorted(found.items())]
    return [f"The best trial lies at the edge of the range searched, so a wider one may do better: {_some(named)}."]


def _some(words: list[str]) -> str:
    """All of a few words; the first of many, and how many more there are."""
    return listing(words if len(words) <= NAMED + 1 else [*words[:NAMED], f"{len(words) - NAMED} more"])
