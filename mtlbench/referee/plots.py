"""Convergence plots from the traces: duality gap and f − f* against iteration, gap against time.

Everything is relative to min_i G_ii and drawn in logarithms; dashed lines are the theory's bounds on f − f*.
The plots against iteration come out byte by byte the same from the same traces.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mtlbench.errors import InputError
from mtlbench.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

FLOOR = 1e-16
"""Values below are drawn here: an exact zero has no logarithm."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31", "#7F7F7F")
STYLES = ("-", "-.", ":")
"""The next style once the colours are used up; dashed lines are bounds."""
SIZE = 10
"""The plots show the largest size up to this one: what a multi-task network has."""


def write(solvers: Path, out: Path) -> list[Path]:
    """Draw the traces in the folder ``solvers`` to ``out`` as svg, png and pdf; returns the files written."""
    import pandas as pd

    frames = []
    for name in ("traces.csv", "traces.time.csv"):
        try:
            frames.append(pd.read_csv(solvers / name))
        except FileNotFoundError:
            raise InputError(f"{solvers / name} does not exist: run the validation first") from None
    traces = frames[0].merge(frames[1], how="left", on=["family", "size", "algorithm", "iteration"])
    drawn = {
        "solvers_gap": figure(traces, "iteration", "relative_gap"),
        "solvers_bound": figure(traces, "iteration", "objective_error"),
        "solvers_time": figure(traces, "seconds", "relative_gap"),
    }
    return [path for name, drawing in drawn.items() for path in save(drawing, out / name)]


LABELS = {
    "iteration": "iteration",
    "seconds": "seconds",
    "relative_gap": "duality gap / min $G_{ii}$",
    "objective_error": "$f - f^*$ / min $G_{ii}$  (dashed: theory bound)",
}


def figure(traces: pd.DataFrame, x: str, y: str) -> Figure:
    """One panel per family: column ``y`` of every algorithm against ``x``; bounds where ``y`` is f − f*."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    families = list(dict.fromkeys(traces["family"]))
    algorithms = list(dict.fromkeys(traces["algorithm"]))
    columns = min(4, max(1, len(families)))
    rows = max(1, math.ceil(len(families) / columns))
    width = 3.2 * columns + 0.8
    legend_height = 0.22 * legend_rows(algorithms, width)
    height = 2.6 * rows + 0.8 + legend_height
    drawing = Figure(figsize=(width, height))
    # Placed by hand: an automatic layout draws every figure several times.
    drawing.subplots_adjust(
        left=0.75 / width,
        right=1 - 0.1 / width,
        bottom=0.55 / height,
        top=1 - (0.5 + legend_height) / height,
        wspace=0.08,
        hspace=0.35,
    )
    axes = drawing.subplots(rows, columns, squeeze=False, sharey=True)
    highest = 1.0
    for panel, family in zip(axes.flat, families, strict=False):
        own = traces[traces["family"] == family]
        size = shown_size(own["size"])
        own = own[own["size"] == size]
        panel.set_title(f"{family}, K = {size}", fontsize=9, y=1.0)
        highest = max(highest, float(own[[y, *(["bound"] if y == "objective_error" else [])]].max(axis=None)))
        _panel(panel, own, algorithms, x, y)
    for panel in axes.flat[len(families) :]:
        panel.set_axis_off()
    axes[0, 0].set_ylim(FLOOR / 3, 3 * highest)
    drawing.supxlabel(LABELS[x], fontsize=10, y=0.1 / height)
    drawing.supylabel(LABELS[y], fontsize=10, x=0.1 / width)
    legend(drawing, [Line2D([], [], label=name, **look) for name, look in looks(algorithms).items()], width)
    return drawing


def looks(names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour and line style of each name; no two of the first 27 look alike."""
    return {
        name: {"color": COLOURS[i % len(COLOURS)], "linestyle": STYLES[i // len(COLOURS) % len(STYLES)]}
        for i, name in enumerate(names)
    }


def legend_rows(names: Sequence[str], width: float) -> int:
    """How many rows the legend of ``names`` takes in a figure of ``width`` inches."""
    return math.ceil(len(names) / _legend_columns(names, width))


def legend(drawing: Figure, handles: Sequence[Line2D], width: float) -> None:
    """The legend above the panels, broken into as many rows as the ``width`` asks for."""
    columns = _legend_columns([str(handle.get_label()) for handle in handles], width)
    drawing.legend(handles=handles, loc="upper center", ncols=columns, fontsize=9, frameon=False)


def _legend_columns(names: Sequence[str], width: float) -> int:
    # At 9 points a letter is some 0.075 inches wide, the line before it and the gap after it 0.6.
    widest = max((len(name) for name in names), default=0)
    return max(1, min(len(names), int(width / (0.075 * widest + 0.6))))


def shown_size(sizes: Sequence[int] | pd.Series) -> int:
    """The largest size up to ``SIZE``, else the smallest there is."""
    values = sorted({int(size) for size in sizes})
    return max((size for size in values if size <= SIZE), default=values[0])


def _panel(panel: Axes, traces: pd.DataFrame, algorithms: list[str], x: str, y: str) -> None:
    panel.tick_params(labelsize=8, which="both")
    if not (traces["iteration"] > 0).any():
        panel.set_xticks([])
        panel.text(0.5, 0.5, "solved before the first iteration", ha="center", fontsize=8, transform=panel.transAxes)
        return
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.minorticks_off()
    # Plain text: formulas as tick labels take longer to set than everything else takes to draw.
    panel.xaxis.set_major_formatter(_power)
    panel.yaxis.set_major_formatter(_power)
    panel.grid(True, alpha=0.25, linewidth=0.5)
    for name, look in looks(algorithms).items():
        own = traces[(traces["algorithm"] == name) & (traces[x] > 0)]
        # A solver that is done after one step, or shows only its end, is a point and no line.
        marker = "o" if len(own) == 1 else ""
        panel.plot(own[x], np.maximum(own[y], FLOOR), linewidth=1.4, marker=marker, markersize=4, **look)
        if y == "objective_error":
            panel.plot(own[x], np.maximum(own["bound"], FLOOR), color=look["color"], linewidth=0.9, linestyle="--")


def _power(value: float, _: float) -> str:
    """1000 as 1e3."""
    mantissa, exponent = f"{value:.0e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def save(drawing: Figure, stem: Path) -> list[Path]:
    """Write ``stem`` as svg, png and pdf, without dates or random identifiers."""
    import matplotlib

    from mtlbench.pictures import encoded

    written = []
    with matplotlib.rc_context({"svg.hashsalt": "mtlbench"}):
        for kind, metadata in (("svg", {"Date": None}), ("png", {}), ("pdf", {"CreationDate": None})):
            path = stem.with_name(f"{stem.name}.{kind}")
            write_atomically(path, encoded(drawing, kind, 120, metadata))
            written.append(path)
    return written
