"""The encoders of the file are those of the papers: shapes, numbers of parameters, and the pictures they refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_dense import Dense, Words
from made_networks import CPU, cell, labelled, started
from torch import nn
from torch.nn.functional import max_pool2d

from mtlbench import architectures, tasks
from mtlbench.architectures import encoders
from mtlbench.errors import InputError
from mtlbench.runs import read
from mtlbench.tasks.segnet import unpool
from mtlbench.training.cell import run_cell
from mtlbench.training.loop import epoch_batches, train_step
from mtlbench.training.runtime import session
from mtlbench.training.seeding import Streams, initialise

# name, parameters, shape of an input, shape of its representation, number of parameters
KNOWN = [
    ("mlp", {"width": 9, "depth": 3}, (4, 5), (9,), 20 * 9 + 9 + 2 * (81 + 9)),
    # Sener and Koltun on 36 by 36 pictures: 5x5 kernels, 6x6 places left of 20 channels, one layer of 50.
    ("lenet", {}, (1, 36, 36), (50,), 10 * 26 + 20 * (250 + 1) + 720 * 50 + 50),
    ("lenet", {"kernel": 3, "width": 7, "depth": 2}, (1, 12, 12), (7,), 10 * 10 + 20 * 91 + 20 * 7 + 7 + 56),
    # ResNet-18 has 11,689,512 parameters with its last layer of 512 to 1000.
    ("resnet18", {}, (3, 64, 64), (512,), 11_689_512 - 513_000),
    ("resnet18", {"stem": "small", "width": 2}, (3, 8, 8), (16,), None),
    # Convolutions, two full layers of 512, and two numbers for each of 2880 normalised channels.
    ("celeba_cnn", {}, (3, 64, 64), (512,), 4_646_592 + 2 * 512 * 512 + 2 * 2880),
    ("segnet", {"width": 2, "depth": 2}, (3, 9, 14), (2, 9, 14), None),
    # The shared network of the MTAN code has 26 convolutions, as VGG-16 has 13, and VGG's have 14,714,688 parameters.
    ("segnet", {}, (3, 32, 32), (64, 32, 32), None),
]


def build(name, parameters, shape):
    network = encoders.get(name, **parameters).build(torch.randn(1, *shape), "pictures")
    initialise(network, Streams(0, 0))
    return network


@pytest.mark.parametrize(("name", "parameters", "shape", "features", "count"), KNOWN)
def test_shapes_and_sizes(name, parameters, shape, features, count):
    network = build(name, parameters, shape)
    assert network(torch.randn(2, *shape)).shape == (2, *features)
    if count is not None:
        assert sum(p.numel() for p in network.parameters()) == count


def test_segnet_s_way_down_is_vgg_16():
    network = build("segnet", {}, (3, 32, 32))
    convolutions = [m for m in network.down.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 13
    assert sum(p.numel() for m in convolutions for p in m.parameters()) == 14_714_688
    assert len([m for m in network.up.modules() if isinstance(m, nn.Conv2d)]) == 13


def test_unpooling_is_that_of_torch():
    pictures = torch.randn(2, 3, 9, 14)
    pooled, places = max_pool2d(pictures, 2, return_indices=True)
    assert torch.equal(unpool(pooled, places, pictures), nn.MaxUnpool2d(2)(pooled, places, output_size=(9, 14)))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("lenet", (20,), r"pictures: the encoder lenet reads pictures .* has the shape \(20,\): mlp reads any"),
        ("lenet", (1, 12, 12), "pictures of 12 by 12 are too small .* kernel 5 .* a smaller kernel"),
        ("segnet", (3, 40, 31), "pictures of 40 by 31 cannot be halved 5 times: give segnet a smaller depth"),
        ("resnet18", (3, 64), "the encoder resnet18 reads pictures"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(name, shape, message):
    with pytest.raises(InputError, match=message):
        build(name, {}, shape)


# ---- encoders and heads of the file -----------------------------------------------------------------------------


def test_a_part_of_another_kind_is_refused():
    digits, picture = tasks.get("multi_digits"), Dense().load(0).train.inputs[:1]
    for name, parameters in (("mtan", {"depth": 1}), ("hard_sharing", {"encoder": {"segnet": {"depth": 1}}})):
        with pytest.raises(InputError, match="multi_digits needs features of every sample, but the encoder segnet"):
            architectures.get(name, **parameters).build(digits, digits.tasks, torch.zeros(1, 1, 12, 12))
    with pytest.raises(InputError, match="dense needs features of every pixel, but the encoder mlp"):
        architectures.get("hard_sharing", encoder="mlp").build(Dense(), Dense.tasks, picture)


def test_the_dataset_s_own_head_on_an_encoder_of_the_file_has_to_fit():
    digits = tasks.get("multi_digits")
    inputs = torch.zeros(1, 1, 12, 12)
    for width, fits in ((48, True), (50, False)):
        architecture = architectures.get("hard_sharing", encoder={"mlp": {"width": width}}, head="dataset")
        if fits:
            assert type(architecture.build(digits, digits.tasks, inputs).heads["left"]) is torch.nn.Linear
        else:
            with pytest.raises(InputError, match=r"own head of task 'left' does not fit .* shape \(50,\)"):
                architecture.build(digits, digits.tasks, inputs)


def test_inputs_that_are_indices_are_read_by_the_dataset_s_encoder_alone():
    words, inputs = Words(), torch.tensor([[1, 2]])
    with pytest.raises(InputError, match="with trunk: true the dataset's own encoder reads them first"):
        architectures.get("mmoe").build(words, words.tasks, inputs)
    with pytest.raises(
        InputError, match=r"words: its inputs are torch\.int64, and the encoder mlp reads floating-point"
    ):
        architectures.get("hard_sharing", encoder="mlp").build(words, words.tasks, inputs)
    outputs, _ = architectures.get("mmoe", trunk=True).build(words, words.tasks, inputs)(inputs)
    assert outputs["a"].shape == (1, 1)


# ---- dense tasks ------------------------------------------------------------------------------------------------


SEGNET = {"segnet": {"width": 4, "depth": 2}}


def test_an_encoder_of_the_file_stands_on_the_columns_of_a_table_not_on_its_codes():
    dataset = tasks.get("census_income")
    sample = torch.zeros(1, len(dataset.inputs))
    model = architectures.get("hard_sharing", encoder={"mlp": {"width": 3}}).build(dataset, dataset.tasks, sample)
    first, own = (
        next(layer for layer in encoder.modules() if isinstance(layer, nn.Linear))
        for encoder in (model.encoder, dataset.encoder())
    )
    assert first.in_features == own.in_features > len(dataset.inputs)


@labelled(
    [
        ("mtan", {"width": 4, "depth": 2}),
        ("hard_sharing", {"encoder": SEGNET}),
        ("mmoe", {"encoder": SEGNET, "experts": 2}),
        ("ple", {"trunk": True}),
        ("cross_stitch", {"encoder": SEGNET}),
        ("small_towers", {"base": {"hard_sharing": {"encoder": SEGNET, "head": "mlp"}}}),
    ]
)
def test_dense_tasks_are_learned(name, parameters, monkeypatch):
    monkeypatch.setattr(tasks, "get", lambda name, **parameters: Dense())
    made = cell("dense", "equal", name, parameters, batch_size=16, audit_interval=0, learning_rate=3e-2)
    with session(CPU, 1, "fp32"):
        state, data, recipe = started(made)
        batch = next(epoch_batches(state, data, recipe))
        losses = np.stack([train_step(state, batch, recipe).losses for _ in range(30)])
    assert (losses[-1] < 0.5 * losses[0]).all()


def test_mtan_runs_as_the_pipeline_runs_it(monkeypatch, tmp_path):
    monkeypatch.setattr(tasks, "get", lambda name, **parameters: Dense())
    made = cell("dense", "mgda", "mtan", {"width": 2, "depth": 2}, batch_size=40, epochs=2, audit_interval=2)
    assert run_cell(made, tmp_path, progress=False) == ["done"]
    record = read(tmp_path / made.folder / "seed-0")
    assert record["architecture"] == "mtan(width=2, depth=2)"
    assert record["configuration"]["architecture_parameters"] == {"width": 2, "depth": 2}
    assert 0 < record["test"]["inside"]["accuracy"] <= 1
