"""sarcos: the seven joint torques of a SARCOS robot arm from its positions, velocities and accelerations.

From S. Vijayakumar, S. Schaal, "Locally weighted projection regression", ICML 2000. The official test file alone is
enough: 4,449 rows, of which 60 % train and 20 % each are validation and test. Where the official training file lies
beside it, that one trains, a tenth of it validates, and the test file tests. Its rows recur in the training file, from
which they are taken out: numbers here are not comparable with published ones that leave them in.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn

from . import data_directory, files, tables
from .dataset import DatasetError, MultiTaskDataset, Protocol, Source, SourceFile, Splits, Task
from .losses import mse
from .metrics import NORMALISED_MSE

TRAIN, TEST = "sarcos_inv.mat", "sarcos_inv_test.mat"
INPUTS, TORQUES = 21, 7


class Sarcos(MultiTaskDataset):
    """Seven regression tasks on 21 numbers; inputs and targets are standardised on training.

    ``widths`` are those of the encoder's layers. No checksum of the training file is known to us: its variable and its
    shape, ``training_rows`` by 28, are checked instead.
    """

    name = "sarcos"
    summary = "seven torques of a robot arm from its motion, 7 regression tasks"
    tasks = tuple(Task(f"torque_{i + 1}", 1, mse, (NORMALISED_MSE, tables.STANDARD_RMSE)) for i in range(TORQUES))
    # Chosen here: equal weighting leaves 1 to 5 % of the variance of each torque, on the test file alone.
    protocol = Protocol(epochs=50, batch_size=64, optimizer="adam", learning_rate=2e-3)
    source = Source(
        files=(
            SourceFile(
                TEST,
                "161a59b5c3b4f4b404584323f181607b2acbe620eb134dc720760dc3f38f5cec",
                996_776,
                f"https://gaussianprocess.org/gpml/data/{TEST}",
            ),
        ),
        home="the data page of C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning",
        licence="none stated; published for research",
        citation=(
            "S. Vijayakumar, S. Schaal. Locally weighted projection regression. ICML 2000. C. E. Rasmussen, C. K. I. "
            "Williams. Gaussian Processes for Machine Learning. MIT Press, 2006"
        ),
        folder="sarcos",
    )
    training_rows = 44_484

    def __init__(self, *, widths: tuple[int, ...] = (128, 128)) -> None:
        self.widths = tables.check_widths(self.name, widths)

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The rows, the same for every ``seed``."""
        folder = data_directory(data_dir) / self.source.folder
        paths = files.locate(self.source, folder)
        files.verify(self.source, paths)
        test = _read(paths[TEST], "sarcos_inv_test")
        if not (folder / TRAIN).exists():
            return self._splits(test, tables.share(np.random.default_rng(0), len(test)))
        train = _read(folder / TRAIN, "sarcos_inv")
        if len(train) != self.training_rows:
            raise DatasetError(f"{folder / TRAIN} has {len(train)} rows instead of {self.training_rows}")
        tested = {row.tobytes() for row in test[:, :INPUTS].astype(np.float32)}
        train = train[[row.tobytes() not in tested for row in train[:, :INPUTS].astype(np.float32)]]
        order = np.random.default_rng(0).permutation(len(train))
        tenth = len(train) // 10
        members = [np.sort(order[tenth:]), np.sort(order[:tenth]), np.arange(len(train), len(train) + len(test))]
        return self._splits(np.concatenate([train, test]), members)

    def _splits(self, rows: np.ndarray, members: list[np.ndarray]) -> Splits:
        names = [task.name for task in self.tasks]
        return Splits.of(*tables.regression_splits(names, rows[:, :INPUTS], rows[:, INPUTS:], members))

    def encoder(self) -> nn.Module:
        """Full layers of ``widths``."""
        return nn.Sequential(*tables.full_layers(INPUTS, self.widths))

    def head(self, task: Task) -> nn.Module:
        """One full layer."""
        return nn.Linear(self.widths[-1], task.outputs)


def _read(path: Path, variable: str) -> np.ndarray:
    (rows,) = tables.read_mat(path, variable)
    if rows.ndim != 2 or rows.shape[1] != INPUTS + TORQUES or rows.dtype.kind not in "fiu":
        raise DatasetError(
            f"{path}: {variable} has the shape {rows.shape} and the type {rows.dtype} instead of rows of "
            f"{INPUTS + TORQUES} numbers"
        )
    tables.check_numbers(path, rows)
    return rows.astype(np.float64)
