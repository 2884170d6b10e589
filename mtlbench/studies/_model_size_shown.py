"""The picture and the sentences of the study ``model_size``, from the rows of its table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtlbench.report.format import NOTHING, listing, number, plural, with_interval
from mtlbench.report.style import COLOURS, DASHES, MUTED, grid, plain

KINDS = ("trunk", "heads")
COLOUR = dict(zip(("train", "test"), COLOURS, strict=False))


def draw(points: pd.DataFrame) -> Figure:
    """For every dataset: the hypervolumes against the size of the trunk and of the heads, conflict, and auxiliaries."""
    groups = list(points.groupby("dataset"))
    figure, axes = grid(4 * len(groups), 2, 4.8, 3.0)
    for row, (dataset, part) in enumerate(groups):
        own = axes[4 * row : 4 * row + 4]
        for ax, kind in zip(own, KINDS, strict=False):
            for index, (_, sweep) in enumerate(_of(part, kind).groupby("sweep")):
                for split, colour in COLOUR.items():
                    label = None if index else f"{split} hypervolume"
                    _band(ax, sweep, f"{split}_hypervolume", label, colour, DASHES[index % 4])
            ax.set_title(f"{dataset}: {kind}")
            ax.set_ylabel("hypervolume [%]")
            _within(ax)
        for kind, colour in zip(KINDS, COLOURS[2:], strict=False):
            for index, (_, sweep) in enumerate(_of(part, kind).groupby("sweep")):
                label = None if index else f"conflict, {kind} varied"
                _band(own[2], sweep, "conflict", label, colour, DASHES[index % 4])
                own[2].plot(sweep["size"], sweep["noise_floor"], color=MUTED, linewidth=1)
        own[2].set_title(f"{dataset}: conflict; grey: noise floor")
        own[2].set_ylabel("conflicting pairs [%]")
        _within(own[2])
        _auxiliaries(own[3], _of(part, "auxiliary"))
        own[3].set_title(f"{dataset}: auxiliary heads")
    handles: dict[str, Any] = {}
    for ax in axes[:3]:
        handles |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4)
    return figure


def _of(part: pd.DataFrame, kind: str) -> pd.DataFrame:
    """The sweeps that vary the ``kind``."""
    return part[part["sweep"].str.startswith(kind)]


def _band(ax: Axes, sweep: pd.DataFrame, column: str, label: str | None, colour: str, dashes: Any) -> None:
    sweep = sweep.sort_values("size")
    half = sweep[f"{column}_half_width"].fillna(0)
    ax.plot(sweep["size"], sweep[column], color=colour, linestyle=dashes, marker="o", markersize=4, label=label)
    ax.fill_between(sweep["size"], sweep[column] - half, sweep[column] + half, color=colour, alpha=0.15, linewidth=0)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(plain)
    ax.xaxis.set_minor_formatter("")
    ax.set_xlabel("parameters of the part that is varied")


def _within(ax: Axes) -> None:
    """A share lies between 0 and 100 %, whatever the interval of few seeds says."""
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, -2), min(high, 102))


def _auxiliaries(ax: Axes, part: pd.DataFrame) -> None:
    if part.empty:
        ax.set_visible(False)
        return
    ax.axvline(0, color=MUTED, linewidth=1)
    for shift, (split, colour) in zip((-0.12, 0.12), COLOUR.items(), strict=True):
        half = part[f"{split}_difference_half_width"].fillna(0)
        places = [place + shift for place in range(len(part))]
        ax.errorbar(part[f"{split}_difference"], places, xerr=half, fmt="o", markersize=4, color=colour, capsize=2)
    names = part["model"].str.replace("small_towers", "", regex=False).str.strip("()")
    ax.set_yticks(range(len(part)), ["small heads" if not name else name.replace(", ", "\n") for name in names])
    ax.set_ylim(len(part) - 0.5, -0.5)
    ax.set_xlabel("change of hypervolume [points]")


def findings(table: pd.DataFrame) -> list[str]:
    """For every sweep who is told apart from the largest, in training and on test; of every auxiliary what it moves."""
    said = []
    for (dataset, sweep), part in table.groupby(["dataset", "sweep"], sort=False):
        place = f"{dataset}, {sweep}"
        if str(sweep).startswith("auxiliary"):
            said += [_moved(place, row) for row in part.to_dict("records")]
        else:
            said += _swept(place, part.sort_values("size"))
    return said or ["No two models of the benchmark differ in their trunk or their heads alone."]


def _swept(place: str, part: pd.DataFrame) -> Iterator[str]:
    first, last = part.iloc[0], part.iloc[-1]
    if part["test_difference_half_width"].isna().all():
        yield f"{place}: nothing can be told apart: intervals need two seeds under which every weighting ended."
        return
    train, test = (_told(part, split) for split in ("train", "test"))
    best = part.loc[part["test_hypervolume"].idxmax()]
    yield (
        f"{place}: of {plural(len(part) - 1, 'model')} smaller than the largest, which has {last['size']:,} parameters "
        f"there, in training {_named(train[0], 'below')} and {_named(train[1], 'above')} it beyond the 95 % interval, "
        f"on test {_named(test[0], 'below')} and {_named(test[1], 'above')}."
    )
    errors = [number(row[f"{split}_error"], 2) for split in COLOUR for row in (first, last)]
    yield (
        f"{place}: from the smallest to the largest the error of equal weighting goes from {errors[0]} to {errors[1]} "
        f"in training and from {errors[2]} to {errors[3]} on test, its share of conflicts from {_conflict(first)} to "
        f"{_conflict(last)}; the hypervolume on test is largest at {best['model']}."
    )


def _told(part: pd.DataFrame, split: str) -> tuple[list[str], list[str]]:
    """The models whose hypervolume lies below, and above, that of the largest beyond the interval of the difference."""
    gap, half = part[f"{split}_difference"], part[f"{split}_difference_half_width"]
    return list(part["model"][gap + half < 0]), list(part["model"][gap - half > 0])


def _named(models: list[str], where: str) -> str:
    verb = "is" if len(models) == 1 else "are"
    return f"{len(models)} ({listing(models)}) {verb} {where}" if models else f"none is {where}"


def _conflict(row: pd.Series) -> str:
    floor = number(row["noise_floor"], 2)
    return f"{with_interval(row['conflict'], row['conflict_half_width'])} % (noise floor {floor} %)"


def _moved(place: str, row: dict[str, Any]) -> str:
    moves = {
        split: with_interval(row[f"{split}_difference"], row[f"{split}_difference_half_width"]) for split in COLOUR
    }
    if NOTHING in moves.values():
        return f"{place}: {row['model']} has no base to be compared with: list it among the architectures too."
    return (
        f"{place}: {row['model']} moves the hypervolume on test by {moves['test']} points, in training by "
        f"{moves['train']}."
    )
