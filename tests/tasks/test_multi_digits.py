"""multi_digits: what is drawn, what the seed decides, and that it can be learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from mtlbench import tasks
from mtlbench.tasks.overlay import overlay, pairs


@pytest.fixture(scope="module")
def splits():
    return tasks.get("multi_digits").load(0)


def test_every_picture_shows_its_two_digits(splits):
    digits = load_digits()
    for split in (splits.train, splits.validation, splits.test):
        left, right = split.sources.numpy().T
        assert np.array_equal(split.targets["left"], digits.target[left])
        assert np.array_equal(split.targets["right"], digits.target[right])
        pictures = split.inputs[:, 0].numpy() * 16
        assert np.array_equal(pictures[:, :8, :4], digits.images[left][:, :, :4])  # what the right one cannot cover
        assert np.array_equal(pictures[:, 8:, 4:], digits.images[right][:, 4:])
        assert np.all(pictures[:, :8, :8] >= digits.images[left])
        assert np.all(pictures[:, 4:, 4:] >= digits.images[right])


def test_the_seed_decides_the_split_and_the_pairs(splits):
    other = tasks.get("multi_digits").load(1)
    assert other.digest != splits.digest
    assert set(other.test.sources.flatten().tolist()) != set(splits.test.sources.flatten().tolist())
    assert tasks.get("multi_digits").load(0).digest == splits.digest


def test_all_classes_are_in_every_split(splits):
    for split in (splits.train, splits.validation, splits.test):
        for labels in split.targets.values():
            assert set(labels.tolist()) == set(range(10))


@pytest.mark.parametrize("count", [1, 7, 8, 100])
def test_pairs_use_every_item_equally_and_never_with_itself(count):
    items = np.arange(10, 17)
    drawn = pairs(np.random.default_rng(0), items, count)
    assert drawn.shape == (count, 2)
    assert np.all(drawn[:, 0] != drawn[:, 1])
    assert set(drawn.flatten()) <= set(items)
    for side in drawn.T:
        times = np.bincount(side - 10, minlength=7)
        assert times.max() - times.min() <= 1


def test_the_brighter_pixel_wins():
    left, right = np.full((1, 2, 2), 5, np.uint8), np.array([[[9, 1], [1, 1]]], np.uint8)
    assert overlay(left, right, 1)[0].tolist() == [[5, 5, 0], [5, 9, 1], [0, 1, 1]]


def test_single_task_training_reads_nine_of_ten_digits(splits):
    dataset = tasks.get("multi_digits")
    task, protocol = dataset.tasks[1], dataset.protocol
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torch.nn.Sequential(dataset.encoder(), dataset.head(task))
        optimizer = torch.optim.Adam(network.parameters(), lr=protocol.learning_rate)
        for _ in range(protocol.epochs):
            for batch in torch.randperm(len(splits.train)).split(protocol.batch_size):
                optimizer.zero_grad()
                task.loss(network(splits.train.inputs[batch]), splits.train.targets[task.name][batch]).backward()
                optimizer.step()
    output = network(splits.test.inputs).detach().numpy()
    assert task.metrics[0].compute(splits.test.targets[task.name].numpy(), output) > 0.9
