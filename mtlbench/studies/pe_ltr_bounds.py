"""What do PE-LTR's lower bounds buy? A sweep of them between MGDA and fixed weights, beside both.

``pe_ltr`` takes the min-norm weights above bounds c_i: c = 0 is MGDA, Σ c_i = 1 the fixed weights c (Lin et al. 2019).
The paper leaves the bounds to the user; a sweep of them is to walk along the Pareto front. Here each task's test metric
and its weight, the mean over the audited steps of a run, stand against the bound, and how often the bound held the
weight: where it always does, the method is fixed weights in the shared parameters. A bound that is below the min-norm
weight anyway changes nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtlbench.analysis import csv_files, load
from mtlbench.analysis.intervals import paired_t
from mtlbench.analysis.leaderboard import EQUAL
from mtlbench.analysis.load import Run
from mtlbench.report.format import listing, number, with_interval
from mtlbench.report.style import COLOURS, DASHES, INK, MUTED, grid
from mtlbench.studies.study import Study

SWEPT = ("pe_ltr", "pe_ltr_relaxed")
MGDA = "mgda"
NONE, ALL = "none", "every task"
CLOSE = 1e-6
"""A weight that is no further above its bound lies on it."""


def measure(records: list[Run]) -> pd.DataFrame:
    """One row per dataset, label, seed and task of the bounded methods, ``equal`` and ``mgda``."""
    runs = [run for run in records if run.status == "done" and run.method in (*SWEPT, EQUAL, MGDA)]
    if not any(run.method in SWEPT for run in runs):
        return pd.DataFrame(columns=["dataset", *_POINTS])
    points = pd.DataFrame([row for run in runs for row in _tasks(run)])
    equal = points[points["method"] == EQUAL].set_index(["dataset", "seed", "task"])["value"]
    base = equal.reindex(pd.MultiIndex.from_frame(points[["dataset", "seed", "task"]])).to_numpy()
    points["against_equal"] = np.where(points["method"] == EQUAL, np.nan, points["value"] - base)
    return points[["dataset", *_POINTS]]


def _tasks(run: Run) -> list[dict[str, Any]]:
    steps = csv_files.read(run.folder / "audit.csv", load.AUDIT_COLUMNS, key="step") if run.audit else None
    names = list(run.metrics)
    lower = np.broadcast_to(np.asarray(run.options.get("lower", 0.0), dtype=float), len(names))
    swept = run.method in SWEPT
    told = swept and steps is not None
    common = {
        "dataset": run.arena.title,
        **{"label": run.label, "method": run.method, "seed": run.seed},
        **{"bounded": bounded(lower, names) if swept else "", "bound": lower.max()},
    }
    rows = []
    for name, bound in zip(names, lower, strict=True):
        metric = next(iter(run.metrics[name]))
        weights = np.full(1, np.nan) if steps is None else steps[f"weight_{name}"].to_numpy(dtype=float)
        rows.append(
            common
            | {"task": name, "metric": metric, "value": run.test[name][metric], "weight": weights.mean()}
            | {"at_bound": 100 * np.mean(weights <= bound + CLOSE) if told and bound > 0 else np.nan}
        )
    return rows


def bounded(lower: np.ndarray, names: list[str]) -> str:
    """Which tasks are bounded: none, every one alike, or those with a bound above 0."""
    if not lower.any():
        return NONE
    if len(set(lower)) == 1:
        return ALL
    return listing([name for name, bound in zip(names, lower, strict=True) if bound > 0])


def table(points: pd.DataFrame) -> pd.DataFrame:
    """A row per label and task: the references first, then each method's bounds in their order."""
    rows = []
    keys = ["dataset", "method", "bounded", "bound", "label", "task"]
    for key, own in points.groupby(keys, sort=False, dropna=False):
        row = dict(zip(keys, key, strict=True)) | {"metric": own["metric"].iloc[0], "at_bound": own["at_bound"].mean()}
        for name in ("value", "against_equal", "weight"):
            found = paired_t(own[name].to_numpy(dtype=float))
            row |= {name: float(found.mean), f"{name}_half_width": float(found.half_width)}
        rows.append(row)
    found = pd.DataFrame(rows, columns=["dataset", "method", *COLUMNS, *_HALF_WIDTHS])
    order = found["method"].map({EQUAL: 0, MGDA: 1, "pe_ltr": 2, "pe_ltr_relaxed": 3})
    ordered = found.assign(order=order, free=found["bounded"] != NONE)
    ordered = ordered.sort_values(["dataset", "order", "free", "bounded", "bound"], kind="stable")
    return ordered.drop(columns=["order", "free"]).reset_index(drop=True)


