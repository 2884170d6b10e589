"""multifashion and multifashion_mnist: which pictures meet, and the real ones where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mtlbench import tasks
from mtlbench.tasks import files

REAL = os.environ.get("MTLBENCH_DATA")
needs_real_files = pytest.mark.skipif(not REAL, reason="MTLBENCH_DATA does not name the folder of the real files")


@pytest.mark.parametrize(("size", "rounds"), [("60k", 1), ("120k", 2)])
def test_the_digit_is_left_and_the_article_right_each_equally_often(ready, size, rounds):
    dataset, data_dir = ready("multifashion_mnist", size=size)
    splits = dataset.load(0, data_dir)
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [100 * rounds, 20 * rounds, 40 * rounds]
    for split in (splits.train, splits.validation, splits.test):
        left, right = split.sources.T
        assert set(np.unique(left, return_counts=True)[1]) == set(np.unique(right, return_counts=True)[1]) == {rounds}
        assert int(left.max()) < 160 <= int(right.min())  # 160 digits, then the articles


def test_every_picture_shows_its_digit_and_its_article(ready):
    dataset, data_dir = ready("multifashion_mnist")
    test = dataset.load(0, data_dir).test
    pictures = (test.inputs[:, 0] * 255).round().to(torch.uint8).numpy()
    # Numbered through: 120 + 40 digits, then 120 articles of the training file, then those of the test file.
    number = {"mnist": test.sources.numpy()[:, 0] - 120, "fashion_mnist": test.sources.numpy()[:, 1] - 280}
    shown, label = {}, {}
    for folder, which in number.items():
        shown[folder] = files.read_idx(data_dir / folder / "t10k-images-idx3-ubyte.gz", 3)[which]
        label[folder] = files.read_idx(data_dir / folder / "t10k-labels-idx1-ubyte.gz", 1)[which]
    assert np.array_equal(pictures[:, :28, :8], shown["mnist"][:, :, :8])
    assert np.array_equal(pictures[:, 28:, 8:], shown["fashion_mnist"][:, 20:])
    assert np.array_equal(test.targets["left"], label["mnist"])
    assert np.array_equal(test.targets["right"], label["fashion_mnist"])


@needs_real_files
@pytest.mark.parametrize(("name", "items"), [("multifashion", 70_000), ("multifashion_mnist", 140_000)])
def test_real_files(name, items):
    splits = tasks.get(name).load(0, Path(REAL))
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [50_000, 10_000, 10_000]
    sources = [set(split.sources.flatten().tolist()) for split in (splits.train, splits.validation, splits.test)]
    assert len(set().union(*sources)) == sum(map(len, sources)) == items
    for split in (splits.train, splits.validation, splits.test):
        for labels in split.targets.values():
            assert torch.bincount(labels, minlength=10).min() > len(split) * 0.08
