"""The picture of the study ``scalarisation_front``: the runs of every dataset, and their places against the front."""

from __future__ import annotations

import moocore
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtlbench.analysis.intervals import paired_t
from mtlbench.report.style import INK, MUTED, Look, grid, looks

FIXED, END, METHOD, ALONE, TRUTH = "fixed", "end", "method", "single_task", "truth"
"""What a point is: of fixed weights, of such with a weight of 0, a method, single-task networks, the true front."""


def draw(points: pd.DataFrame) -> Figure:
    """A row per dataset: its runs on the left, the methods' distances beyond the front on the right."""
    # Networks of their own share nothing: where they lie is in the table, and would set the scale here.
    points = points[points["kind"] != ALONE]
    groups = list(points.groupby("dataset"))
    look = looks(points.loc[points["kind"] == METHOD, "label"])
    figure, axes = grid(2 * len(groups), 2, 4.6, 3.4)
    for index, (dataset, part) in enumerate(groups):
        left, right = axes[2 * index : 2 * index + 2]
        _runs(left, part, look)
        _distances(right, part, look)
        left.set_title(str(dataset))
    return figure


def _runs(ax: Axes, part: pd.DataFrame, look: dict[str, Look]) -> None:
    first = part.iloc[0]
    runs, true = part[part["kind"] != TRUTH], part[part["kind"] == TRUTH].sort_values("x")
    if len(true):
        line = "-" if first["tasks"] == 2 else "."
        ax.plot(true["x"], true["y"], line, color=INK, linewidth=0.8, markersize=1, zorder=1)
    fixed = runs[runs["kind"] != METHOD]
    ax.plot(fixed["x"], fixed["y"], ".", color=MUTED, markersize=4, zorder=2)
    if first["tasks"] == 2:
        ax.step(*_attained(fixed, first), where="post", color=MUTED, linewidth=1.5, zorder=2)
    for label, own in runs[runs["kind"] == METHOD].groupby("label"):
        style = look[str(label)]
        ax.plot(own["x"], own["y"], style.marker, color=style.colour, markersize=4.5, alpha=0.8, zorder=3)
    # The untrained head of a weight of 0 would set the scale.
    shown = part[part["kind"] != END]
    for values, limit in ((shown["x"], ax.set_xlim), (shown["y"], ax.set_ylim)):
        margin = 0.06 * (values.max() - values.min()) or 1.0
        limit(values.min() - margin, values.max() + margin)
    if not first["x_up"]:
        ax.invert_xaxis()
    if not first["y_up"]:
        ax.invert_yaxis()
    ax.set_xlabel(f"{first['x_name']}: better →")
    ax.set_ylabel(f"{first['y_name']}: better →")


def _attained(fixed: pd.DataFrame, first: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The points attained in half of the seeds, the median attainment surface (Grunert da Fonseca et al. 2001)."""
    sign = np.where([first["x_up"], first["y_up"]], -1.0, 1.0)
    surface = moocore.eaf(fixed[["x", "y"]].to_numpy(float) * sign, sets=fixed["seed"].to_numpy(int), percentiles=[50])
    points = surface[np.argsort(surface[:, 0]), :2] * sign
    return points[:, 0], points[:, 1]


def _distances(ax: Axes, part: pd.DataFrame, look: dict[str, Look]) -> None:
    places = part[part["kind"] == FIXED].groupby("label")["beyond_front"].mean()
    ax.axvline(0, color=MUTED, linewidth=1)
    ax.axvline(max(places.max(), 0), color=MUTED, linewidth=1, linestyle=":")
    methods = part[part["kind"] == METHOD].groupby("label")["beyond_front"]
    order = methods.mean().sort_values()
    for position, label in enumerate(order.index):
        style, found = look[str(label)], paired_t(methods.get_group(label).to_numpy())
        ax.errorbar(
            found.mean,
            position,
            xerr=np.nan_to_num(found.half_width),
            color=style.colour,
            marker=style.marker,
            capsize=2,
            elinewidth=1,
        )
    ax.set_yticks(range(len(order)), list(order.index), fontsize=8)
    ax.set_xlabel("beyond the front of fixed weights [% of the box]")