def draw(points: pd.DataFrame) -> Figure:
    """By task: its metric above, its mean weight below, against the bound; a line per method and bounded task."""
    rows = table(points)
    panels = list(rows.groupby(["dataset", "task"], sort=False))
    figure, axes = grid(2 * len(panels), len(panels), 4.2, 3.0)
    kinds = [kind for kind in dict.fromkeys(rows["bounded"]) if kind not in ("", NONE)]
    colours = {kind: COLOURS[index % len(COLOURS)] for index, kind in enumerate(kinds)}
    for column, ((dataset, task), part) in enumerate(panels):
        above, below = axes[column], axes[len(panels) + column]
        _panel(above, part, "value", colours)
        _panel(below, part, "weight", colours)
        above.set_title(f"{dataset}: {task}")
        above.set_ylabel(f"{part['metric'].iloc[0]} on test")
        below.set_ylabel("mean weight")
        below.set_xlabel("lower bound")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _panel(ax: Axes, part: pd.DataFrame, column: str, colours: dict[str, str]) -> None:
    for method, colour in ((EQUAL, INK), (MGDA, MUTED)):
        for row in part[part["method"] == method].to_dict("records"):
            ax.axhline(row[column], color=colour, linewidth=1.2, label=method)
    for index, method in enumerate(SWEPT):
        own = part[part["method"] == method]
        for kind, colour in colours.items():
            line = own[own["bounded"].isin([NONE, kind])].sort_values("bound")
            if not (line["bounded"] == kind).any():
                continue
            ax.errorbar(
                line["bound"],
                line[column],
                yerr=line[f"{column}_half_width"].fillna(0),
                color=colour,
                linestyle=DASHES[index],
                marker="os"[index],
                markersize=4,
                capsize=2,
                elinewidth=0.8,
                label=f"{method}, bound on {kind}",
            )


def findings(found: pd.DataFrame) -> list[str]:
    """What each sweep does to every task from its lowest bound to its highest, and what differs from equal."""
    said = []
    swept = found[found["method"].isin(SWEPT)]
    for (dataset, method), part in swept.groupby(["dataset", "method"], sort=False):
        for kind in [kind for kind in dict.fromkeys(part["bounded"]) if kind != NONE]:
            line = part[part["bounded"].isin([NONE, kind])]
            low, high = line["bound"].min(), line["bound"].max()
            # Bounds that share their largest are no sweep of one number.
            if low == high or line.duplicated(["bound", "task"]).any():
                continue
            first, last = (line[line["bound"] == bound].set_index("task") for bound in (low, high))
            moved = [
                f"{task} from {with_interval(*first.loc[task, _VALUE])} to {with_interval(*last.loc[task, _VALUE])} "
                f"(mean weight {number(first.loc[task, 'weight'], 2)} to {number(last.loc[task, 'weight'], 2)})"
                for task in first.index
            ]
            said.append(
                f"{dataset}: with {method}, a bound on {kind} of {number(low, 2)} to {number(high, 2)} takes the "
                f"{last['metric'].iloc[0]} of {listing(moved)}."
            )
        away = part[part["against_equal"].abs() > part["against_equal_half_width"]]
        compared = int(part["against_equal_half_width"].notna().sum())
        said.append(
            f"{dataset}: of {compared} comparisons of {method} with equal, one for each bound and task, {len(away)} "
            f"lie beyond the 95 % interval; about {number(0.05 * compared, 2)} would by chance."
        )
    return said or ["No run of pe_ltr belongs to this benchmark."]


COLUMNS = {
    "label": "The method and its bounds.",
    "bounded": "The tasks whose weight has a lower bound.",
    "bound": "The largest lower bound on a weight.",
    "task": "The task that the following columns are about.",
    "metric": "Its main metric.",
    "value": "The metric on test.",
    "against_equal": "The metric less that of equal, paired by seed.",
    "weight": "The task's weight, mean over the audited steps.",
    "at_bound": "Percent of the audited steps in which the bound held the task's weight.",
}

_VALUE = ["value", "value_half_width"]
_HALF_WIDTHS = [f"{name}_half_width" for name in ("value", "against_equal", "weight")]
_POINTS = (
    *("label", "method", "seed", "bounded", "bound", "task", "metric"),
    *("value", "weight", "at_bound", "against_equal"),
)

STUDY = Study(
    title="What do PE-LTR's lower bounds buy?",
    question=(
        "PE-LTR bounds the weights of MGDA from below: without bounds it is MGDA, with bounds of sum 1 it is fixed "
        "weights. Does a task gain by a bound on its weight, what does the other one pay, and does the published "
        "solver, which drops the bounds and projects, do the same as the exact one?"
    ),
    caption=(
        "Above: each task's metric against the lower bound; below: the mean weight that came about. A line per method "
        "and bounded task; whiskers are 95 % intervals over seeds. Horizontal: equal and mgda."
    ),
    columns=COLUMNS,
    measure=measure,
    table=table,
    draw=draw,
    findings=findings,
)
