"""Does what stands beside the primary task help it, and who protects it when that is worth nothing?

The metric of one task counts; the others, or regularisers, are there for its sake. Every setting of the benchmark puts
something else beside it: the auxiliary tasks with a growing share of noisy training labels, or a penalty that the
method balances with the primary loss instead of adding it with a weight. The reference is always the primary task's own
network, trained alone under the same seed on the same data; in a setting with flooding its own network is flooded too,
and stands in the table as ``single_task``.

``gain`` is s (M − M_alone), s = 1 where higher is better and −1 elsewhere: positive is better than alone. Where the
auxiliaries' labels say nothing, a method that protects the primary task has a gain of 0, and one that weighs losses
pays for them.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mtlbench.analysis import paired_t_interval
from mtlbench.analysis.load import Run
from mtlbench.arena import Arena
from mtlbench.report.format import fixed, listing, number, plural
from mtlbench.report.style import MUTED, grid, looks
from mtlbench.sections import SINGLE_TASK, Auxiliaries
from mtlbench.studies.study import Study


def measure(records: list[Run]) -> pd.DataFrame:
    """One row per dataset, setting and method that has a primary task, in the order of the noise."""
    runs = [run for run in records if run.configuration.get("primary") is not None]
    if not runs:
        return pd.DataFrame(columns=["dataset", *COLUMNS, *_HIDDEN])
    table = pd.DataFrame([_score(run) for run in runs])
    table = table.astype(dict.fromkeys(["score", "flooding", "conflict"], float))
    plain = table[(table["label"] == SINGLE_TASK) & table["flooding"].isna()]
    # The primary task's own network does not know what stands beside it: every setting has the same one.
    alone = plain.groupby(["dataset", "seed"])["score"].first()
    table["gain"] = table["sign"] * (table["score"] - table.set_index(["dataset", "seed"]).index.map(alone))
    rows = []
    for (dataset, setting, label), own in table.groupby(["dataset", "setting", "label"]):
        if label == SINGLE_TASK and own["flooding"].isna().all():
            continue
        gain, first = paired_t_interval(own["gain"]), own.iloc[0]
        base = alone.get(str(dataset), pd.Series(dtype=float))
        row = {name: first[name] for name in ("primary", "metric", "noise", "regularisers", "flooding")}
        row |= {"dataset": dataset, "beside": setting, "label": label, "score": own["score"].mean()}
        row |= {"alone": base.mean(), "gain": gain.mean, "gain_half_width": gain.half_width}
        row |= {"seeds": gain.n, "conflict": 100 * own["conflict"].mean(), "broken": int(own["score"].isna().sum())}
        rows.append(row)
    found = pd.DataFrame(rows, columns=["dataset", *COLUMNS, *_HIDDEN])
    return found.sort_values(["dataset", "regularisers", "flooding", "noise", "beside", "label"], na_position="first")


def _score(run: Run) -> dict[str, object]:
    """The primary task's main metric on test, and what stood beside the task."""
    primary = run.configuration["primary"]
    beside = Auxiliaries.model_validate(run.configuration["auxiliary"])
    metric, info = next(iter(run.metrics[primary].items()))
    # What else the benchmark varies: runs are only compared where it agrees.
    axes = run.setting.removesuffix(beside.title).removesuffix(", ")
    return {
        "dataset": Arena(run.dataset, run.architecture, run.track, axes).title,
        "seed": run.seed,
        "label": run.label,
        "setting": beside.title,
        "primary": primary,
        "metric": f"{metric} {'↑' if info.higher_is_better else '↓'}",
        "sign": 1 if info.higher_is_better else -1,
        "score": run.test.get(primary, {}).get(metric) if run.status == "done" else None,
        "noise": beside.label_noise,
        "regularisers": beside.model_copy(update={"tasks": None, "label_noise": 0.0, "flooding": None}).title
        if beside.regularisers
        else "",
        "flooding": beside.flooding,
        "conflict": None if run.audit is None else run.audit.conflict_rate,
    }


