"""Tables of numbers and names: read from CSV, ARFF and MATLAB files, split, and encoded for a network.

Every reader raises :class:`DatasetError`, one sentence that names the file. What scales or encodes the inputs comes
from the training rows alone.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from . import files
from .dataset import DatasetError, Split
from .metrics import MAE, RMSE

if TYPE_CHECKING:
    import pandas as pd

_STANDARD = "standard deviation in training"
STANDARD_RMSE, STANDARD_MAE = replace(RMSE, unit=_STANDARD), replace(MAE, unit=_STANDARD)  # of standardised targets


def read_csv(
    path: Path, content: bytes, fields: Sequence[str], numbers: Iterable[str], *, header: bool = False
) -> pd.DataFrame:
    """The rows of a CSV file with the columns ``fields``: ``numbers`` as float64, the others as categories.

    With ``header`` its first line must hold the names. A line that starts with ``|`` is a comment, spaces after commas
    are skipped, and ``?`` is a name like any other.
    """
    import pandas as pd

    kinds = dict.fromkeys(fields, "category") | dict.fromkeys(numbers, "float64")
    try:
        with warnings.catch_warnings():
            # pandas would cut off what is too much in a row, and only warn.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.BytesIO(content),
                header=0 if header else None,
                names=None if header else list(fields),
                dtype=kinds,
                index_col=False,
                skipinitialspace=True,
                keep_default_na=False,
                comment="|",
            )
    except (ValueError, pd.errors.ParserWarning) as error:
        raise DatasetError(f"{path} is no table of {len(fields)} fields: {' '.join(str(error).split())}") from None
    if list(frame.columns) != list(fields):
        raise DatasetError(f"{path} has the columns {', '.join(frame.columns)} instead of {', '.join(fields)}")
    for field in fields:
        missing = (
            ((frame[field] == "") | frame[field].isna()) if kinds[field] == "category" else ~np.isfinite(frame[field])
        )
        if missing.any():
            raise DatasetError(f"{path}: row {int(missing.argmax()) + 1} has no {field}, or one that is not finite")
    return frame


def read_arff(path: Path, targets: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (N, columns) and targets (N, ``targets``) of an ARFF file, whose last attributes are the targets.

    A nominal input becomes one column of 0 and 1 per value that its attribute lists; a missing number is NaN, a missing
    name 0 in all its columns.
    """
    from scipy.io import arff

    try:
        rows, meta = arff.loadarff(path)
    except (arff.ArffError, NotImplementedError, ValueError, StopIteration, IndexError) as error:
        raise DatasetError(f"{path} is no ARFF file that can be read: {' '.join(str(error).split())}") from None
    columns = []
    for name, kind in zip(meta.names(), meta.types(), strict=True):
        if kind == "numeric":
            columns.append(rows[name].astype(np.float64))
        else:
            columns.extend((rows[name] == value.encode()).astype(np.float64) for value in meta[name][1])
    if set(meta.types()[-targets:]) != {"numeric"}:
        raise DatasetError(f"{path}: the last {targets} attributes are the targets and must be numeric")
    table = np.stack(columns, axis=1)
    if np.isinf(table).any():
        raise DatasetError(f"{path} holds an infinite number")
    return table[:, :-targets], table[:, -targets:]


