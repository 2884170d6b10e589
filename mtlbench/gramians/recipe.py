"""What each collection was recorded from: training runs, and the updates after which a Gramian was taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Series:
    """Runs of one dataset, every method under every seed; what is not given comes from the dataset's protocol.

    ``steps``: the numbers of updates after which the early, the middle and the late Gramian are taken. None is 0, where
    all methods still have the same network. ``micro_batches``: B, into how many parts a batch is cut for its noise.
    """

    name: str
    dataset: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    methods: tuple[str, ...] = ("equal", "unit_gradient", "mgda")
    seeds: tuple[int, ...] = (0, 1)
    steps: tuple[int, int, int]
    batch_size: int | None = None
    learning_rate: float | None = None
    micro_batches: int = 32


def _regression(name: str, tasks: int, steps: tuple[int, int, int], decades: float = 2.0, **settings: Any) -> Series:
    parameters = {"tasks": tasks, "decades": decades}
    return Series(name=name, dataset="scaled_regression", parameters=parameters, steps=steps, **settings)


_WHOLE = {"decades": 0.0, "batch_size": 2048, "learning_rate": 1e-3}
"""Equal scales and every sample in one batch: slow and without noise, these runs come close to stationarity."""


def _dataset(dataset: str, middle: int, late: int, **settings: Any) -> Series:
    """One seed of a dataset as its protocol trains it: early, after a quarter of the protocol, at its end."""
    return Series(
        name=dataset.replace(":", "_"),
        dataset=dataset,
        methods=("equal", "mgda"),
        seeds=(0,),
        steps=(10, middle, late),
        **settings,
    )


_SMALL = {"batch_size": 16, "micro_batches": 16}
"""The protocol of sets with some hundred samples: a batch is cut into its samples."""

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
        2: (
            _dataset("multi_digits_disjoint", 30, 120),
            _dataset("multifashion", 240, 970),
            _dataset("multifashion_mnist", 240, 970),
            _dataset("census_income", 140, 580),
            _dataset("census_income:education", 140, 580),
            _dataset("adult", 260, 1050),
            # Four times the protocol's batch, so that a school with a dozen pupils has a few of them in every batch.
            _dataset("school", 20, 80, batch_size=4096),
            _dataset("sarcos", 500, 2000),
            _dataset("parkinsons", 670, 2700),
            _dataset("parkinsons:subjects", 710, 2850),
            _dataset("mulan:andro", 25, 100, **_SMALL),
            _dataset("mulan:atp1d", 300, 1200, **_SMALL),
            _dataset("mulan:atp7d", 270, 1100, **_SMALL),
            _dataset("mulan:edm", 120, 500, **_SMALL),
            _dataset("mulan:enb", 700, 2800, **_SMALL),
            _dataset("mulan:jura", 320, 1300, **_SMALL),
            _dataset("mulan:oes10", 370, 1500, **_SMALL),
            _dataset("mulan:oes97", 300, 1200, **_SMALL),
            _dataset("mulan:rf1", 310, 1260),
            _dataset("mulan:scm20d", 310, 1260),
            _dataset("mulan:sf1", 300, 1200, **_SMALL),
            _dataset("mulan:sf2", 1000, 4000, **_SMALL),
            _dataset("mulan:slump", 75, 300, **_SMALL),
            _dataset("mulan:wq", 970, 3900, **_SMALL),
            _dataset("office_caltech", 80, 330),
            _dataset("tox21", 120, 480),
            _dataset("qm8", 680, 2720),
            _dataset("linear_bottleneck", 75, 300),
            _dataset("tug_of_war", 75, 300),
            _dataset("tug_of_war:convex", 75, 300),
        ),
    }
)
"""Version → series, in the order of the records. A version that was published is never edited."""
