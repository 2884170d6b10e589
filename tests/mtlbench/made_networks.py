"""Networks of every architecture with their initial weights, for the tests of architectures."""

from __future__ import annotations

import pytest
import torch

from mtlbench import architectures, tasks
from mtlbench.sections import Cell
from mtlbench.training.seeding import Streams, initialise
from mtlbench.training.start import load_data, new_state, recipe_of

CPU = torch.device("cpu")
DATASETS = {"multi_digits": {}, "scaled_regression": {"tasks": 3}}
FLAT = [name for name in architectures.names() if name != "mtan"]
VARIANTS = [
    *((name, {}) for name in FLAT),
    ("mmoe", {"experts": 2, "trunk": True}),
    ("cgc", {"trunk": True}),
    ("ple", {"levels": 3, "private": 1, "trunk": True}),
    ("ple", {"levels": 3, "private": 1}),
    ("small_towers", {"base": {"mmoe": {"experts": 2}}, "bottleneck": 3, "temperature": 4.0}),
    ("small_towers", {"auxiliary": "pseudo_tasks", "heads": 2}),
    ("hard_sharing", {"encoder": {"mlp": {"width": 9}}, "head": {"mlp": {"width": 5, "depth": 3}}}),
]


def labelled(variants):
    return pytest.mark.parametrize(
        ("name", "parameters"), variants, ids=[f"{n}-{'-'.join(p) or 'default'}" for n, p in variants]
    )


def network(name, parameters, dataset, group=None):
    """A network with the initial weights of trial 0, in float64, and a batch of its training data."""
    data = dataset.load(0).train
    model = architectures.get(name, **parameters).build(dataset, group or dataset.tasks, data.inputs[:1])
    initialise(model, Streams(0, 0))
    targets = {name: t[:24] if t.dtype == torch.int64 else t[:24].double() for name, t in data.targets.items()}
    return model.double(), data.inputs[:24].double(), targets


def losses_of(model, inputs, targets, dataset):
    outputs, representation = model(inputs)
    return [model.loss(task, outputs, targets[task.name]) for task in dataset.tasks], representation


def cell(dataset, method, name, parameters=None, **changes):
    return Cell(
        benchmark="b",
        dataset=dataset,
        dataset_parameters=DATASETS.get(dataset, {}),
        method=method,
        architecture=name,
        architecture_parameters=parameters or {},
        seeds=(0,),
        batch_size=changes.pop("batch_size", 32),
        device="cpu",
        **changes,
    )


def started(made, group=None):
    dataset = tasks.get(made.dataset, **made.dataset_parameters)
    streams = Streams(0, 0)
    data = load_data(made, dataset, streams, None).train
    return new_state(made, dataset, group or dataset.tasks, streams, CPU, train=data), data, recipe_of(made, dataset)
