"""Two pictures over all datasets: the performance profile, and second, with its caveats, the critical difference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlbench.analysis.critical_difference import CriticalDifference, critical_difference
from mtlbench.analysis.leaderboard import SINGLE_TASK
from mtlbench.analysis.overall import TOGETHER, pool, rank_scores
from mtlbench.analysis.robust import performance_profile
from mtlbench.report.plots import OTHERS, leading, legend
from mtlbench.report.style import INK, MUTED, canvas, grid, looks, save

PROFILE, RANKS = "comparison_profile", "comparison_ranks"
POINTS = 200
REACH = 95
"""The profile is drawn up to this percentile of all changes; a long tail would squeeze the rest."""


def write(folder: Path, table: pd.DataFrame) -> None:
    """Draw both into ``folder``, a panel for each track and setting with two datasets or more; else nothing.

    ``table``: :func:`mtlbench.analysis.load.table`.
    """
    groups = [(_title(key), part) for key, part in table.groupby(TOGETHER, sort=True) if _several(part)]
    pools = [(title, found) for title, part in groups if _finite(found := pool(part)).size]
    diagrams = [(title, critical_difference(rank_scores(part))) for title, part in groups]
    drawn = [(title, diagram) for title, diagram in diagrams if diagram is not None]
    with canvas():
        if pools:
            save(profiles(pools), folder, PROFILE)
        if drawn:
            save(differences(drawn), folder, RANKS)


def profiles(pools: list[tuple[str, dict[str, np.ndarray]]]) -> Figure:
    """The share of (dataset, task, seed) whose change is at most τ, a curve per method; further left is better.

    Every pool has a finite change; a method has one look in all panels, and the best over all of them have colours.
    """
    best_first = _by_median([found for _, found in pools])
    shown = leading(best_first)
    look = looks(shown)
    figure, axes = grid(len(pools), 2, 5.2, 3.2)
    for ax, (title, found) in zip(axes, pools, strict=True):
        known = _finite(found)
        tau = np.linspace(known.min(), max(np.percentile(known, REACH), known.min() + 1e-9), POINTS)
        for label, share in performance_profile(found, tau).items():
            style = look.get(str(label))
            if style is None:
                ax.plot(tau, share, **OTHERS, zorder=1)
            else:
                ax.plot(tau, share, color=style.colour, linestyle=style.dashes, linewidth=style.width, zorder=3)
        ax.axvline(0, color=MUTED, linewidth=1)
        ax.set_ylim(0, 1.02)
        ax.set_xlabel("relative change τ against single-task networks [%]")
        ax.set_ylabel("share at most τ")
        ax.set_title(title)
    legend(figure, shown, look, len(best_first) - len(shown))
    return figure


def differences(diagrams: list[tuple[str, CriticalDifference]]) -> Figure:
    """Mean ranks with bars over the methods that Nemenyi's test cannot tell apart, best on the left."""
    most = max(len(diagram.ranks) for _, diagram in diagrams)
    figure, axes = grid(len(diagrams), 2, 5.6, 1.6 + 0.2 * most)
    for ax, (title, diagram) in zip(axes, diagrams, strict=True):
        labels = list(diagram.ranks.index)
        for row, (label, rank) in enumerate(diagram.ranks.items()):
            ax.plot(rank, row, "o", color=INK, markersize=4)
            ax.annotate(str(label), (rank, row), (7, 0), textcoords="offset points", va="center", fontsize=8)
        for group in diagram.groups:
            first, last = labels.index(group[0]), labels.index(group[-1])
            ends = diagram.ranks.iloc[[first, last]]
            ax.plot(ends, [last + 0.45, last + 0.45], color=MUTED, linewidth=3, solid_capstyle="round")
        ax.set_ylim(len(labels) - 0.2, -0.8)
        ax.set_xlim(diagram.ranks.min() - 0.3, diagram.ranks.max() + 0.28 * np.ptp(diagram.ranks) + 1)
        ax.set_yticks([])
        ax.set_xlabel("mean rank over the datasets")
        p = "" if np.isnan(diagram.p_value) else f", Friedman p = {diagram.p_value:.2g}"
        ax.set_title(f"{title}: CD = {diagram.difference:.2f} with {diagram.datasets} datasets{p}", fontsize=9)
    return figure


def _several(part: pd.DataFrame) -> bool:
    return len(part[["dataset", "architecture"]].drop_duplicates()) > 1


def _title(key: tuple[str, ...]) -> str:
    return ", ".join(filter(None, key)).replace("_", " ")


def _finite(found: dict[str, np.ndarray]) -> np.ndarray:
    """All changes of a pool that are numbers; none where no dataset has single-task networks."""
    values = np.concatenate([np.empty(0), *(own.ravel() for own in found.values())])
    return values[np.isfinite(values)]


def _by_median(pools: list[dict[str, np.ndarray]]) -> list[str]:
    """The labels of all pools, the lowest median change first."""
    median = pd.concat([pd.DataFrame(found) for found in pools]).median().sort_index().sort_values(kind="stable")
    return sorted(median.index, key=lambda label: label != SINGLE_TASK)
