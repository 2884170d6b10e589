"""Does it matter how well the inner problem is solved? MGDA with every iterative solver at several budgets.

The runs differ in the solver of ``mgda`` and in its ``max_iterations`` alone; ``exact`` is what the others are compared
with, seed by seed. The gap that the recorded weights reached stands against the final metrics and against how often the
update conflicts with some task: u conflicts with none exactly if gap <= ‖u‖², so the conflicts must go with the gap;
whether Δm does is the question.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from scipy import stats

from mtlbench.analysis import differences, leaderboard, load
from mtlbench.analysis.load import Run
from mtlbench.analysis.statistics import Interval
from mtlbench.arena import GROUP, Arena
from mtlbench.report.format import fixed, listing, number
from mtlbench.report.style import INK, MUTED, Look, grid, looks, plain
from mtlbench.solvers import min_norm
from mtlbench.studies.study import Study

FLOOR = 1e-17
"""Where a gap of 0 is drawn on a logarithmic axis."""


def measure(records: list[Run]) -> pd.DataFrame:
    """One row per dataset, solver and budget, of the runs of ``mgda``."""
    runs = [run for run in records if run.method == "mgda"]
    if not runs:
        return pd.DataFrame(columns=["dataset", *COLUMNS])
    everything = load.table(records)
    board = leaderboard(everything).set_index([*GROUP, "label"])
    gaps = load.audits(runs).groupby([*GROUP, "label"])["relative_gap"].agg(["median", "max"])
    options = {(*Arena(*(run.keys[name] for name in GROUP)), run.label): run.options for run in runs}
    against = {}
    for key, part in everything.groupby(GROUP):
        assert isinstance(key, tuple)
        exact = [
            label for (*group, label), chosen in options.items() if (*group,) == key and chosen["solver"] == "exact"
        ]
        against[key] = differences(part, exact[0]) | {exact[0]: Interval(0.0, float("nan"), 0)} if exact else {}
    rows = []
    for (*group, label), chosen in sorted(options.items()):
        place, change = (*group, label), against[(*group,)].get(label, Interval(float("nan"), float("nan"), 0))
        found = board.loc[place]
        iterative = min_norm.algorithm(chosen["solver"]).iterative
        rows.append(
            {
                "dataset": place[0],
                "solver": chosen["solver"],
                "budget": chosen["max_iterations"] if iterative else None,
                "delta_m": found["delta_m"],
                "delta_m_half_width": found["delta_m_half_width"],
                "against_exact": change.mean,
                "against_exact_half_width": change.half_width,
                "update_conflicts": 100 * found["update_conflict_rate"],
                "predicted_rises": 100 * found["predicted_rise_rate"],
                "median_gap": gaps["median"].get(place),
                "worst_gap": gaps["max"].get(place),
                "outside_tolerance": 100 * found["inner_solves_outside"] / found["inner_solves"],
                "broken": int(found["runs"] - found["done"]),
            }
        )
    return pd.DataFrame(rows).sort_values(["dataset", "solver", "budget"]).reset_index(drop=True)


def draw(points: pd.DataFrame) -> Figure:
    """Δm less that of ``exact``, and the share of conflicting updates, against the median gap; a line per solver."""
    look = looks(set(points["solver"]) - {"exact"}) | {"exact": Look(INK, "", "*", 0.0)}
    groups = list(points.groupby("dataset"))
    figure, axes = grid(2 * len(groups), 2, 4.6, 3.2)
    for row, (dataset, part) in enumerate(groups):
        left, right = axes[2 * row : 2 * row + 2]
        left.axhline(0, color=MUTED, linewidth=1)
        for solver, own in part.groupby("solver"):
            _line(left, own, "against_exact", look[str(solver)])
            _line(right, own, "update_conflicts", look[str(solver)])
        left.set_ylabel("Δm − Δm of exact [points]")
        right.set_ylabel("updates in conflict [%]")
        for ax in (left, right):
            ax.set_title(str(dataset))
            ax.set_xscale("log")
            ax.xaxis.set_major_locator(LogLocator(numticks=6))
            ax.xaxis.set_major_formatter(plain)
            ax.set_xlabel("median gap / min Gᵢᵢ")
    handles, labels = axes[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _line(ax: Axes, own: pd.DataFrame, column: str, look: Look) -> None:
    """The budgets of one solver, few iterations to many."""
    own = own.sort_values("budget")
    ax.errorbar(
        own["median_gap"].clip(lower=FLOOR),
        own[column],
        yerr=own[f"{column}_half_width"].fillna(0) if f"{column}_half_width" in own else None,
        color=look.colour,
        linestyle=look.dashes,
        marker=look.marker,
        markersize=10 if look.marker == "*" else 5,
        linewidth=look.width,
        elinewidth=0.8,
        capsize=2,
        label=own["solver"].iloc[0],
    )


def findings(table: pd.DataFrame) -> list[str]:
    """What differs from exact beyond its interval, and how gap, Δm and conflicts go together."""
    said = []
    for dataset, part in table.groupby("dataset"):
        compared = part[part["against_exact_half_width"].notna()]
        if compared.empty:
            said.append(
                f"{dataset}: nothing can be compared with exact, which needs two seeds and single-task networks."
            )
            continue
        away = compared[compared["against_exact"].abs() > compared["against_exact_half_width"]]
        worse = [_by(row) for row in away.to_dict("records") if row["against_exact"] > 0]
        better = [_by(row) for row in away.to_dict("records") if row["against_exact"] < 0]
        said.append(
            f"{dataset}: of {len(compared)} settings {_named(worse)} worse than exact beyond the 95 % interval, "
            f"{_named(better)} better; about {fixed(0.05 * len(compared), 1)} would seem to differ by chance."
        )
        if len(compared) > 2:
            ranks = [
                stats.spearmanr(compared["median_gap"], compared[c])[0] for c in ("against_exact", "update_conflicts")
            ]
            said.append(
                f"{dataset}: the rank correlation of the median gap with Δm is {number(float(ranks[0]), 2)}, with the "
                f"share of conflicting updates {number(float(ranks[1]), 2)}."
            )
    return said or ["No run of mgda belongs to this benchmark."]


def _named(settings: list[str]) -> str:
    verb = "is" if len(settings) == 1 else "are"
    return f"{len(settings)} ({listing(settings)}) {verb}" if settings else f"none {verb}"


def _by(row: dict[str, Any]) -> str:
    budget = "" if pd.isna(row["budget"]) else f" at {row['budget']:.0f}"
    return f"{row['solver']}{budget}"


COLUMNS = {
    "solver": "The solver of mgda's inner problem.",
    "budget": "Its max_iterations; none for the finite ones.",
    "delta_m": "Mean relative change against single-task networks in percent; lower is better.",
    "against_exact": "Difference of Δm to mgda with exact, paired by seed, in points.",
    "update_conflicts": "Percent of audited steps whose direction has a negative product with some task's gradient.",
    "predicted_rises": "Percent of audited steps in which some task's loss was predicted to rise.",
    "median_gap": "Median certified gap over the audited steps, relative to min Gᵢᵢ.",
    "worst_gap": "The worst of these gaps.",
    "outside_tolerance": "Percent of all inner solves that did not reach the solver's tolerance.",
    "broken": "Runs that did not end.",
}

STUDY = Study(
    title="Does solver accuracy matter?",
    question=(
        "MGDA was trained with every iterative solver at several budgets of iterations, and with exact; nothing else "
        "differs. If accuracy matters for the result, Δm rises with the gap that the solver left."
    ),
    caption="Each line is a solver, its marks its budgets; whiskers are 95 % intervals, paired by seed.",
    columns=COLUMNS,
    measure=measure,
    table=lambda points: points,
    draw=draw,
    findings=findings,
)