def read_mat(path: Path, *variables: str) -> list[np.ndarray]:
    """The named ``variables`` of a MATLAB file, version 5."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    files.refuse_pointer(path)
    try:
        content = loadmat(path, variable_names=variables)
    except (MatReadError, NotImplementedError, ValueError, TypeError, OSError) as error:
        raise DatasetError(f"{path} is no MATLAB file that can be read: {' '.join(str(error).split())}") from None
    missing = [name for name in variables if name not in content]
    if missing:
        raise DatasetError(f"{path} lacks the variable {', '.join(missing)}")
    return [content[name] for name in variables]


def check_numbers(path: Path, values: np.ndarray) -> None:
    """Raise :class:`DatasetError` naming the first row in which a number is not finite."""
    broken = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if broken.any():
        raise DatasetError(f"{path}: row {int(broken.argmax()) + 1} holds a number that is not finite")


def share(rng: np.random.Generator, count: int, parts: int = 5) -> list[np.ndarray]:
    """The numbers below ``count`` shuffled: one of ``parts`` for validation, one for test, the others for training.

    Returns them in the order of the splits: training, validation, test.
    """
    held_out = max(count // parts, 1)
    test, validation, train = np.split(rng.permutation(count), [held_out, 2 * held_out])
    return [np.sort(part) for part in (train, validation, test)]


class Scale(NamedTuple):
    """``(x − mean) / std`` of each column, both from the rows that it was made of; a constant one is centred only."""

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> Scale:
        """The scale of ``rows`` (N, columns); a missing value (NaN) does not count."""
        constant = np.nanmax(rows, axis=0) == np.nanmin(rows, axis=0)
        return cls(np.nanmean(rows, axis=0), np.where(constant, 1.0, np.nanstd(rows, axis=0)))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """The rows on that scale, float32."""
        return ((rows - self.mean) / self.std).astype(np.float32)


def regression_splits(
    names: Sequence[str], inputs: np.ndarray, targets: np.ndarray, members: Iterable[np.ndarray]
) -> list[Split]:
    """The splits of a regression table, inputs and targets standardised on training, which ``members`` lists first.

    A missing input is the mean of training, 0. Raises :class:`DatasetError` where a target does not vary in training.
    """
    train, *held_out = members
    scale_in, scale_out = Scale.of(inputs[train]), Scale.of(targets[train])
    for name, values in zip(names, targets[train].T, strict=True):
        if values.min() == values.max():
            raise DatasetError(f"the target {name!r} does not vary in the training split, which has {len(train)} rows")
    return [
        Split(
            torch.from_numpy(np.nan_to_num(scale_in(inputs[rows]), nan=0.0)),
            {n: torch.from_numpy(t[:, None]) for n, t in zip(names, scale_out(targets[rows]).T.copy(), strict=True)},
        )
        for rows in (train, *held_out)
    ]


def encode(path: Path, frames: Sequence[pd.DataFrame], fields: Mapping[str, int]) -> list[np.ndarray]:
    """Each of ``frames`` as float32 (N, fields), numbers first: what :class:`OneHot` expands.

    ``fields`` says how many values a nominal field has, 0 for a number. A number is standardised, a nominal value is
    its place among the sorted values of the first frame, training; −1 if that has it not.
    """
    train = frames[0]
    numbers = [name for name, size in fields.items() if not size]
    scale = Scale.of(train[numbers].to_numpy())
    tables = [[scale(frame[numbers].to_numpy())] for frame in frames]
    for name, size in fields.items():
        if size:
            values = sorted(train[name].cat.remove_unused_categories().cat.categories)
            if len(values) > size:
                raise DatasetError(f"{path}: the field {name} has {len(values)} values, but there are {size}")
            for table, frame in zip(tables, frames, strict=True):
                codes = frame[name].cat.set_categories(values).cat.codes
                table.append(codes.to_numpy().astype(np.float32)[:, None])
    return [np.concatenate(table, axis=1) for table in tables]


class OneHot(nn.Module):
    """A table of :func:`encode` to (batch, numbers + all values of all nominal fields), a column of 0 or 1 per value.

    Expanded batch by batch, a table of 40 fields takes a tenth of the memory. A value that training does not have is 0
    in every column of its field.
    """

    def __init__(self, fields: Mapping[str, int]) -> None:
        super().__init__()
        sizes = [size for size in fields.values() if size]
        self.numbers = len(fields) - len(sizes)
        self.columns = sum(sizes)
        first = torch.tensor([0, *sizes[:-1]]).cumsum(0)
        self.first: Tensor
        self.register_buffer("first", first, persistent=False)

    @property
    def width(self) -> int:
        """The number of columns that come out."""
        return self.numbers + self.columns

    def forward(self, inputs: Tensor) -> Tensor:
        numbers, codes = inputs[:, : self.numbers], inputs[:, self.numbers :].long()
        # One column more takes the values that training does not have, and is cut off.
        places = torch.where(codes < 0, self.columns, codes + self.first)
        hot = inputs.new_zeros(len(inputs), self.columns + 1).scatter_(1, places, 1.0)
        return torch.cat([numbers, hot[:, : self.columns]], dim=1)


def check_widths(dataset: str, widths: Any) -> tuple[int, ...]:
    """The widths of the layers of an encoder; raises :class:`DatasetError` where they are none."""
    ok = isinstance(widths, list | tuple) and len(widths) > 0 and all(type(w) is int and w > 0 for w in widths)
    if not ok:
        raise DatasetError(f"{dataset}: widths is {widths!r} but must be a list of whole numbers of at least 1")
    return tuple(widths)


def full_layers(inputs: int, widths: Sequence[int]) -> list[nn.Module]:
    """Full layers from ``inputs`` through ``widths``, each with a rectifier."""
    return [layer for before, after in pairwise((inputs, *widths)) for layer in (nn.Linear(before, after), nn.ReLU())]
