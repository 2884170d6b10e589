"""Record a collection: the runs of its recipe, trained as the benchmark trains them, one thread, fixed seeds.

The same machine and versions give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mtlbench import config, provenance, tasks
from mtlbench.errors import InputError
from mtlbench.gramians.archive import STAGES, Meta, Record, write
from mtlbench.gramians.noise import measure
from mtlbench.gramians.recipe import Series
from mtlbench.referee.progress import tracked
from mtlbench.tasks.dataset import Split, labelled
from mtlbench.training.evaluation import Diverged
from mtlbench.training.loop import Recipe, State, epoch_batches, forward, part_losses, train_step
from mtlbench.training.runtime import forked, session
from mtlbench.training.seeding import Streams
from mtlbench.training.start import load_data, new_state, recipe_of

ARCHITECTURE = "hard_sharing"
DEVICE = torch.device("cpu")
LICENCE = "MIT"
CITATION = (
    "The mtlbench developers. mtlbench Gramians: task gradients of multi-task training, with their sampling noise."
)


def record(
    out: Path,
    version: int,
    recipe: Sequence[Series],
    *,
    data_dir: Path | None = None,
    progress: bool = False,
) -> Path:
    """Train the runs of ``recipe`` and write ``collection-<version>`` to the folder ``out``; returns its index.

    Raises :class:`~mtlbench.errors.InputError` for a run that cannot be made or that diverges, and
    :class:`~mtlbench.tasks.DatasetError` where data are missing.
    """
    here = provenance.collect()
    for series in recipe:
        tasks.get(series.dataset, **series.parameters).check_files(data_dir)
    runs = [(series, method, seed) for series in recipe for method in series.methods for seed in series.seeds]
    records = [
        found
        for series, method, seed in tracked(runs, "training runs", progress)
        for found in _run(series, method, seed, data_dir)
    ]
    path = out / f"collection-{version}.json"
    about = {
        "title": f"mtlbench Gramians, collection {version}",
        "version": version,
        "licence": LICENCE,
        "citation": CITATION,
        "sources": {name: _source(name) for name in sorted({series.dataset for series in recipe})},
        "recorded_with": {name: here[name] for name in (*provenance.environment(), "mtlbench", "commit", "dirty")},
        "recipe": [_plain(series) for series in recipe],
    }
    write(path, about, records)
    return path


def _run(series: Series, method: str, seed: int, data_dir: Path | None) -> list[Record]:
    """One training run, and its Gramians after the numbers of updates that the series asks for."""
    cell = config.single_cell(
        series.dataset,
        method,
        architecture=ARCHITECTURE,
        dataset_parameters=dict(series.parameters),
        seeds=(seed,),
        batch_size=series.batch_size,
        learning_rate=series.learning_rate,
        device="cpu",
    )
    dataset = tasks.get(series.dataset, **series.parameters)
    streams, recipe = Streams(cell.benchmark_seed, seed), recipe_of(cell, dataset)
    stages = dict(zip(series.steps, STAGES, strict=True))
    found: list[Record] = []
    with session(DEVICE, cell.threads, cell.precision):
        data = load_data(cell, dataset, streams, data_dir).train
        state = new_state(cell, dataset, dataset.tasks, streams, DEVICE, train=data, audit=False)
        for batches in _endless(state, data, recipe):
            if state.step in stages:
                stage = stages[state.step]
                name = f"{series.name}/{method}/seed-{seed}/{stage}"
                who = {"name": name, "dataset": series.dataset, "parameters": dict(series.parameters)}
                how = {"architecture": ARCHITECTURE, "method": method, "seed": seed, "stage": stage}
                found.append(_taken(state, batches[-1], recipe, series.micro_batches, who | how))
            if len(found) == len(stages):
                return found
            try:
                train_step(state, batches, recipe)
            except Diverged as error:
                raise InputError(f"{series.name}, {method}, seed {seed}: {error}") from None
    raise AssertionError("batches never end")


def _endless(state: State, data: Split, recipe: Recipe) -> Iterator[list[Split]]:
    while True:
        yield from epoch_batches(state, data, recipe)
        state.epoch += 1


def _taken(state: State, batch: Split, recipe: Recipe, micro_batches: int, about: dict[str, Any]) -> Record:
    """The Gramian of ``batch`` and its noise, measured before the update, without a trace in the run."""
    with forked(DEVICE):
        losses = forward(state, batch, recipe, aside=True)[0]
    values = [loss.item() for loss in losses]
    parts = (part_losses(state, batch, index, micro_batches, recipe) for index in range(micro_batches))
    measured = measure(losses, parts, _labels(batch, [task.name for task in state.tasks], micro_batches))
    meta = Meta(
        **about,
        step=state.step,
        epoch=state.epoch + 1,
        tasks=len(values),
        batch_size=len(batch),
        micro_batches=micro_batches,
        optimizer=recipe.optimizer,
        learning_rate=recipe.learning_rate,
        shared_parameters=measured.shared_parameters,
        losses=values,
    )
    return Record(meta.name, measured.gramian, measured.noise, meta)


def _labels(batch: Split, names: Sequence[str], micro_batches: int) -> np.ndarray:
    """How many labels of each task the micro-batches have, float64 (B, K)."""
    size = len(batch) // micro_batches
    there = [labelled(batch.targets[name])[: size * micro_batches] for name in names]
    counts = [mask.reshape(micro_batches, -1).sum(dim=1) for mask in there]
    return torch.stack(counts, dim=1).double().numpy()


def _source(dataset: str) -> dict[str, str]:
    source = tasks.get(dataset).source
    return {"home": source.home, "licence": source.licence, "citation": source.citation}


def _plain(series: Series) -> dict[str, Any]:
    """The series for JSON; what comes from the dataset's protocol is left out."""
    entries = {name: dict(value) if isinstance(value, Mapping) else value for name, value in vars(series).items()}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in entries.items() if value is not None
    }
