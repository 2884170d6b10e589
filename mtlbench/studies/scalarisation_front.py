"""Do the methods reach beyond fixed weights? A grid of ``static`` weights, and every method against it.

The critics of multi-task optimisation hold that whatever a method reaches, some fixed weights reach as well (Kurin et
al. 2022; Xin et al. 2022); Hu et al. (2023) answer that fixed weights cannot trace the whole front of an
under-parametrised linear model. Points are the tasks' main metrics on test, since Xin et al. compare what generalises;
in the generated families the metric is the loss, whose front Hu et al. study and which is drawn as well.

Every comparison is made within a seed. On a front that is not convex, a row may end at one task under one seed and at
another under the next: the mean over seeds would be a point between, better than any network that there is. So each
seed has a front of its own, and what is averaged over seeds is a method's place against it:

- ``beyond_front``, the additive ε-indicator (Zitzler et al. 2003): by how much every task of the fixed weights would
  have to gain until some of them are as good as the method in all tasks, min_p max_k (p_k − y_k) over the grid's points
  p, lower being better. Above 0 no weights of the grid are as good, below 0 some are better in all tasks;
- ``hypervolume_gained``: by how much the dominated volume grows when the method joins the grid.

Tasks are scaled so that the box between the best value and the worst of the front has sides of 1, and volumes reach to
1.1 (Ishibuchi et al. 2018); a weight of 0 leaves a head untrained, so rows with one do not count in that scale. A grid
has gaps, through which a point between two of its own looks new: each row of the grid is therefore held against the
other rows in the same way, and the largest of these distances, rows with a weight of 0 apart, is what the gaps are
worth: ``equal``, which is itself fixed weights but in no grid of three tasks, shows that less would not do.
"""

from __future__ import annotations

from typing import Any

import moocore
import numpy as np
import pandas as pd

from mtlbench import tasks
from mtlbench.analysis import leaderboard, load
from mtlbench.analysis.intervals import Array, paired_t
from mtlbench.analysis.load import Run
from mtlbench.arena import GROUP, Arena
from mtlbench.report.format import listing, number, plural, with_interval
from mtlbench.sections import SINGLE_TASK
from mtlbench.studies import _front_picture
from mtlbench.studies._front_picture import ALONE, END, FIXED, METHOD, TRUTH
from mtlbench.studies.study import Study

REFERENCE = 1.1
TRUE_POINTS = 8192
GRID, EVERYTHING, TRUE = "fixed weights together", "all shared networks together", "the true front"
PLACES = ("beyond_front", "hypervolume_gained", "dominated", "beyond_truth")


def measure(records: list[Run]) -> pd.DataFrame:
    """One row per dataset, label and seed, and points of the true front where it is known."""
    everything = load.table(records)
    test = everything[(everything["split"] == "test") & everything["main"]]
    board = leaderboard(everything)
    parts = []
    for key, part in test.groupby(GROUP, sort=True):
        arena = Arena.of(key)
        runs = [run for run in records if run.arena == arena]
        weights = {run.label: run.options["weights"] for run in runs if _of_the_grid(run)}
        names = list(part["task"].drop_duplicates())
        scores = part.pivot(index=["label", "seed"], columns="task", values="value")[names].dropna()
        up = part.drop_duplicates("task")["higher_is_better"].to_numpy(dtype=bool)
        if not scores.index.get_level_values("label").isin(list(weights)).any():
            continue
        true = tasks.get(runs[0].dataset, **runs[0].dataset_parameters).true_front(TRUE_POINTS)
        found = of_arena(scores, weights, up, true).assign(dataset=arena.title)
        own = arena.among(board).set_index("label")
        for name in ("delta_m", "delta_m_half_width"):
            found[name] = found["label"].map(own[name])
        metrics = part.drop_duplicates("task").set_index("task")["metric"]
        parts.append(found.assign(tasks=len(names), **_axes(names, metrics, up)))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["dataset", *_POINTS])


def _of_the_grid(run: Run) -> bool:
    return run.method == "static" and "weights" in run.configuration.get("method_parameters", {})


def _axes(names: list[str], metrics: pd.Series, up: np.ndarray) -> dict[str, Any]:
    """The first task and the last one are those that are drawn."""
    first, last = names[0], names[-1]
    return {
        "x_name": f"{first}, {metrics[first]}",
        "y_name": f"{last}, {metrics[last]}",
        "x_up": bool(up[0]),
        "y_up": bool(up[-1]),
    }


