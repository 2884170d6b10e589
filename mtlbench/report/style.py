"""One look for every picture: colours that colour-blind readers tell apart, files that repeat to the byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtlbench.analysis.leaderboard import EQUAL, SINGLE_TASK
from mtlbench.files import write_atomically
from mtlbench.pictures import encoded

# The page swaps these three for the reader's own colours, so that pictures follow dark mode.
INK, GRID, PAPER = "#1b1f24", "#d4d9df", "#fefefe"
MUTED = "#78828d"
# Okabe and Ito's palette without its black and yellow, which are ink and illegible here.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
MARKERS = "osD^vPX*<>"
ON_TOP = 1.0
"""Where titles stand that nothing can be in the way of; else matplotlib looks for it each time it draws."""
FORMATS: dict[str, dict[str, str | None]] = {
    "svg": {"Date": None, "Creator": "mtlbench"},
    "png": {},
    "pdf": {"CreationDate": None, "Creator": "mtlbench"},
}
"""The files of every picture, with metadata that are the same on every day."""


class Look(NamedTuple):
    """How one method is drawn in every picture of a benchmark."""

    colour: str
    dashes: Any
    marker: str
    width: float


def looks(labels: Iterable[str]) -> dict[str, Look]:
    """A look for every method: colour, dashes and marker together differ for the first 120 methods.

    The references keep theirs everywhere: equal weighting is ink, single-task networks grey and dashed.
    """
    fixed = {EQUAL: Look(INK, "-", "o", 2.0), SINGLE_TASK: Look(MUTED, (0, (3, 2)), "s", 1.6)}
    found = {}
    for index, label in enumerate(sorted(set(labels) - set(fixed))):
        row = index // len(COLOURS)
        found[label] = Look(
            COLOURS[index % len(COLOURS)],
            DASHES[row % len(DASHES)],
            MARKERS[(index + row) % len(MARKERS)],
            1.5,
        )
    return found | fixed


@contextmanager
def canvas(mathematics: bool = False) -> Iterator[None]:
    """The settings every picture is drawn under; matplotlib's global state is left as it was.

    Without ``mathematics`` a method named "$x$" is a name, and logarithmic axes need :func:`plain`.
    """
    settings: Any = {
        "svg.hashsalt": "mtlbench",
        "svg.fonttype": "none",  # text stays text: it can be searched, read aloud and takes the page's colour
        "pdf.fonttype": 42,  # likewise; publishers refuse matplotlib's default, Type 3
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 9.5,
        "text.parse_math": mathematics,
        "text.color": INK,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.titlesize": 10.5,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.facecolor": PAPER,
        "figure.facecolor": PAPER,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "xtick.color": INK,
        "ytick.color": INK,
        "legend.frameon": False,
    }
    with mpl.rc_context(settings):
        yield


def picture(folder: Path, name: str, figure: Callable[..., Figure], *given: Any) -> None:
    """Draw the picture ``name`` that ``figure(*given)`` returns, and :func:`save` it into ``folder``."""
    with canvas():
        save(figure(*given), folder, name)


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write ``name.svg``, ``name.png`` and ``name.pdf`` into ``folder``: same picture, same bytes, no date."""
    _settle(figure)
    for kind, metadata in FORMATS.items():
        write_atomically(folder / f"{name}.{kind}", encoded(figure, kind, 160, metadata))


def _settle(figure: Figure) -> None:
    """Find the layout once for all files; it takes most of the time."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            place = axis.label.get_transform() - ax.transAxes
            axis.set_label_coords(*place.transform(axis.label.get_position()))


def grid(panels: int, columns: int, width: float, height: float, shared: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure of ``panels`` axes of ``width`` x ``height`` inches in rows of ``columns``.

    ``shared``: all have the same axes, whose ticks are labelled only where no panel lies between them and the edge.
    """
    columns = min(columns, panels)
    rows = -(-panels // columns)
    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=shared, sharey=shared).ravel()
    for spare in axes[panels:]:
        spare.set_visible(False)
    if shared:
        for index, ax in enumerate(axes[:panels]):
            ax.tick_params(labelleft=index % columns == 0, labelbottom=index + columns >= panels)
    return figure, list(axes[:panels])


def plain(value: float, _position: float) -> str:
    """A tick label without mathematics markup: ``0.01``, ``1e+04``."""
    return f"{value:g}".replace("-", "−")
