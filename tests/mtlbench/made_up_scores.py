"""Tables of runs made up from known numbers, for the tests of the statistics."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mtlbench.analysis.load import AUDIT

Scores = dict[tuple[str, str], list[float | None]]
HIGHER = {"accuracy"}


def scores(values: Scores, label: str = "m", dataset: str = "d") -> pd.DataFrame:
    """The table of one method: {(task, metric): value per seed}; a seed with None diverged."""
    broken = {seed for row in values.values() for seed, value in enumerate(row) if value is None}
    first: dict[str, str] = {}
    for task, metric in values:
        first.setdefault(task, metric)
    frame = pd.DataFrame(
        {
            "dataset": dataset,
            "architecture": "hard_sharing",
            "track": "out_of_the_box",
            "setting": "",
            "label": label,
            "method": label,
            "seed": seed,
            "status": "diverged" if seed in broken else "done",
            "reason": "loss is nan" if seed in broken else None,
            "split": "test",
            "task": task,
            "metric": metric,
            "value": value,
            "higher_is_better": metric in HIGHER,
            "unit": "",
            "main": first[task] == metric,
        }
        for (task, metric), row in values.items()
        for seed, value in enumerate(row)
    )
    return frame.assign(**dict.fromkeys(AUDIT, np.nan)).astype({"value": float})


def benchmark(seed: int = 0) -> pd.DataFrame:
    """Two datasets, two tasks, four seeds: ``good`` is better than equal weighting, ``bad`` worse, ``same`` neither."""
    rng = np.random.default_rng(seed)
    effects = {"single_task": 1.0, "equal": 1.1, "good": 0.9, "same": 1.1, "bad": 2.0}
    parts = []
    for dataset in ("d", "e"):
        noise = 0.02 * rng.normal(size=(2, 4))
        for label, effect in effects.items():
            values = effect + noise + 0.002 * rng.normal(size=(2, 4))
            parts.append(scores({("a", "mse"): list(values[0]), ("b", "mse"): list(values[1])}, label, dataset))
    return pd.concat(parts, ignore_index=True)


def broke(table: pd.DataFrame, label: str, seed: int, dataset: str | None = None) -> pd.DataFrame:
    """The table with the run of ``label`` and ``seed`` diverged, on one dataset or on all."""
    rows = (table["label"] == label) & (table["seed"] == seed)
    if dataset is not None:
        rows &= table["dataset"] == dataset
    table = table.copy()
    table["value"] = table["value"].mask(rows)
    table["status"] = table["status"].mask(rows, "diverged")
    table["reason"] = table["reason"].mask(rows, "loss is nan")
    return table
