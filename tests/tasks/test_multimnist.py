"""multimnist: the canvas, the splits, the errors of its files, and the real handwriting where it is at hand."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from mtlbench import tasks
from mtlbench.tasks import DatasetError, Source, files

made = runpy.run_path(str(Path(__file__).with_name("made_multimnist.py")))
REAL = os.environ.get("MTLBENCH_DATA")
needs_real_files = pytest.mark.skipif(not REAL, reason="MTLBENCH_DATA does not name the folder of the real files")


@pytest.mark.parametrize(("size", "rounds"), [("60k", 1), ("120k", 2)])
def test_every_digit_stands_equally_often_in_each_place(ready, size, rounds):
    dataset, data_dir = ready("multimnist", size=size)
    splits = dataset.load(0, data_dir)
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [100 * rounds, 20 * rounds, 40 * rounds]
    for split in (splits.train, splits.validation, splits.test):
        for side in split.sources.T:
            assert set(np.unique(side, return_counts=True)[1]) == {rounds}
        assert torch.all(split.sources[:, 0] != split.sources[:, 1])
    assert int(splits.test.sources.min()) == 120  # test pictures show digits of the test file only
    assert int(splits.validation.sources.max()) < 120


def test_every_picture_shows_its_two_digits(ready):
    dataset, data_dir = ready("multimnist")
    train = dataset.load(0, data_dir).train
    images = files.read_idx(data_dir / "mnist" / "train-images-idx3-ubyte.gz", 3)
    labels = files.read_idx(data_dir / "mnist" / "train-labels-idx1-ubyte.gz", 1)
    left, right = train.sources.numpy().T
    assert train.inputs.shape == (100, 1, 36, 36)
    assert float(train.inputs.min()) == 0
    assert float(train.inputs.max()) == 1
    pictures = (train.inputs[:, 0] * 255).round().to(torch.uint8).numpy()
    assert np.array_equal(pictures[:, :28, :8], images[left][:, :, :8])
    assert np.array_equal(pictures[:, 28:, 8:], images[right][:, 20:])
    assert np.array_equal(pictures[:, 8:28, 8:28], np.maximum(images[left][:, 8:, 8:], images[right][:, :20, :20]))
    assert np.array_equal(train.targets["left"], labels[left])
    assert np.array_equal(train.targets["right"], labels[right])


def test_one_fixed_set_whatever_the_seed(ready):
    dataset, data_dir = ready("multimnist")
    assert dataset.load(0, data_dir).digest == dataset.load(1, data_dir).digest
    assert dataset.load(0, data_dir).train.inputs is dataset.load(1, data_dir).train.inputs  # built once


def test_the_data_folder_is_taken_from_the_environment(ready, monkeypatch):
    dataset, data_dir = ready("multimnist")
    monkeypatch.setenv("MTLBENCH_DATA", str(data_dir))
    assert len(dataset.load(0).train) == 100


def rewrite(data_dir: Path, name: str, array: np.ndarray):
    """Replace one file and return the source whose checksums fit, so that only the content is wrong."""
    (data_dir / "mnist" / name).write_bytes(made["idx"](array))
    return Source(made["describe"](data_dir / "mnist"), "made for a test", "MIT", "none", "mnist")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train-labels-idx1-ubyte.gz", np.zeros(119), "holds 120 images, but .*train-labels-idx1-ubyte.gz 119 labels"),
        ("t10k-labels-idx1-ubyte.gz", np.zeros(41), "holds 40 images, but .*t10k-labels-idx1-ubyte.gz 41 labels"),
        ("train-labels-idx1-ubyte.gz", np.full(120, 10), "train-labels.* holds the label 10, but labels lie between"),
        ("t10k-images-idx3-ubyte.gz", np.zeros((40, 32, 32)), "t10k-images.* pictures of 32 x 32 pixels instead of 28"),
        ("t10k-images-idx3-ubyte.gz", np.zeros(40), "t10k-images.* has the wrong magic number 2049 instead of 2051"),
        ("t10k-labels-idx1-ubyte.gz", np.zeros((40, 28, 28)), "t10k-labels.* has the wrong magic number 2051"),
    ],
)
def test_wrong_content_is_told_before_the_checksum(ready, name, array, message):
    dataset, data_dir = ready("multimnist")
    original = dataset.source
    for source in (rewrite(data_dir, name, array), original):
        dataset.source = source
        with pytest.raises(DatasetError, match=message):
            dataset.load(0, data_dir)


@needs_real_files
@pytest.mark.parametrize(("size", "train", "held_out"), [("60k", 50_000, 10_000), ("120k", 100_000, 20_000)])
def test_real_files(size, train, held_out):
    splits = tasks.get("multimnist", size=size).load(0, Path(REAL))
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [train, held_out, held_out]
    for split in (splits.train, splits.validation, splits.test):
        for labels in split.targets.values():
            assert torch.bincount(labels, minlength=10).min() > len(split) * 0.08
    items = [set(split.sources.flatten().tolist()) for split in (splits.train, splits.validation, splits.test)]
    assert [len(of_split) for of_split in items] == [50_000, 10_000, 10_000]
    assert len(set().union(*items)) == 70_000


@needs_real_files
def test_one_epoch_on_real_handwriting_reads_nine_of_ten_digits():
    dataset = tasks.get("multimnist")
    splits, protocol = dataset.load(0, Path(REAL)), dataset.protocol
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = dataset.encoder()
        heads = [dataset.head(task) for task in dataset.tasks]
        parameters = [p for network in (encoder, *heads) for p in network.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=protocol.learning_rate)
        for batch in torch.randperm(len(splits.train)).split(protocol.batch_size):
            representation = encoder(splits.train.inputs[batch])
            losses = [
                task.loss(head(representation), splits.train.targets[task.name][batch])
                for task, head in zip(dataset.tasks, heads, strict=True)
            ]
            optimizer.zero_grad()
            torch.stack(losses).mean().backward()
            optimizer.step()
    with torch.no_grad():
        representation = torch.cat([encoder(part) for part in splits.test.inputs.split(1000)])
    for task, head in zip(dataset.tasks, heads, strict=True):
        output = head(representation).detach().numpy()
        assert task.metrics[0].compute(splits.test.targets[task.name].numpy(), output) > 0.9
