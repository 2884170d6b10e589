"""The shared-encoder bound: what MGDA-UB's weights know, and how often its direction makes a task worse.

MGDA-UB minimises ‖Σ w_i z_i‖, z_i = ∂L_i/∂H, in place of ‖Σ w_i g_i‖, g_i = Aᵀ z_i. Every audited step of its runs
recorded both Gramians, so both questions are answered on the steps that were taken:

- does u = Σ w_i g_i have a negative product with some g_i (the min-norm direction never has)?
- how far are the weights from the min-norm weights of the true gradients, and how far from w_i ∝ 1/‖z_i‖², which is
  what they are for orthogonal z_i, where they know nothing of how the tasks interact? With disjoint task data, every
  sample carrying the label of one task, the z_i are orthogonal.

Distances of weights are ½ Σ |w_i − v_i|, the share of the weight that would have to move.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mtlbench.analysis import differences, leaderboard, load, paired_t_interval
from mtlbench.analysis.load import Run
from mtlbench.errors import CheckFailed
from mtlbench.report.format import number, with_interval
from mtlbench.report.style import INK, MUTED, grid, looks
from mtlbench.solvers import min_norm
from mtlbench.studies.study import Study

METHODS = ("mgda", "mgda_ub")


def measure(records: list[Run]) -> pd.DataFrame:
    """One row per audited step of ``mgda`` and ``mgda_ub``; a step with a zero gradient is left out."""
    ours = [run for run in records if run.method in METHODS and run.status == "done" and run.audit is not None]
    points = pd.DataFrame([row for run in ours for row in _steps(run)], columns=list(_POINTS))
    if points.empty:
        return points
    everything = load.table(records)
    board = leaderboard(everything).set_index(["dataset", "label"])
    for name in ("delta_m", "delta_m_half_width"):
        points[name] = [board[name].get((row.dataset, row.label)) for row in points.itertuples()]
    against = {str(name): differences(part, "mgda") for name, part in everything.groupby("dataset")}
    changes = [against[row.dataset].get(row.label) for row in points.itertuples()]
    points["against_mgda"] = [np.nan if change is None else change.mean for change in changes]
    points["against_mgda_half_width"] = [np.nan if change is None else change.half_width for change in changes]
    return points


def _steps(run: Run) -> Iterator[dict[str, Any]]:
    try:
        with np.load(run.folder / "audit.npz", allow_pickle=False) as file:
            names = ("gramians", "solver_gramians", "weights", "predicted", "realised")
            steps = list(zip(*(file[name] for name in names), strict=True))
    except (OSError, ValueError, KeyError) as error:
        raise CheckFailed(f"{run.folder / 'audit.npz'} is not a whole audit file ({error})") from None
    common = {"dataset": run.dataset, "label": run.label, "method": run.method, "seed": run.seed}
    for gramian, inner, weights, predicted, realised in steps:
        if min(np.diagonal(gramian).min(), np.diagonal(inner).min()) > 0:
            yield (
                common
                | of_step(gramian, inner, weights)
                | {
                    "predicted_rise": bool((predicted > 0).any()),
                    "realised_rise": bool((realised > 0).any()),
                }
            )


def of_step(gramian: np.ndarray, inner: np.ndarray, weights: np.ndarray) -> dict[str, Any]:
    """What the weights of one step did: ``gramian`` of the g_i, ``inner`` that of the z_i, both (K, K)."""
    lengths = np.sqrt(np.diagonal(inner))
    alone = 1 / lengths**2 / (1 / lengths**2).sum()
    products = gramian @ weights
    scale = np.sqrt(np.diagonal(gramian) * (weights @ products))
    cosines = inner / np.outer(lengths, lengths)
    return {
        "makes_worse": bool(products.min() < 0),
        "smallest_cosine": float((products / scale).min()) if scale.min() > 0 else np.nan,
        "from_min_norm": float(np.abs(weights - min_norm.solve(gramian).weights).sum()) / 2,
        "from_norms_alone": float(np.abs(weights - alone).sum()) / 2,
        "interaction": float(np.abs(cosines[~np.eye(len(inner), dtype=bool)]).max()),
        "weights": tuple(weights),
        "alone": tuple(alone),
    }


def table(points: pd.DataFrame) -> pd.DataFrame:
    """One row per dataset and label, in the columns of :data:`COLUMNS`."""
    rows = []
    for (dataset, label), own in points.groupby(["dataset", "label"]):
        worse = paired_t_interval(100 * own.groupby("seed")["makes_worse"].mean())
        row: dict[str, Any] = {"dataset": dataset, "label": label}
        for name in ("delta_m", "against_mgda"):
            row |= {name: own[name].iloc[0], f"{name}_half_width": own[f"{name}_half_width"].iloc[0]}
        row |= {"makes_worse": worse.mean, "makes_worse_half_width": worse.half_width, "steps": len(own)}
        row |= {name: 100 * own[name].mean() for name in ("predicted_rise", "realised_rise")}
        row |= {"median_smallest_cosine": own["smallest_cosine"].median()}
        row |= {"from_min_norm": own["from_min_norm"].median(), "interaction": own["interaction"].max()}
        rows.append(row | {"from_norms_alone": own["from_norms_alone"].max()})
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=["dataset", *COLUMNS])


def draw(points: pd.DataFrame) -> Figure:
    """By dataset: how the smallest cosine of u with a task's gradient is distributed, and where the weights lie."""
    groups = list(points.groupby("dataset"))
    look = looks(points["label"])
    figure, axes = grid(2 * len(groups), len(groups), 3.3, 2.8)
    for column, (dataset, part) in enumerate(groups):
        above, below = axes[column], axes[len(groups) + column]
        above.axvline(0, color=MUTED, linewidth=1)
        for label, own in part.groupby("label"):
            cosines = np.sort(own["smallest_cosine"].dropna())
            share = np.arange(1, len(cosines) + 1) / len(cosines)
            style = look[str(label)]
            above.step(cosines, share, where="post", color=style.colour, linestyle=style.dashes, label=str(label))
        bound = part[part["method"] == "mgda_ub"]
        below.plot([0, 1], [0, 1], color=MUTED, linewidth=1)
        for weights, alone in bound[["weights", "alone"]].itertuples(index=False):
            below.plot(alone, weights, ".", color=INK, markersize=4, alpha=0.5)
        above.set_title(str(dataset))
        above.set_xlabel("smallest cos(gᵢ, u)")
        below.set_xlabel("weight from the norms ‖zᵢ‖ alone")
        if not column:
            above.set_ylabel("share of steps up to it")
            below.set_ylabel("weight of mgda_ub")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def findings(found: pd.DataFrame) -> list[str]:
    """How often the bound's direction makes a task worse, and what its weights know."""
    said = []
    for row in found.to_dict("records"):
        if not row["label"].startswith("mgda_ub"):
            continue
        worse = with_interval(row["makes_worse"], row["makes_worse_half_width"])
        exact = found[(found["dataset"] == row["dataset"]) & (found["label"] == "mgda")]
        beside = f", that of mgda in {number(exact['makes_worse'].iloc[0], 2)} %" if len(exact) else ""
        said.append(
            f"{row['dataset']}: the direction of {row['label']} makes a task worse in {worse} % of the steps{beside}."
        )
        if row["interaction"] == 0:
            said.append(
                f"{row['dataset']}: the gradients of the representation are orthogonal, and the weights are those of "
                f"their norms alone to within {number(row['from_norms_alone'], 2)}; from the min-norm weights they are "
                f"{number(row['from_min_norm'], 2)} away (median)."
            )
        else:
            said.append(
                f"{row['dataset']}: the weights are up to {number(row['from_norms_alone'], 2)} away from those of the "
                f"norms alone, and {number(row['from_min_norm'], 2)} from the min-norm weights (median)."
            )
    return said or ["No run of mgda_ub belongs to this benchmark."]