def draw(points: pd.DataFrame) -> Figure:
    """By dataset the gain against the noise, a line per method, and beside each penalty and under flooding."""
    look = looks(points["label"])
    panels = [(d, kind, own) for d, part in points.groupby("dataset") for kind, own in _kinds(part) if len(own)]
    figure, axes = grid(len(panels), 2, 5.0, 3.4)
    for ax, (dataset, kind, own) in zip(axes, panels, strict=True):
        ax.axhline(0, color=MUTED, linewidth=1)
        places = {name: place for place, name in enumerate(dict.fromkeys(own["beside"]))}
        at = own["noise"] if kind == "noise" else own["beside"].map(places).astype(float)
        shift = 0.015 if kind == "noise" else 0.12
        labels = list(dict.fromkeys(own["label"]))
        for index, label in enumerate(labels):
            chosen = own["label"] == label
            style = look[str(label)]
            ax.errorbar(
                at[chosen] + shift * (index - (len(labels) - 1) / 2),
                own["gain"][chosen],
                yerr=own["gain_half_width"][chosen].fillna(0),
                color=style.colour,
                linestyle=style.dashes if kind == "noise" else "none",
                marker=style.marker,
                markersize=5,
                elinewidth=0.8,
                capsize=2,
                label=str(label),
            )
        first = own.iloc[0]
        ax.set_title(f"{dataset}: {first['primary']}")
        ax.set_ylabel(f"gain in {first['metric'].split()[0]} over alone")
        _label(ax, kind, list(places))
    handles: dict[str, Artist] = {}
    for ax in axes:
        artists, names = ax.get_legend_handles_labels()
        handles |= dict(zip(names, artists, strict=True))
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=3)
    return figure


def _kinds(part: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    penalised = (part["regularisers"] != "") | part["flooding"].notna()
    return [("noise", part[~penalised]), ("penalty", part[penalised])]


def _label(ax: Axes, kind: str, places: list[str]) -> None:
    if kind == "noise":
        ax.set_xlabel("share of auxiliary training labels exchanged")
    else:
        short = [name.rpartition("regularised by ")[2].replace("(", "\n(").replace(" and ", "\n") for name in places]
        ax.set_xticks(range(len(places)), short, fontsize=7)


def findings(table: pd.DataFrame) -> list[str]:
    """For every setting, who is better and who is worse than the primary task alone, beyond the interval."""
    said = []
    for (dataset, beside), part in table.groupby(["dataset", "beside"], sort=False):
        told = part[part["gain"].abs() > part["gain_half_width"]]
        better, worse = told[told["gain"] > 0], told[told["gain"] < 0]
        first = part.iloc[0]
        said.append(
            f"{dataset}, {first['primary']}, {beside}: of {plural(len(part), 'row')} {_named(better)} better than the "
            f"task alone ({first['metric']}, {number(first['alone'], 3)}) beyond the 95 % interval, {_named(worse)} "
            "worse."
        )
    count = int(table["gain_half_width"].notna().sum())
    chance = f"Of {count} comparisons about {fixed(0.05 * count, 1)} would lie beyond their interval by chance."
    return [*said, chance] if said else ["No run has a primary task: name one in the dataset's section."]


def _named(rows: pd.DataFrame) -> str:
    names = [f"{label} by {number(abs(gain), 2)}" for label, gain in zip(rows["label"], rows["gain"], strict=True)]
    return f"{len(names)} ({listing(names)}) {'is' if len(names) == 1 else 'are'}" if names else "none is"


COLUMNS = {
    "beside": "What stands beside the primary task.",
    "label": "The method; single_task is the primary task alone, where that too is flooded.",
    "score": "The primary task's main metric on test, mean over the seeds.",
    "gain": "Its difference to the primary task alone, paired by seed, turned so that positive is better.",
    "conflict": "Percent of pairs of objectives with gradients in conflict on audited steps, regularisers included.",
    "seeds": "How many seeds were paired.",
    "broken": "Runs that did not end.",
}

_HIDDEN = ["primary", "metric", "noise", "regularisers", "flooding", "alone", "gain_half_width"]

STUDY = Study(
    title="Primary and auxiliary",
    question=(
        "One task counts, and everything else is trained for its sake: auxiliary tasks whose labels grow noisy, or a "
        "penalty as an objective of its own. A method that weighs losses may win by what stands beside the task and "
        "may lose by it; the projection keeps the others from harm. Is the primary task better off than alone?"
    ),
    caption="The primary task's metric on test less that of its own network, paired by seed, with 95 % intervals.",
    columns=COLUMNS,
    measure=measure,
    table=lambda points: points,
    draw=draw,
    findings=findings,
)
