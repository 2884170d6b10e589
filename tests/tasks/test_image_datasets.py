"""office_caltech, office31, office_home, celeba: pictures and features by domain, and what is wrong with a file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from making import described
from PIL import Image
from scipy.io import loadmat, savemat

from mtlbench import tasks
from mtlbench.tasks import DatasetError
from mtlbench.tasks.dataset import UNLABELLED
from mtlbench.tasks.images import Pixels, read_images

REAL = os.environ.get("MTLBENCH_DATA")
needs_real_files = pytest.mark.skipif(not REAL, reason="MTLBENCH_DATA does not name the folder of the real files")


def refuse(dataset, data_dir: Path, message: str) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        dataset.load(0, data_dir)
    assert "\n" not in str(caught.value)


def test_each_sample_has_the_label_of_its_own_domain_and_each_class_is_shared_out(ready):
    dataset, data_dir = ready("office_caltech")
    splits = dataset.load(0, data_dir)
    for split, share in ((splits.train, 3), (splits.validation, 1), (splits.test, 1)):
        labels = torch.stack([split.targets[task.name] for task in dataset.tasks])
        assert torch.equal((labels != UNLABELLED).sum(dim=0), torch.ones(len(split), dtype=torch.int64))
        for own in labels:
            assert torch.equal(torch.bincount(own[own != UNLABELLED], minlength=10), torch.full((10,), share))
    assert splits.train.inputs.mean(dim=0).abs().max() < 1e-5
    torch.testing.assert_close(splits.train.inputs.std(dim=0), torch.ones(800))
    assert splits.validation.inputs.mean(dim=0).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fts": np.ones((50, 700), dtype=np.uint8)}, r"amazon_SURF_L10.mat: fts is 50 x 700, not 50 x 800"),
        ({"labels": np.full((50, 1), 11)}, "amazon_SURF_L10.mat holds a label outside 1 to 10"),
        ({"labels": np.zeros((50, 1))}, "holds a label outside 1 to 10"),
        ({"labels": np.ones((49, 1))}, "fts is 50 x 800, not 49 x 800"),
        ({"fts": np.zeros((50, 800))}, "a picture without any visual word"),
        ({"fts": np.full((50, 800), np.nan)}, "a picture without any visual word"),
        ({"labels": np.arange(50)[:, None] // 49 + 1}, "class 1 of amazon has 1 samples, but three splits need 3"),
        ({"labels": None}, "is not a MATLAB file with fts and labels"),
    ],
)
def test_wrong_features_are_one_sentence(ready, change, message):
    dataset, data_dir = ready("office_caltech")
    path = data_dir / "office_caltech10" / "amazon_SURF_L10.mat"
    content = {name: loadmat(path)[name] for name in ("fts", "labels")} | change
    savemat(path, {name: value for name, value in content.items() if value is not None})
    dataset.source = described(data_dir, "office_caltech10")
    refuse(dataset, data_dir, message)


def test_pictures_are_resized_and_kept_as_bytes(tmp_path):
    red = np.zeros((10, 30, 3), dtype=np.uint8)
    red[..., 0] = 200
    Image.fromarray(red).save(tmp_path / "wide.png")
    Image.fromarray(np.full((50, 20), 77, dtype=np.uint8)).save(tmp_path / "grey.png")
    found = read_images([tmp_path / "wide.png", tmp_path / "grey.png"], 8)
    assert found.shape == (2, 3, 8, 8)
    assert found.dtype == torch.uint8
    assert torch.equal(found[0].flatten(1).unique(dim=1), torch.tensor([[200], [0], [0]], dtype=torch.uint8))
    assert set(found[1].unique().tolist()) == {77}
    layer = Pixels()
    expected = (torch.tensor([200 / 255, 0, 0]) - layer.mean.flatten()) / layer.std.flatten()
    torch.testing.assert_close(layer(found)[0, :, 0, 0], expected)


def test_each_domain_of_office31_has_its_own_pictures(ready):
    dataset, data_dir = ready("office31")
    splits = dataset.load(0, data_dir)
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [93, 93, 93]
    for task in dataset.tasks:
        own = splits.train.targets[task.name]
        assert sorted(own[own != UNLABELLED].tolist()) == list(range(31))


def test_a_picture_that_is_cut_or_none_is_named(ready):
    dataset, data_dir = ready("office31")
    path = data_dir / "office31" / "dslr" / "images" / "class_07" / "frame_0001.jpg"
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"GIF89a" + whole):
        path.write_bytes(content)
        refuse(dataset, data_dir, r"class_07/frame_0001.jpg is not a whole picture")
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    refuse(dataset, data_dir, r"class_07/frame_0001.jpg is a Git LFS pointer")


def test_classes_that_are_missing_or_differ_are_named(ready):
    dataset, data_dir = ready("office31")
    root = data_dir / "office31"
    (root / "dslr" / "images" / "class_30").rename(root / "dslr" / "images" / "mug")
    refuse(dataset, data_dir, "dslr/images and the first domain have different classes: 'class_30' is in one only")
    for path in (root / "amazon" / "images" / "class_00").iterdir():
        path.unlink()
    refuse(dataset, data_dir, "amazon/images holds 30 folders with pictures, but there are 31 classes")
    (root / "amazon" / "images").rename(root / "amazon" / "pictures")
    refuse(dataset, data_dir, "amazon/images is not a folder of classes")


def test_celeba_reads_the_official_split(ready):
    dataset, data_dir = ready("celeba")
    splits = dataset.load(0, data_dir)
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [24, 12, 12]
    lines = (data_dir / "celeba" / "list_attr_celeba.txt").read_text().splitlines()
    smiling = lines[1].split().index("Smiling")
    expected = [float(line.split()[1 + smiling] == "1") for line in lines[2 + 24 : 2 + 36]]
    assert splits.validation.targets["smiling"].flatten().tolist() == expected
    assert splits.test.inputs.shape == (12, 3, 64, 64)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("list_attr_celeba.txt", "48\n", "49\n", "is cut or damaged: it says '49' pictures and lists 48"),
        ("list_attr_celeba.txt", "Smiling", "Laughing", "does not name the 40 attributes"),
        ("list_attr_celeba.txt", "000003.jpg", "000003.jpg 1", "the row of 000003.jpg does not hold 40 values"),
        ("list_attr_celeba.txt", "000048.jpg", "000048.jpg\udcff", "cannot be read as lines of text"),
        ("list_eval_partition.txt", "000002.jpg 0\n", "", "does not list the 48 pictures"),
        ("list_eval_partition.txt", "000002.jpg 0", "000002.jpg 3", "the row of 000002.jpg does not end in 0, 1 or 2"),
        (
            "list_eval_partition.txt",
            " 1\n",
            " 0\n",
            r"leaves one of train .0., .* test .2. empty",
        ),
    ],
)
def test_wrong_lists_of_celeba_are_one_sentence(ready, file, old, new, message):
    dataset, data_dir = ready("celeba")
    path = data_dir / "celeba" / file
    path.write_bytes(path.read_text().replace(old, new).encode("utf-8", "surrogateescape"))
    refuse(dataset, data_dir, f"{file}.*{message}")


def test_a_picture_that_celeba_lists_and_does_not_have_is_named(ready):
    dataset, data_dir = ready("celeba")
    (data_dir / "celeba" / "img_align_celeba" / "000040.jpg").unlink()
    refuse(dataset, data_dir, "000040.jpg is not a whole picture")


@needs_real_files
def test_real_office_caltech():
    dataset = tasks.get("office_caltech")
    splits = dataset.load(0, Path(REAL))
    assert [len(splits.train), len(splits.validation), len(splits.test)] == [1521, 506, 506]
    parts = (splits.train, splits.validation, splits.test)
    known = [sum(int((s.targets[task.name] != UNLABELLED).sum()) for s in parts) for task in dataset.tasks]
    assert known == [958, 1123, 157, 295]
