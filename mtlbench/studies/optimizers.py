"""Does the ranking survive the optimizer? The same methods under every optimizer and weight decay of the benchmark.

Adam divides each coordinate of the update by a running estimate of its size. A factor on the whole update therefore
nearly cancels, and with it much of what sets the methods apart that only rescale (Xin et al. 2022); weight decay pulls
against every update alike. Each setting is an arena of its own, with its own single-task networks, so that Δm compares
methods under one optimizer; the study compares their order between the settings.

Two methods are told apart in a setting when the 95 % interval of their paired difference of Δm lies on one side of
zero. A pair *turns* between two settings when it is told apart in both, in opposite order: what the noise of the seeds
cannot explain. Kendall's τ says how alike the orders are as a whole, noise included.
"""

from __future__ import annotations

from itertools import combinations

import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from mtlbench.analysis import differences, leaderboard, load
from mtlbench.analysis.load import Run
from mtlbench.arena import GROUP, Arena
from mtlbench.report.format import fixed, plural
from mtlbench.report.style import grid, looks
from mtlbench.sections import SINGLE_TASK
from mtlbench.studies.study import Study


def measure(records: list[Run]) -> pd.DataFrame:
    """One row per dataset, setting and method; ``told`` names the methods that are better beyond the interval."""
    everything = load.table(records)
    rows = []
    for key, whole in leaderboard(everything).groupby(GROUP, sort=True):
        arena = Arena.of(key)
        part = arena.among(everything)
        board = whole[whole["label"] != SINGLE_TASK].reset_index(drop=True)
        places = board["delta_m"].rank(method="average")
        for place, row in zip(places, board.to_dict("records"), strict=True):
            against = differences(part, row["label"])
            better = sorted(label for label, gap in against.items() if gap.high < 0 and label != SINGLE_TASK)
            rows.append(
                {
                    "dataset": arena._replace(setting="").title,
                    "setting": arena.setting or "as the dataset's protocol",
                    **{name: row[name] for name in COLUMNS if name in row and name != "setting"},
                    "delta_m_half_width": row["delta_m_half_width"],
                    "delta_m_vs_equal_half_width": row["delta_m_vs_equal_half_width"],
                    "mean_rank_half_width": row["mean_rank_half_width"],
                    "place": place,
                    "worse_than": "; ".join(better),
                    "broken": int(row["runs"] - row["done"]),
                }
            )
    return pd.DataFrame(rows, columns=_POINTS)


def draw(points: pd.DataFrame) -> Figure:
    """A line per method from setting to setting, at its place in each; best on top."""
    groups = list(points.groupby("dataset"))
    look = looks(points["label"])
    figure, axes = grid(len(groups), 2, 5.2, 1.4 + 0.24 * points["label"].nunique())
    for ax, (dataset, part) in zip(axes, groups, strict=True):
        settings = list(dict.fromkeys(part["setting"]))
        for label, rows in part.groupby("label"):
            style, own = look[str(label)], rows.set_index("setting").reindex(settings)
            ax.plot(range(len(settings)), own["place"], color=style.colour, linestyle=style.dashes, marker=style.marker)
            ax.annotate(
                str(label),
                (len(settings) - 1, own["place"].iloc[-1]),
                (6, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                annotation_clip=False,
            )
        ax.set_xticks(range(len(settings)), [name.replace(", ", "\n") for name in settings])
        ax.set_xlim(-0.2, len(settings) - 0.3)
        ax.invert_yaxis()
        ax.set_ylabel("place by Δm")
        ax.set_title(str(dataset))
    return figure


def findings(table: pd.DataFrame) -> list[str]:
    """For every pair of settings: how alike the orders are, and how many pairs of methods turn."""
    said = []
    for dataset, part in table.groupby("dataset"):
        by_setting = {str(setting): own.set_index("label") for setting, own in part.groupby("setting", sort=False)}
        for one, other in combinations(by_setting, 2):
            first, second = by_setting[one], by_setting[other]
            both = first.index.intersection(second.index)
            places = pd.DataFrame({"a": first.loc[both, "delta_m"], "b": second.loc[both, "delta_m"]}).dropna()
            if len(places) < 3:
                continue
            told = [_told(own.loc[both]) for own in (first, second)]
            resolved = {frozenset(pair) for pair in told[0]} & {frozenset(pair) for pair in told[1]}
            turned = sorted(pair for pair in told[0] if pair[::-1] in told[1])
            tau = float(stats.kendalltau(places["a"], places["b"]).statistic)
            sentence = (
                f"{dataset}, {one} against {other}: Kendall's τ of the orders is {fixed(tau, 2)}; of "
                f"{plural(len(resolved), 'pair')} of methods told apart under both, {len(turned)} "
                f"{'turns' if len(turned) == 1 else 'turn'}"
            )
            named = "; ".join(f"{better} before {worse} becomes the reverse" for better, worse in turned[:3])
            said.append(f"{sentence}{f' ({named})' if named else ''}.")
    return said or ["The benchmark compares no settings: give a dataset lists of optimizers or weight decays."]


def _told(own: pd.DataFrame) -> set[tuple[str, str]]:
    """The pairs (better, worse) that are told apart in one setting."""
    pairs = own["worse_than"].fillna("").items()
    return {(better, str(label)) for label, names in pairs for better in str(names).split("; ") if better in own.index}


COLUMNS = {
    "setting": "The optimizer and weight decay that all methods of these rows share.",
    "label": "The method.",
    "place": "Its place by Δm in this setting; 1 is best.",
    "delta_m": "Mean relative change against the single-task networks of the same setting in percent; lower is better.",
    "delta_m_vs_equal": "Difference of Δm to equal weighting in the same setting, paired by seed, in points.",
    "mean_rank": "Mean rank over the tasks' main metrics.",
    "worse_than": "The methods that are better beyond the 95 % interval of the paired difference.",
    "broken": "Runs that did not end.",
}

_POINTS = ["dataset", *COLUMNS, "delta_m_half_width", "delta_m_vs_equal_half_width", "mean_rank_half_width"]

STUDY = Study(
    title="Does the ranking survive the optimizer?",
    question=(
        "Every method was tuned and trained under each optimizer and weight decay. Adam is nearly blind to the length "
        "of an update: if a method's gain lies in the length, its place is lost there."
    ),
    caption="A line per method, at its place by Δm in every setting; crossings within the noise mean nothing.",
    columns=COLUMNS,
    measure=measure,
    table=lambda points: points,
    draw=draw,
    findings=findings,
)
