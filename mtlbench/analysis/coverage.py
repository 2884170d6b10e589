r"""What the intervals cover in truth: leaderboards are simulated in which all methods are the same.

    python -m mtlbench.analysis.coverage

writes ``coverage.csv`` beside this file, which the report and ``docs/statistics.md`` show. A score is

.. math:: 1 + \sigma_d (a_{dst} + b_{dlst})

for dataset d, label l, seed s, task t, lower is better: a is what a seed does to every label alike (data, batches,
initial network), b what it does to one, both of variance 1, Gaussian or Student's t with 3 degrees of freedom. σ_d
grows tenfold from the first dataset to the last, 0.5 to 5 %. The labels are single-task networks, equal weighting and
three methods, so the truth is Δm = 0, no difference to equal weighting, mean rank 2.5. Once more with effects: the
first method is 5 % worse on the first dataset, 5 % better on the last, evenly in between; there the truth is the mean
of what the simulated leaderboards show. The scores go through the functions that make the leaderboard.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from mtlbench.analysis.changes import relative_change
from mtlbench.analysis.intervals import Array, Intervals, bootstrap_percentile, jackknife_t, paired_t, stratified_t
from mtlbench.analysis.robust import FEWEST, interquartile_mean
from mtlbench.files import write_atomically

PUBLISHED = Path(__file__).with_suffix(".csv")
SIZES = ((5, 5), (2, 5), (5, 10))  # datasets, seeds
NOISES = ("gaussian", "student_3")
REPEATS = 2000
LABELS = ("single_task", "equal", "method_a", "method_b", "method_c")
TASKS = 2
SPREAD = (0.005, 0.05)
EFFECT = 0.05


def simulate(datasets: int, seeds: int, noise: str, repeats: int, effect: float = 0.0, seed: int = 0) -> Array:
    """Scores (repeats, datasets, labels, seeds, tasks); ``method_a`` alone has an effect, 0 for null leaderboards."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> Array:
        return rng.standard_normal(shape) if noise == "gaussian" else rng.standard_t(3, shape) / np.sqrt(3)

    shared = draw(repeats, datasets, 1, seeds, TASKS)
    own = draw(repeats, datasets, len(LABELS), seeds, TASKS)
    scores = 1 + np.geomspace(*SPREAD, datasets)[:, None, None, None] * (shared + own)
    scores[:, :, LABELS.index("method_a")] += np.linspace(effect, -effect, datasets)[:, None, None]
    return scores


def intervals(scores: Array) -> dict[tuple[str, str, bool], tuple[Intervals, float]]:
    """The intervals of ``method_a`` on every leaderboard and the truth, by (quantity, kind, shown in tables)."""
    lower = np.zeros(TASKS, dtype=bool)
    reference, equal, own = (scores[:, :, label] for label in range(3))
    changed = relative_change(own, reference, lower)
    delta = changed.mean(axis=-1)
    gap = delta - relative_change(equal, reference, lower).mean(axis=-1)
    rank = rankdata(scores[:, :, 1:], axis=2)[:, :, 1].mean(axis=-1)
    return {
        ("delta_m on one dataset", "paired t", True): (paired_t(delta[:, 0]), 0.0),
        ("delta_m", "stratified t", True): (stratified_t(delta), 0.0),
        ("delta_m_vs_equal", "stratified t", True): (stratified_t(gap), 0.0),
        ("mean_rank", "stratified t", True): (stratified_t(rank), len(LABELS) / 2),
        ("delta_m_iqm", "jackknife t", scores.shape[1] >= FEWEST): (jackknife_t(changed, interquartile_mean), 0.0),
        ("delta_m", "percentile bootstrap", False): (bootstrap_percentile(delta, _mean), 0.0),
        ("delta_m_iqm", "percentile bootstrap", False): (bootstrap_percentile(delta, interquartile_mean), 0.0),
    }


def coverage(
    datasets: int, seeds: int, noise: str, repeats: int = REPEATS, effect: float = 0.0, seed: int = 0
) -> pd.DataFrame:
    """The share of simulated leaderboards whose interval holds the truth, one row per quantity and kind of interval."""
    found = intervals(simulate(datasets, seeds, noise, repeats, effect, seed))
    rows = []
    for (quantity, kind, shown), (own, null) in found.items():
        truth = own.mean.mean() if effect else null
        covered = (own.low <= truth) & (truth <= own.high)
        rows.append((datasets, seeds, noise, effect, repeats, quantity, kind, shown, covered.mean()))
    names = ["datasets", "seeds", "noise", "effect", "repeats", "quantity", "interval", "shown", "coverage"]
    return pd.DataFrame(rows, columns=names)


def _mean(pool: Array) -> Array:
    return pool.mean(axis=-1)


def published() -> pd.DataFrame:
    """The committed table."""
    return pd.read_csv(PUBLISHED)


def markdown(effect: float = 0.0) -> str:
    """The committed table for people: percent covered, datasets x seeds and the noise as columns."""
    table = published().query("effect == @effect")
    table["case"] = [f"{row.datasets}x{row.seeds} {row.noise}" for row in table.itertuples()]
    wide = (100 * table.set_index(["quantity", "interval", "case"])["coverage"]).unstack("case")
    wide = wide[table["case"].unique()].rename(columns=lambda case: case.replace("_3", " t3")).reset_index()
    return wide.to_markdown(index=False, floatfmt=".1f")


if __name__ == "__main__":
    every = [coverage(*size, noise, effect=effect) for effect in (0, EFFECT) for size in SIZES for noise in NOISES]
    write_atomically(PUBLISHED, pd.concat(every).to_csv(index=False, lineterminator="\n"))
