r"""The seesaw rate: how often one task's validation gain comes with another's loss, beyond what seeds differ by.

With v_{t,s,e} the main validation metric of task t after epoch e under seed s, signed so that higher is better, the
gains of consecutive epochs and their noise are

.. math:: d_{t,s,e} = v_{t,s,e} - v_{t,s,e-1}, \qquad n_t = \operatorname{median}_e \; \operatorname{sd}_s \, d_{t,s,e}

The spread over the seeds at one epoch, not over the epochs, is the noise: what all seeds gain there is progress. The
median over the epochs keeps the first ones, where everything moves, from hiding the rest. A pair of tasks seesaws
between e − 1 and e when one has d > n and the other d < −n; the rate of a seed is the share of (pair, epoch) that does.

Two tasks that have stopped learning and only fluctuate, normally and on their own, seesaw at a rate of
2 · 0.1587² = 5 %; with perfectly opposed fluctuations at 2 · 0.1587 = 32 %. Single-task networks, whose tasks share
nothing but the data, show what is chance in the benchmark at hand.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def rates(curves: pd.DataFrame, described: pd.DataFrame) -> pd.Series:
    """The seesaw rate of one dataset, by label and seed; NaN without two seeds, two tasks or two epochs.

    ``curves``: :func:`mtlbench.analysis.load.curves`; ``described``: :func:`mtlbench.analysis.metrics`.
    """
    main = described[described["main"]][["task", "metric", "higher_is_better"]]
    own = curves[curves["split"] == "validation"].merge(main, on=["task", "metric"])
    own["score"] = own["value"].where(own["higher_is_better"].astype(bool), -own["value"])
    scores = own.pivot(index=["label", "seed", "epoch"], columns="task", values="score").sort_index()
    runs = scores.groupby(level=["label", "seed"]).size().index
    gains = scores.groupby(level=["label", "seed"]).diff().dropna()
    # A label's seeds count at the epochs that all tasks reached; one seed alone has no spread, hence no noise.
    noise = gains.groupby(level=["label", "epoch"]).std().groupby(level="label").median()
    beside = noise.reindex(gains.index.get_level_values("label")).to_numpy()
    # A task is never up and down at once: the product counts pairs of different tasks, each once.
    seesaws = (gains > beside).sum(axis=1) * (gains < -beside).sum(axis=1)
    pairs = scores.shape[1] * (scores.shape[1] - 1) / 2
    rate = (seesaws / pairs).where(~np.isnan(beside).any(axis=1)) if pairs else seesaws * float("nan")
    return rate.groupby(level=["label", "seed"]).mean().reindex(runs).rename("seesaw_rate")
