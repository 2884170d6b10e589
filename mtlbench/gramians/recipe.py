"""What each collection was recorded from: training runs, and the updates after which a Gramian was taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

MICRO_BATCHES = 32
"""B: into how many parts a batch is cut to measure its noise."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """Runs of one dataset, every method under every seed; what is not given comes from the dataset's protocol.

    ``steps``: the numbers of updates after which the early, the middle and the late Gramian are taken. None is 0, where
    all methods still have the same network.
    """

    name: str
    dataset: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    methods: tuple[str, ...] = ("equal", "unit_gradient", "mgda")
    seeds: tuple[int, ...] = (0, 1)
    steps: tuple[int, int, int]
    batch_size: int | None = None
    learning_rate: float | None = None


def _regression(name: str, tasks: int, steps: tuple[int, int, int], decades: float = 2.0, **settings: Any) -> Series:
    parameters = {"tasks": tasks, "decades": decades}
    return Series(name=name, dataset="scaled_regression", parameters=parameters, steps=steps, **settings)


_WHOLE = {"decades": 0.0, "batch_size": 2048, "learning_rate": 1e-3}
"""Equal scales and every sample in one batch: slow and without noise, these runs come close to stationarity."""

RECIPES: Mapping[int, tuple[Series, ...]] = MappingProxyType(
    {
        1: (
            Series(
                name="multi_digits",
                dataset="multi_digits",
                methods=("equal", "unit_gradient", "mgda", "mgda_ub"),
                seeds=(0, 1, 2),
                steps=(10, 60, 240),
            ),
            Series(name="multimnist", dataset="multimnist", parameters={"size": "60k"}, steps=(10, 40, 120)),
            _regression("regression_3", 3, (5, 80, 400)),
            _regression("regression_5", 5, (5, 80, 400)),
            _regression("regression_10", 10, (5, 80, 300), seeds=(0, 1, 2)),
            _regression("regression_10_six_decades", 10, (5, 80, 300), decades=6.0),
            _regression("regression_20", 20, (5, 80, 240)),
            _regression("regression_40", 40, (5, 40, 160)),
            _regression("stationary_10", 10, (20, 200, 800), methods=("equal", "unit_gradient"), **_WHOLE),
            _regression("stationary_20", 20, (20, 200, 800), methods=("equal",), **_WHOLE),
        ),
    }
)
"""Version → series, in the order of the records. A version that was published is never edited."""
