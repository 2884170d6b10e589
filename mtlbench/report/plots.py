"""The pictures of a benchmark: leaderboard, learning curves, conflict over training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator
from scipy import stats

from mtlbench.analysis.leaderboard import EQUAL, SINGLE_TASK
from mtlbench.analysis.statistics import CONFIDENCE
from mtlbench.arena import GROUP, Arena
from mtlbench.report.format import plural
from mtlbench.report.parallel import Job
from mtlbench.report.style import INK, MUTED, ON_TOP, Look, grid, looks, picture, plain
from mtlbench.report.tables import MANY_TASKS

OTHERS: dict[str, Any] = {"color": "#b4bcc5", "linewidth": 0.7}
MANY, LEADING = 12, 8
"""Where more methods than ``MANY`` meet, the curves show ``LEADING`` of them in colour and all others in grey."""
ROWS = 24
"""So many methods, at most, have a row in a panel of the leaderboard's picture; the table has them all."""


def pictures(
    folder: Path, board: pd.DataFrame, described: pd.DataFrame, curves: pd.DataFrame, audits: pd.DataFrame
) -> Iterator[Job]:
    """What draws everything into ``folder``: ``leaderboard``, and per arena ``curves-...`` and ``conflict-...``.

    ``board``: the leaderboard; ``described``: its metrics; ``curves`` and ``audits``: the tables of
    :mod:`mtlbench.analysis.load`. A picture that has nothing to show is not among them.
    """
    looked = looks(board["label"])
    metric = {key: own for key, own in described[described["main"]].groupby(GROUP)}
    shown = {key: leading(part["label"]) for key, part in board.groupby(GROUP)}
    # A method has one colour in all pictures, unless there are so many that the few in colour would share theirs.
    look = {key: looked if len(shown[key]) == len(part) else looks(shown[key]) for key, part in board.groupby(GROUP)}
    if board["delta_m"].notna().any():
        yield partial(picture, folder, "leaderboard", leaderboard, board, looked)
    for key, own in curves[curves["split"] == "validation"].groupby(GROUP, sort=True):
        name = f"curves-{Arena.of(key).slug}"
        yield partial(picture, folder, name, learning_curves, own, metric[key], look[key], shown[key])
    for key, own in audits.groupby(GROUP, sort=True):
        yield partial(picture, folder, f"conflict-{Arena.of(key).slug}", conflict, own, look[key], shown[key])


def leading(labels: Iterable[str], many: int = MANY, shown: int = LEADING) -> list[str]:
    """All of a few methods; of more than ``many`` the references and the best, ``labels`` being best first."""
    references_first = sorted(labels, key=lambda label: (label != SINGLE_TASK, label != EQUAL))
    return references_first if len(references_first) <= many else references_first[:shown]


def leaderboard(board: pd.DataFrame, look: dict[str, Look]) -> Figure:
    """Delta-m with its interval, one panel per arena, best on top; the dashed line is equal weighting."""
    groups = [(key, part.dropna(subset="delta_m")) for key, part in board.groupby(GROUP, sort=True)]
    groups = [(key, part) for key, part in groups if not part.empty]
    tallest = min(ROWS, max(len(part) for _, part in groups))
    figure, axes = grid(len(groups), 2, 4.9, 1.25 + 0.27 * tallest)
    for ax, (key, best_first) in zip(axes, groups, strict=True):
        selected = best_first["label"].isin(leading(best_first["label"], ROWS, ROWS))
        part = best_first[selected].iloc[::-1].reset_index(drop=True)
        ax.axvline(0, color=MUTED, linewidth=1)
        equal = part[part["label"] == EQUAL]["delta_m"]
        if not equal.empty:
            ax.axvline(equal.iloc[0], color=INK, linewidth=1, linestyle=(0, (4, 2)))
        colours = pd.Series([look[label].colour for label in part["label"]])
        half = part["delta_m_half_width"].fillna(0)
        ax.hlines(part.index, part["delta_m"] - half, part["delta_m"] + half, colors=list(colours), linewidth=1.8)
        whole = part["done"] == part["runs"]
        for ended, marker in ((whole, "o"), (~whole, "X")):
            ax.scatter(part["delta_m"][ended], part.index[ended], c=list(colours[ended]), marker=marker, s=32, zorder=3)
        names = [f"{n} ({d}/{r} runs)" if d < r else n for n, d, r in part[["label", "done", "runs"]].to_numpy()]
        ax.set_yticks(range(len(part)), names)
        ax.set_ylim(-0.7, tallest - 0.3)
        ax.grid(axis="y", visible=False)
        title = Arena.of(key).title + ("" if selected.all() else f" ({len(part)} of {len(best_first)} methods)")
        ax.set_title(title, y=ON_TOP)
        _spread(ax, part)
    return figure


