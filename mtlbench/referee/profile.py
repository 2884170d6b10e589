"""How solvers compare over many problems: performance profiles and shifted geometric means of what they cost.

A cost is a time or a number of iterations; solvers that did not solve a problem have none there (NaN).

    ratio r_ps = cost of solver s on problem p / the least cost on p,       infinite where s did not solve p
    profile ρ_s(τ) = the share of all problems with r_ps <= τ               (E. Dolan & J. Moré, arXiv cs/0102001)
    shifted geometric mean = exp(mean_p log(c_ps + shift)) − shift          over the problems that anybody solved

ρ_s(1) is the share of problems on which s is the fastest, ρ_s(∞) that which it solves at all. In the mean a problem
that s did not solve counts as :data:`CHARGE` times the largest cost of those who did.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mtlbench.referee import plots
from mtlbench.referee.families import Array
from mtlbench.referee.scores import SOLVED, to
from mtlbench.solvers.algorithm import LEVELS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

CHARGE = 10.0
SHIFT_US, SHIFT_ITERATIONS = 10.0, 10.0
"""The shifts: costs far below them do not matter, so that the mean is not ruled by the easiest problems."""


def curve(costs: pd.DataFrame, solver: str) -> tuple[Array, Array]:
    """The steps of ρ of one solver: τ in rising order, and the share from there on. ``costs``: problems × solvers."""
    ratios = np.sort((costs[solver] / costs.min(axis=1)).dropna().to_numpy(dtype=np.float64))
    return ratios, np.arange(1, len(ratios) + 1) / len(costs)


def shifted_mean(costs: pd.DataFrame, shift: float) -> pd.Series:
    """The shifted geometric mean of each column of ``costs``; NaN where nobody solved any problem."""
    solved = costs.dropna(how="all")
    charged = solved.apply(lambda column: column.fillna(CHARGE * solved.max(axis=1)))
    return np.exp(np.log(charged + shift).mean()) - shift


def times(found: pd.DataFrame) -> pd.DataFrame:
    """Microseconds of the solvers (columns) on the problems (rows) of a validation, of those solved to 1e-9."""
    return _costs(found.assign(cost=(1e6 * found["seconds"]).where(found["gap"] <= SOLVED)))


def means(found: pd.DataFrame) -> pd.DataFrame:
    """One row per solver of a validation: the share solved, and the means of microseconds and of iterations.

    Iterations to a gap are known of the project's own algorithms only, and compared among them.
    """
    costs = times(found)
    table = costs.notna().mean().rename("solved_1e-9").to_frame()
    table["time_us"] = shifted_mean(costs, SHIFT_US)
    counted = found.groupby("solver")[to(max(LEVELS))].transform("count") > 0
    for level in LEVELS:
        steps = _costs(found[counted].assign(cost=found[to(level)]))
        table[f"iterations_{to(level)}"] = shifted_mean(steps, SHIFT_ITERATIONS)
    return table


def text(found: pd.DataFrame) -> str:
    """:func:`means` as it is printed, with the shifts."""
    table = means(found)
    charge = f"an unsolved problem counts {CHARGE:g} times the largest of those who solved it"
    shifts = f"shifts {SHIFT_US:g} µs and {SHIFT_ITERATIONS:g} iterations"
    # None, unlike NaN, is printed as nothing.
    table = table.astype(object).where(table.notna(), None).rename_axis("solver")
    rows = table.to_markdown(tablefmt="simple", floatfmt=("", ".3f", *[".1f"] * 4), missingval="")
    return f"shifted geometric means ({shifts}; {charge}):\n\n{rows}"


def _costs(found: pd.DataFrame) -> pd.DataFrame:
    """Column ``cost`` with the problems as rows and the solvers as columns, both in the order of ``found``."""
    wide = found.set_index(["family", "size", "problem", "solver"])["cost"].unstack("solver")
    return wide[list(dict.fromkeys(found["solver"]))]


def figure(panels: dict[str, pd.DataFrame]) -> Figure:
    """One panel per title: ρ of every solver against τ, from its costs. Solvers keep their look in all panels."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    solvers = list(dict.fromkeys(solver for costs in panels.values() for solver in costs))
    looks = plots.looks(solvers)
    width = max(6.4, 4.6 * len(panels))
    rows = plots.legend_rows(solvers, width)
    height = 3.6 + 0.22 * rows
    drawing = Figure(figsize=(width, height))
    drawing.subplots_adjust(
        left=0.7 / width,
        right=1 - 0.15 / width,
        bottom=0.6 / height,
        top=1 - (0.45 + 0.22 * rows) / height,
        wspace=0.12,
    )
    axes = drawing.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for panel, (title, costs) in zip(axes, panels.items(), strict=True):
        panel.set_title(title, fontsize=9)
        panel.set_xscale("log")
        panel.minorticks_off()
        panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        panel.grid(True, alpha=0.25, linewidth=0.5)
        steps = {solver: curve(costs, solver) for solver in costs}
        end = 1.2 * max([2.0, *(ratios[-1] for ratios, _ in steps.values() if len(ratios))])
        for solver, (ratios, shares) in steps.items():
            # From ρ(1), which may be 0, to the end of the axis: a curve ends where all that can be solved is.
            x, y = np.array([1.0, *ratios, end]), np.array([0.0, *shares, shares[-1] if len(shares) else 0.0])
            panel.step(x, y, where="post", linewidth=1.4, **looks[solver])
        panel.set_xlim(1.0, end)
    axes[0].set_ylim(-0.02, 1.02)
    drawing.supxlabel("τ: time / least time of any solver", fontsize=10, y=0.1 / height)
    drawing.supylabel("share of problems solved within τ", fontsize=10, x=0.1 / width)
    plots.legend(drawing, [Line2D([], [], label=name, **looks[name]) for name in solvers], width)
    return drawing


def write(panels: dict[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Draw ``profile.svg`` and ``profile.png`` in ``folder``; returns the two paths."""
    return plots.save(figure(panels), folder / "profile")