def of_arena(
    scores: pd.DataFrame, weights: dict[str, list[float]], up: np.ndarray, true: Array | None = None
) -> pd.DataFrame:
    """The rows of one arena. ``scores``: a row per (label, seed), a column per task, whole; ``weights`` of the grid's
    labels; ``up``: where higher is better; ``true``: points that hold the true front.
    """
    label = scores.index.get_level_values("label")
    ends = [name for name, own in weights.items() if min(own) == 0]
    kinds = np.where(label.isin(ends), END, np.where(label.isin(list(weights)), FIXED, METHOD))
    kinds = np.where(label == SINGLE_TASK, ALONE, kinds)
    sign = np.where(up, -1.0, 1.0)
    # A box has two corners; without two rows of the grid every shared network counts.
    wide = label[kinds == FIXED].nunique() > 1
    low, side = _box(scores.loc[kinds == FIXED if wide else kinds != ALONE] * sign)
    truth = None if true is None else moocore.filter_dominated((true * sign - low) / side)
    frame = pd.DataFrame({"label": label, "seed": scores.index.get_level_values("seed"), "kind": kinds})
    frame["x"], frame["y"] = scores.iloc[:, 0].to_numpy(), scores.iloc[:, -1].to_numpy()
    costs = (scores.to_numpy() * sign - low) / side
    parts = [
        pd.concat([own, _of_seed(costs[own.index], own["kind"], truth)], axis=1) for _, own in frame.groupby("seed")
    ]
    if truth is not None:
        shown = truth[:: max(1, len(truth) // 400)] * side + low
        values = {"x": shown[:, 0] * sign[0], "y": shown[:, -1] * sign[-1], "kind": TRUTH, "label": TRUE}
        parts.append(pd.DataFrame(values | {EVERYTHING: np.nan, GRID: np.nan, TRUE: volume(truth)}))
    return pd.concat(parts, ignore_index=True).reindex(columns=[*_OWN])


def _box(costs: pd.DataFrame) -> tuple[Array, Array]:
    """The best of each task and the distance to the worst on the front, means over the seeds' own."""
    fronts = [moocore.filter_dominated(own.to_numpy()) for _, own in costs.groupby("seed")]
    low = np.mean([front.min(axis=0) for front in fronts], axis=0)
    side = np.mean([front.max(axis=0) for front in fronts], axis=0) - low
    return low, np.where(side > 0, side, 1.0)


def _of_seed(costs: Array, kinds: pd.Series, truth: Array | None) -> pd.DataFrame:
    """The places of the rows of one seed; those of the grid stand against the rest of it."""
    places, grid, shared = [], kinds.isin([FIXED, END]).to_numpy(), (kinds != ALONE).to_numpy()
    for position, own in enumerate(costs):
        rest = costs[grid & (np.arange(len(costs)) != position)]
        places.append((*place(rest, own), np.nan if truth is None else place(truth, own)[0]))
    found = pd.DataFrame(places, columns=list(PLACES), index=kinds.index)
    return found.assign(**{GRID: volume(costs[grid]), EVERYTHING: volume(costs[shared]), TRUE: np.nan})


def place(front: Array, own: Array) -> tuple[float, float, float]:
    """How far ``own`` (K,) lies beyond ``front`` (n, K), the volume that it adds, and whether it is dominated."""
    if not len(front):
        return np.nan, np.nan, np.nan
    joined = np.vstack([front, own])
    distance = moocore.epsilon_additive(front, ref=own[None])
    dominated = not moocore.is_nondominated(joined, keep_weakly=True)[-1]
    return 100 * float(distance), volume(joined) - volume(front), float(dominated)


def volume(points: Array) -> float:
    """The hypervolume of ``points`` in percent of the box from 0 to the reference."""
    dimensions = points.shape[1]
    return 100 * float(moocore.hypervolume(points, ref=np.full(dimensions, REFERENCE))) / REFERENCE**dimensions


def table(points: pd.DataFrame) -> pd.DataFrame:
    """The volumes of the fronts of each dataset, then a row per method, then the grid, each by ``beyond_front``."""
    rows: list[dict[str, Any]] = []
    for dataset, part in points.groupby("dataset"):
        runs = part[part["kind"] != TRUTH]
        for name in (GRID, EVERYTHING):
            rows.append(
                {"dataset": dataset, "label": name, **_interval("hypervolume", runs.groupby("seed")[name].first())}
            )
        true = part.loc[part["kind"] == TRUTH, TRUE]
        rows += [{"dataset": dataset, "label": TRUE, "hypervolume": true.iloc[0]}] if len(true) else []
        own = [_row(str(dataset), str(label), one) for label, one in runs.groupby("label")]
        rows += sorted(own, key=lambda row: (row["fixed"], -row["beyond_front"], row["label"]))
    return pd.DataFrame(rows, columns=["dataset", *COLUMNS, *_HALF_WIDTHS])


def _row(dataset: str, label: str, found: pd.DataFrame) -> dict[str, Any]:
    fixed = {FIXED: 1, END: 2}.get(found["kind"].iloc[0], 0)
    row: dict[str, Any] = {"dataset": dataset, "label": label, "fixed": fixed}
    for name in ("beyond_front", "hypervolume_gained", "beyond_truth"):
        row |= _interval(name, found[name])
    row |= {name: found[name].iloc[0] for name in ("delta_m", "delta_m_half_width")}
    return row | {"dominated": 100 * found["dominated"].mean(), "seeds": len(found)}


def _interval(name: str, values: pd.Series) -> dict[str, float]:
    found = paired_t(values.to_numpy(dtype=float))
    return {name: float(found.mean), f"{name}_half_width": float(found.half_width)}


def findings(found: pd.DataFrame) -> list[str]:
    """Which methods lie beyond the grid and which behind it, and what volume is reached."""
    said = []
    for dataset, part in found.groupby("dataset"):
        methods = part[(part["fixed"] == 0) & (part["label"] != SINGLE_TASK)]
        gap = part.loc[part["fixed"] == 1, "beyond_front"].max()
        half = methods["beyond_front_half_width"]
        beyond, behind = (methods[sign * methods["beyond_front"] > half]["label"] for sign in (1, -1))
        more = methods[methods["beyond_front"] - half > max(gap, 0)]["label"]
        said.append(
            f"{dataset}: of {plural(len(methods), 'method')} {_named(beyond)} beyond the front of "
            f"{int((part['fixed'] > 0).sum())} fixed weights, {_named(behind)} behind it, by more than the 95 % "
            f"interval; {_named(more)} beyond it by more than its gaps are worth ({number(gap, 2)} %)."
        )
        volumes = part[part["hypervolume"].notna()].set_index("label")
        reached = [with_interval(*volumes.loc[name, _VOLUME]) for name in (GRID, EVERYTHING)]
        sentence = f"{dataset}: the hypervolume of the fixed weights is {reached[0]} %, with the methods {reached[1]} %"
        if TRUE in volumes.index:
            share = 100 * volumes.loc[GRID, "hypervolume"] / volumes.loc[TRUE, "hypervolume"]
            sentence += (
                f"; that of the true front is {number(volumes.loc[TRUE, 'hypervolume'], 3)} %, of which fixed weights "
                f"reach {number(share, 2)} %"
            )
        said.append(f"{sentence}.")
    return said or ["The benchmark has no grid of fixed weights: give a dataset front: {tasks: 2, points: 11}."]


def _named(labels: pd.Series) -> str:
    verb = "lies" if len(labels) == 1 else "lie"
    return f"{len(labels)} ({listing(sorted(labels))}) {verb}" if len(labels) else f"none {verb}"


COLUMNS = {
    "label": "The row; a row of fixed weights is held against the other fixed weights.",
    "fixed": "1: a row of the grid of fixed weights; 2: one with a weight of 0.",
    "beyond_front": "By how many percent of the box every task of the fixed weights would have to gain until some of "
    "them are as good in all tasks; below 0: some are better in all tasks by that much.",
    "hypervolume_gained": "Dominated volume that the row adds to the fixed weights, in percent of the box.",
    "dominated": "Percent of seeds in which some fixed weights are as good in all tasks and better in one.",
    "beyond_truth": "As beyond_front, against the true front where it is known; above 0 only by the noise of the test.",
    "hypervolume": "Dominated volume of rows together in percent of the box, above 100 where points lie beyond it; "
    "single-task networks are not among them.",
    "delta_m": "Mean relative change against single-task networks in percent; lower is better.",
    "seeds": "Seeds whose run ended.",
}

_VOLUME = ["hypervolume", "hypervolume_half_width"]
_HALF_WIDTHS = [
    f"{name}_half_width" for name in ("beyond_front", "hypervolume_gained", "beyond_truth", "hypervolume", "delta_m")
]
_OWN = ("label", "seed", "kind", "x", "y", *PLACES, GRID, EVERYTHING, TRUE)
_POINTS = (*_OWN, "delta_m", "delta_m_half_width", "tasks", "x_name", "y_name", "x_up", "y_up")

STUDY = Study(
    title="Do the methods reach beyond fixed weights?",
    question=(
        "A grid of fixed weights was trained beside every method. If the critics are right, no method lies beyond the "
        "front of the fixed weights. Where the true front is not convex or the model too small, theory says that fixed "
        "weights miss a part of it."
    ),
    caption=(
        "Left: every run at its first and last task's test metric, better to the top and right; the grey line is what "
        "the fixed weights attain in half of the seeds, the thin black one the true front where it is known. Right: "
        "how far beyond the front of the fixed weights each method lies, with 95 % intervals, paired by seed; dotted: "
        "what the gaps of the grid are worth."
    ),
    columns=COLUMNS,
    measure=measure,
    table=table,
    draw=_front_picture.draw,
    findings=findings,
)
