"""The atlas of equivalences as a picture: who is whom under another name."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtlbench import atlas
from mtlbench.report import style
from mtlbench.report.parallel import Job
from mtlbench.report.style import COLOURS, DASHES, INK

LOOKS = {
    "same update": (COLOURS[0], DASHES[0]),
    "same direction": (COLOURS[1], DASHES[0]),
    "limit": (COLOURS[2], DASHES[1]),
    "same fixed point": (COLOURS[3], DASHES[2]),
}
LEFT, RIGHT, ROW = 0.0, 1.0, 0.3


def picture(folder: Path) -> Job:
    """What draws the atlas into ``folder``."""
    return partial(style.picture, folder, "atlas", draw)


def draw() -> Figure:
    """The edges as lines from one method on the left to the other, which they may share, on the right."""
    hubs = sorted({edge.other.label for edge in atlas.EDGES})
    edges = sorted(atlas.EDGES, key=lambda edge: (hubs.index(edge.other.label), edge.one.label))
    height = {hub: _middle([row for row, edge in enumerate(edges) if edge.other.label == hub]) for hub in hubs}
    figure = Figure(figsize=(7.6, ROW * len(edges) + 0.8), layout="constrained")
    ax = figure.subplots()
    ax.set_axis_off()
    for row, edge in enumerate(edges):
        colour, dashes = LOOKS[edge.relation]
        ends = (-row, -height[edge.other.label])
        ax.plot((LEFT, RIGHT), ends, color=colour, linestyle=dashes, linewidth=1.6, marker="o", markersize=3.5)
        ax.annotate(edge.one.label, (LEFT, -row), xytext=(-7, 0), textcoords="offset points", ha="right", va="center")
        if edge.tasks is not None:
            at = (LEFT + 0.3, ends[0] + 0.3 * (ends[1] - ends[0]))
            box = {"boxstyle": "round,pad=0.15", "facecolor": ax.get_facecolor(), "edgecolor": "none"}
            ax.annotate(f"K = {edge.tasks}", at, ha="center", va="center", fontsize=7.5, color=INK, bbox=box)
    for hub in hubs:
        ax.annotate(
            hub, (RIGHT, -height[hub]), xytext=(7, 0), textcoords="offset points", ha="left", va="center", weight="bold"
        )
    ax.set_xlim(-0.85, 1.75)
    ax.set_ylim(-len(edges) + 0.4, 0.6)
    used = {edge.relation for edge in edges}
    handles = [
        Line2D([], [], color=colour, linestyle=dashes, label=relation)
        for relation, (colour, dashes) in LOOKS.items()
        if relation in used
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _middle(rows: list[int]) -> float:
    return sum(rows) / len(rows)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("mtlbench: name the folder of the picture: python -m mtlbench.report.atlas docs/images")
    picture(Path(sys.argv[1]))()
