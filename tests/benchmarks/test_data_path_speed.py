"""The data path beside the step: how long a batch takes to be drawn out of the tensors, and what is trained on it.

Both are measured in CPU time, in turn, on one thread, with `equal`, whose step is the cheapest of all methods. Plain
test runs take the bundled datasets, the command every dataset whose files are at hand:

    python tests/benchmarks/test_data_path_speed.py
"""

from __future__ import annotations

from time import process_time

import pandas as pd
import pytest
import torch

from mtlbench import config, tasks
from mtlbench.tasks import DatasetError
from mtlbench.training.loop import epoch_batches, train_step
from mtlbench.training.runtime import session
from mtlbench.training.seeding import Streams
from mtlbench.training.start import load_data, new_state, recipe_of

CPU = torch.device("cpu")


def times(name: str, steps: int) -> tuple[float, float]:
    """Mean CPU seconds of drawing a batch, and of the step on it, over whole epochs of at least so many steps."""
    cell = config.single_cell(name, "equal", seeds=(0,), device="cpu")
    dataset = tasks.get(name)
    streams, recipe = Streams(cell.benchmark_seed, 0), recipe_of(cell, dataset)
    with session(CPU, 1, cell.precision):
        data = load_data(cell, dataset, streams, None).train
        state = new_state(cell, dataset, dataset.tasks, streams, CPU, train=data, audit=False)
        train_step(state, next(epoch_batches(state, data, recipe)), recipe)  # warms up
        drawn = stepped = done = 0.0
        while done < steps:
            began = process_time()
            for batch in epoch_batches(state, data, recipe):
                taken = process_time()
                train_step(state, batch, recipe)
                drawn, stepped, done = drawn + taken - began, stepped + process_time() - taken, done + 1
                began = process_time()
    return drawn / done, stepped / done


@pytest.mark.parametrize("name", ["multi_digits", "scaled_regression"])
def test_batch_and_step(benchmark, name):
    drawn, stepped = benchmark.pedantic(times, (name, 40), rounds=1)
    benchmark.extra_info["share of the step"] = drawn / (drawn + stepped)
    assert 0 < drawn < stepped


def table() -> str:
    """One line per dataset that can be loaded here, in milliseconds."""
    found = []
    for name in [f"{n}:{v}" if v else n for n in tasks.names() for v in tasks.variants(n) or ("",)]:
        try:
            drawn, stepped = times(name, 32)
        except DatasetError:
            continue
        found.append([f"`{name}`", 1e3 * drawn, 1e3 * stepped, 100 * drawn / (drawn + stepped)])
    columns = ["dataset", "batch (ms)", "step of `equal` (ms)", "share (%)"]
    return pd.DataFrame(found, columns=columns).to_markdown(index=False, floatfmt=".3g")


if __name__ == "__main__":
    print(table())
