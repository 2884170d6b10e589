"""How papers often choose the number they report: by looking at the test split, after every epoch.

    last_10_epochs    the mean of each metric over the last ten epochs (NYUv2, Cityscapes)
    best_test_epoch   the metrics of the epoch whose test score is best

Both use the test split to choose, so both flatter; they stand beside this project's numbers, never in their place, so
that a table can be compared with a published one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtlbench.tasks.dataset import Task
from mtlbench.training.evaluation import Metrics, score

LAST = 10


def summary(networks: Sequence[tuple[Sequence[Task], Sequence[Metrics]]]) -> dict[str, Metrics] | None:
    """Both numbers, from the tasks of every network and its test metrics after each epoch.

    None where there are none, or where those of an epoch were not finite.
    """
    if not networks or not all(epochs and all(epochs) for _, epochs in networks):
        return None
    last: Metrics = {}
    best: Metrics = {}
    for tasks, epochs in networks:
        for name, metrics in epochs[0].items():
            last[name] = {metric: float(np.mean([e[name][metric] for e in epochs[-LAST:]])) for metric in metrics}
        scores = [score(tasks, found) for found in epochs]
        best |= epochs[scores.index(max(scores))]
    return {"last_10_epochs": last, "best_test_epoch": best}
