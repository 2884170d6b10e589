"""Scenes with an answer for every pixel, in the preprocessed form of MTAN and LibMTL: what nyuv2 and cityscapes share.

Folders ``train`` and ``val``, in each one folder per quantity with the arrays ``0.npy``, ``1.npy``, ...: ``image``
(H, W, 3) in [0, 1], and one for each task. ``val`` is the test split of the papers, which have no validation split.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from . import data_directory, files
from .dataset import UNLABELLED, DatasetError, MultiTaskDataset, Split, Splits, Task
from .images import Pixels
from .segnet import DEPTH, SegNet, head, widths

HELD_OUT = 0.1  # of the training scenes, for validation


class Scenes(MultiTaskDataset):
    """Dense tasks on uint8 pictures (3, H, W); H and W are those of the files, 32 or more, the same for all.

    Pictures are rounded to bytes, an error of at most 1/510. A tenth of the training scenes, one fixed draw, is kept
    for validation. ``width`` is the number of channels of SegNet's first stage.
    """

    readers: ClassVar[dict[str, Callable[[Path, np.ndarray], np.ndarray]]]  # task, which is its folder too: reader

    def __init__(self, *, width: int = 64) -> None:
        if type(width) is not int or width < 1:
            raise DatasetError(f"{self.name}: width is {width!r} but must be a whole number of at least 1")
        self.width = width

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The scenes, the same for every ``seed``."""
        folder = data_directory(data_dir) / self.source.folder
        files.locate(self.source, folder)
        train, test = self._numbers(folder / "train"), self._numbers(folder / "val")
        order = np.random.default_rng(0).permutation(train)
        held_out = round(HELD_OUT * len(train))
        if not 0 < held_out < len(train):
            raise DatasetError(f"{folder / 'train'} holds {len(train)} scenes, too few to keep a tenth for validation")
        parts = (("train", np.sort(order[held_out:])), ("train", np.sort(order[:held_out])), ("val", np.array(test)))
        splits = Splits.of(*(self._part(folder / name, numbers) for name, numbers in parts))
        if splits.train.inputs.shape[1:] != splits.test.inputs.shape[1:]:
            raise DatasetError(f"{folder}: the pictures of train and val differ in size")
        return splits

    def _numbers(self, folder: Path) -> list[int]:
        """The numbers of the scenes in ``folder``: of every quantity the same."""
        found = {
            name: {int(path.stem) for path in (folder / name).glob("*.npy") if re.fullmatch("[0-9]+", path.stem)}
            for name in ("image", *self.readers)
        }
        for name, numbers in found.items():
            if numbers != found["image"] or not numbers:
                odd = min(numbers ^ found["image"], default=0)
                raise DatasetError(f"{folder}: scene {odd} is not both in image and in {name}")
        return sorted(found["image"])

    def _part(self, folder: Path, numbers: np.ndarray) -> Split:
        pictures = _stack([folder / "image" / f"{n}.npy" for n in numbers], read_picture)
        height, width = pictures.shape[2:]
        if min(height, width) < 2**DEPTH:
            raise DatasetError(f"{folder}: pictures are {height} x {width}, too small to be halved {DEPTH} times")
        targets = {n: _stack([folder / n / f"{i}.npy" for i in numbers], read) for n, read in self.readers.items()}
        for name, target in targets.items():
            if target.shape[2:] != pictures.shape[2:]:
                raise DatasetError(
                    f"{folder / name}: {' x '.join(map(str, target.shape[2:]))} instead of {height} x {width}"
                )
            if not bool((target != UNLABELLED).any() if not target.is_floating_point() else (~target.isnan()).any()):
                raise DatasetError(f"{folder / name}: no pixel has a label")
        return Split(pictures, targets)

    def encoder(self) -> nn.Module:
        """SegNet with its decoder, to (batch, width, H, W)."""
        return nn.Sequential(Pixels(), SegNet(3, widths(self.width)))

    def head(self, task: Task) -> nn.Module:
        """Two convolutions, to (batch, outputs, H, W)."""
        return head(self.width, task.outputs)


def _stack(paths: list[Path], read: Callable[[Path, np.ndarray], np.ndarray]) -> Tensor:
    """The arrays of all files in one tensor, filled file by file."""
    whole: np.ndarray | None = None
    for place, path in enumerate(paths):
        array = read(path, _load(path))
        if whole is None:
            whole = np.empty((len(paths), *array.shape), dtype=array.dtype)
        if array.shape != whole.shape[1:]:
            sizes = (" x ".join(map(str, shape)) for shape in (array.shape, whole.shape[1:]))
            raise DatasetError("{}: {} instead of the {} of the files before it".format(path, *sizes))
        whole[place] = array
    assert whole is not None
    return torch.from_numpy(whole)


def _load(path: Path) -> np.ndarray:
    files.refuse_pointer(path)
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{path} is not a whole array of numbers: {str(error).splitlines()[0]}") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise DatasetError(f"{path} is not an array of numbers")
    if not np.isfinite(array).all():
        raise DatasetError(f"{path} holds NaN or infinity")
    return array


def read_picture(path: Path, array: np.ndarray) -> np.ndarray:
    """(H, W, 3) in [0, 1] to uint8 (3, H, W)."""
    if array.ndim != 3 or array.shape[2] != 3 or array.min() < -1e-3 or array.max() > 1 + 1e-3:
        raise DatasetError(f"{path} is not a picture: it must be (H, W, 3) with values from 0 to 1")
    return np.rint(array * 255).astype(np.uint8).transpose(2, 0, 1)


def read_classes(classes: int) -> Callable[[Path, np.ndarray], np.ndarray]:
    """A reader of (H, W) with classes from 0, or -1 where there is none, to int8 (1, H, W)."""

    def read(path: Path, array: np.ndarray) -> np.ndarray:
        if array.ndim != 2 or (array != np.rint(array)).any() or array.min() < -1 or array.max() >= classes:
            raise DatasetError(f"{path} must be (H, W) with whole numbers from -1 to {classes - 1}")
        return np.where(array < 0, UNLABELLED, array).astype(np.int8)[None]

    return read


def read_depth(path: Path, array: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, 1) with 0 where nothing was measured, to float32 (1, H, W)."""
    plane = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if plane.ndim != 2 or plane.min() < 0:
        raise DatasetError(f"{path} must be (H, W) or (H, W, 1) without negative depths")
    return np.where(plane == 0, np.nan, plane).astype(np.float32)[None]


def read_normals(path: Path, array: np.ndarray) -> np.ndarray:
    """(H, W, 3) with (0, 0, 0) where nothing was measured, to float32 (3, H, W)."""
    if array.ndim != 3 or array.shape[2] != 3:
        raise DatasetError(f"{path} must be (H, W, 3)")
    known = (array != 0).any(axis=2, keepdims=True)
    return np.where(known, array, np.nan).astype(np.float32).transpose(2, 0, 1)
