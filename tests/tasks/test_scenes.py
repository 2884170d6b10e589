"""nyuv2 and cityscapes: what is read, what has no label, what is wrong with a file, and a few steps of training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtlbench.tasks import DatasetError
from mtlbench.tasks.dataset import UNLABELLED
from mtlbench.tasks.segnet import SegNet, widths


@pytest.mark.parametrize("name", ["nyuv2", "cityscapes"])
def test_scenes_are_read_whole_and_unlabelled_pixels_are_marked(ready, name):
    dataset, data_dir = ready(name)
    splits = dataset.load(0, data_dir)
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [18, 2, 5]
    folder = data_dir / name / "val"
    picture = np.load(folder / "image" / "3.npy")
    assert np.abs(splits.test.inputs[3].numpy() - 255 * picture.transpose(2, 0, 1)).max() <= 0.5
    depth = np.load(folder / "depth" / "3.npy").reshape(1, 32, 64).astype(np.float32)
    found = splits.test.targets["depth"][3].numpy()
    assert np.array_equal(found[:, 4:], depth[:, 4:])
    assert np.isnan(found[:, :4, :4]).all()
    label = splits.test.targets["label"]
    assert np.array_equal(label[3, 0, 4:], np.load(folder / "label" / "3.npy")[4:])
    assert set(label[:, :, :4, :4].flatten().tolist()) == {UNLABELLED}
    if name == "nyuv2":
        normal = splits.test.targets["normal"]
        assert torch.isnan(normal[:, :, :4, :4]).all()
        torch.testing.assert_close(normal[:, :, 4:].norm(dim=1), torch.ones(5, 28, 64))


def put(array: np.ndarray):
    return lambda path: np.save(path, array)


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("train/image/4.npy", lambda p: p.write_bytes(p.read_bytes()[:999]), "is not a whole array of numbers"),
        (
            "train/image/4.npy",
            lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\n"),
            "is a Git LFS pointer",
        ),
        ("train/image/4.npy", lambda p: p.write_bytes(b""), "is not a whole array of numbers"),
        ("train/depth/4.npy", lambda p: np.save(p, np.array([{}]), allow_pickle=True), "is not a whole array"),
        ("train/depth/4.npy", put(np.full((32, 64), "1")), "is not an array of numbers"),
        ("val/depth/0.npy", put(np.full((32, 64), np.nan)), "holds NaN or infinity"),
        ("val/depth/0.npy", put(np.full((32, 64), -1.0)), "without negative depths"),
        ("train/image/4.npy", put(np.full((32, 64, 3), 255)), "with values from 0 to 1"),
        ("train/image/4.npy", put(np.zeros((3, 32, 64))), "is not a picture"),
        ("train/image/4.npy", put(np.zeros((32, 96, 3))), "instead of the .* of the files before it"),
        ("train/label/4.npy", put(np.full((32, 64), 13)), "whole numbers from -1 to 12"),
        ("train/label/4.npy", put(np.full((32, 64), 0.5)), "whole numbers from -1 to 12"),
        ("train/normal/4.npy", put(np.zeros((32, 64))), r"must be \(H, W, 3\)"),
        ("train/normal/4.npy", lambda p: p.unlink(), "train: scene 4 is not both in image and in normal"),
        ("val/image/4.npy", lambda p: p.rename(p.with_name("5.npy")), "val: scene 4 is not both in image and in label"),
    ],
)
def test_a_wrong_file_is_one_sentence(ready, file, damage, message):
    dataset, data_dir = ready("nyuv2")
    damage(data_dir / "nyuv2" / file)
    with pytest.raises(DatasetError, match=message) as caught:
        dataset.load(0, data_dir)
    assert "\n" not in str(caught.value)


def rewrite(data_dir, pattern, change):
    for path in (data_dir / "nyuv2").glob(pattern):
        np.save(path, change(np.load(path)))


@pytest.mark.parametrize(
    ("pattern", "change", "message"),
    [
        ("val/*/*.npy", lambda a: a[:, :32], "the pictures of train and val differ in size"),
        ("*/*/*.npy", lambda a: a[:30], "pictures are 30 x 64, too small to be halved 5 times"),
        ("*/depth/*.npy", lambda a: a[:16], "train/depth: 16 x 64 instead of 32 x 64"),
        ("val/depth/*.npy", np.zeros_like, "val/depth: no pixel has a label"),
        ("val/label/*.npy", lambda a: 0 * a - 1, "val/label: no pixel has a label"),
    ],
)
def test_wrong_sizes_and_empty_labels_are_one_sentence(ready, pattern, change, message):
    dataset, data_dir = ready("nyuv2")
    rewrite(data_dir, pattern, change)
    with pytest.raises(DatasetError, match=message):
        dataset.load(0, data_dir)


def test_segnet_puts_values_back_where_the_maxima_were():
    """Moving a picture by a whole pooling cell moves the features with it, away from the borders."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = SegNet(3, widths(2)).eval()
        picture = torch.zeros(1, 3, 32, 320)
        picture[..., 128:160] = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        here, there = network(picture), network(picture.roll(32, dims=3))
    assert here.shape == (1, 2, 32, 320)
    torch.testing.assert_close(here[..., 64:224], there[..., 96:256], atol=1e-6, rtol=1e-5)
    assert here.std() > 0