def learning_curves(curves: pd.DataFrame, described: pd.DataFrame, look: dict[str, Look], shown: list[str]) -> Figure:
    """The main validation metric of the tasks over epochs: mean over seeds and its 95 % t band.

    Of many tasks :data:`~mtlbench.report.tables.MANY_TASKS` have a panel, spread evenly over all of them.
    Each epoch's mean is over the runs that reached it. The methods that are not in ``shown`` are grey lines.
    """
    described = described.iloc[np.unique(np.linspace(0, len(described) - 1, MANY_TASKS).round().astype(int))]
    figure, axes = grid(len(described), 3, 3.5 if len(described) > 2 else 4.8, 2.7)
    others = sorted(set(curves["label"]) - set(shown))
    for ax, task in zip(axes, described.itertuples(index=False), strict=True):
        own = curves[(curves["task"] == task.task) & (curves["metric"] == task.metric)]
        _background(ax, own[own["label"].isin(others)], "epoch", "value")
        for label in shown:
            _band(ax, own[own["label"] == label], "epoch", "value", look[label])
        better = "higher is better" if task.higher_is_better else "lower is better"
        ax.set_title(task.task)
        ax.set_ylabel(f"{task.metric}{f' [{task.unit}]' if task.unit else ''}\n({better})")
        ax.set_xlabel("epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        _range(ax, own["value"])
    legend(figure, shown, look, len(others))
    return figure


def conflict(audits: pd.DataFrame, look: dict[str, Look], shown: list[str]) -> Figure:
    """Conflict between tasks over training beside the noise floor, one panel per method of ``shown``.

    Both are shares of pairs of gradients on two halves of a batch with a negative product: between tasks, and
    between the two halves of the same task. What lies between the curves is conflict; the rest is noise. Where
    not every method has a panel, thin grey lines are the conflict of all of them.
    """
    y = ["cross_half_conflict", "same_task_conflict"]
    per_epoch = audits.groupby(["label", "seed", "epoch"])[y].mean().reset_index()
    labels = [label for label in shown if label in set(per_epoch["label"])]
    crowd = per_epoch if per_epoch["label"].nunique() > len(labels) else per_epoch[:0]
    figure, axes = grid(len(labels), 4, 2.7, 2.1, shared=True)
    noise = Look(MUTED, (0, (2, 1.5)), "", 1.3)
    for index, (ax, label) in enumerate(zip(axes, labels, strict=True)):
        own = per_epoch[per_epoch["label"] == label]
        _background(ax, crowd, "epoch", "cross_half_conflict")
        _band(ax, own, "epoch", "same_task_conflict", noise)
        _band(ax, own, "epoch", "cross_half_conflict", look[label]._replace(dashes="-"))
        ax.set_title(label, fontsize=9.5, y=ON_TOP)
        ax.set_ylim(-0.03, 1.03)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        ax.set_ylabel("share in conflict" if index % 4 == 0 else "")
        ax.set_xlabel("epoch" if index + 4 >= len(labels) else "")
    handles = [
        Line2D([], [], color=INK, linewidth=1.8, label="between tasks"),
        Line2D([], [], color=MUTED, linewidth=1.3, linestyle=noise.dashes, label="same task (noise floor)"),
    ]
    if not crowd.empty:
        handles.append(Line2D([], [], **OTHERS, label=f"between tasks, all {crowd['label'].nunique()} methods"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _background(ax: Axes, frame: pd.DataFrame, x: str, y: str) -> None:
    """The mean over seeds of every method in ``frame`` as thin grey lines, behind everything."""
    means = frame.groupby(["label", x], as_index=False)[y].mean()
    # One line with gaps: a picture of one path instead of one for every method.
    gaps = means.drop_duplicates("label").assign(**{x: np.inf, y: np.nan})
    line = pd.concat([means, gaps]).sort_values(["label", x])
    ax.plot(line[x].where(line[y].notna()), line[y], **OTHERS, zorder=1)


def _band(ax: Axes, frame: pd.DataFrame, x: str, y: str, look: Look) -> None:
    """The mean of ``y`` over seeds at each ``x``, and its interval where there are two seeds or more."""
    if frame.empty:
        return
    per_x = frame.groupby(x)[y].agg(["mean", "sem", "count"])
    every = max(1, len(per_x) // 6)
    ax.plot(
        per_x.index,
        per_x["mean"],
        color=look.colour,
        linestyle=look.dashes,
        marker=look.marker,
        markersize=3.6,
        markevery=every,
        linewidth=look.width,
    )
    half = stats.t.ppf((1 + CONFIDENCE) / 2, np.maximum(per_x["count"] - 1, 1)) * per_x["sem"]
    if half.notna().any():
        ax.fill_between(per_x.index, per_x["mean"] - half, per_x["mean"] + half, color=look.colour, alpha=0.13, lw=0)


def legend(figure: Figure, labels: list[str], look: dict[str, Look], others: int = 0) -> None:
    """One entry per method below the panels, and one for all ``others`` together."""
    handles = [
        Line2D(
            [],
            [],
            color=look[label].colour,
            linestyle=look[label].dashes,
            marker=look[label].marker,
            markersize=4,
            linewidth=look[label].width,
            label=label if not label.startswith("_") else f" {label}",  # matplotlib hides a leading underscore
        )
        for label in labels
    ]
    if others:
        handles.append(Line2D([], [], **OTHERS, label=plural(others, "other method")))
    width, height = figure.get_size_inches()
    longest = max(len(label) for label in labels)
    columns = max(1, min(len(handles), int(width / (0.085 * longest + 0.75))))
    # The legend gets room of its own below the panels, however many methods there are.
    figure.set_size_inches(width, height + 0.2 * -(-len(handles) // columns))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, handlelength=3.2)


def _spread(ax: Axes, part: pd.DataFrame) -> None:
    """Linear where the values allow it; where one method is far out, an axis that still shows the others."""
    label = "Δm [%], lower is better"
    ax.margins(x=0.07)
    size = part["delta_m"].abs()
    near = size[size > 0].median()
    if size.max() > 40 * near:
        linear = 10.0 ** np.ceil(np.log10(near))
        powers = linear * 10.0 ** np.arange(np.ceil(np.log10(size.max() / linear)) + 1)
        ticks = np.concatenate((-powers[::-1], [0], powers))
        low, high = part["delta_m"].min(), part["delta_m"].max()
        ax.set_xscale("symlog", linthresh=linear, linscale=2)
        ax.set_xticks(ticks[(ticks >= min(low, -linear)) & (ticks <= max(high, linear))])
        ax.xaxis.set_major_formatter(plain)
        ax.xaxis.set_minor_locator(NullLocator())
        label += f"\n(logarithmic beyond ±{linear:g})"
    ax.set_xlabel(label)


def _range(ax: Axes, values: pd.Series) -> None:
    """Room for every run's values; the bands of two or three seeds are wide and may leave the picture."""
    low, high = values.min(), values.max()
    if low > 0 and high > 20 * low:
        ax.set_yscale("log")
        ax.set_ylim(low / 1.2, high * 1.2)
        ax.yaxis.set_major_formatter(plain)
        ax.yaxis.set_minor_formatter(NullFormatter())
    elif high > low:
        ax.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