_POINTS = (
    *("dataset", "label", "method", "seed", "makes_worse", "smallest_cosine", "from_min_norm", "from_norms_alone"),
    *("interaction", "weights", "alone", "predicted_rise", "realised_rise"),
)

COLUMNS = {
    "label": "The method; mgda_ub takes its weights from the gradients of the representation.",
    "delta_m": "Mean relative change against single-task networks in percent; lower is better.",
    "against_mgda": "Difference of Δm to mgda, paired by seed, in points.",
    "makes_worse": "Percent of audited steps whose direction has a negative product with some task's gradient.",
    "predicted_rise": "Percent of audited steps in which some task's loss was predicted to rise.",
    "realised_rise": "Percent of audited steps after which some task's loss was higher.",
    "median_smallest_cosine": "Median over the steps of min cos(gᵢ, u).",
    "from_min_norm": "Median share of the weight that would have to move to the min-norm weights of the gᵢ.",
    "interaction": "Largest |cosine| of two rows of the method's own Gramian; 0: orthogonal.",
    "from_norms_alone": "Largest share of the weight that would have to move to wᵢ ∝ 1/‖zᵢ‖².",
    "steps": "Audited steps without a zero gradient.",
}

STUDY = Study(
    title="The shared-encoder bound",
    question=(
        "MGDA-UB replaces the gradients of the shared parameters by those of the representation, which costs one "
        "backward pass through the encoder instead of K. How often does its direction make a task worse, and do its "
        "weights know how the tasks interact? Where each sample has the label of one task, theory says they do not."
    ),
    caption=(
        "Above: the distribution over the audited steps of the smallest cosine between the update and a task's "
        "gradient; left of the line some task is made worse. Below: each weight of MGDA-UB against "
        "what the norms alone give."
    ),
    columns=COLUMNS,
    measure=measure,
    table=table,
    draw=draw,
    findings=findings,
)
