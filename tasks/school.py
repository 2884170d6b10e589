"""school: the exam scores of 15,362 pupils of 139 schools in Inner London, one task per school.

Task data are disjoint, and few: 22 to 251 pupils a school. From H. Goldstein, "Multilevel modelling of survey data",
The Statistician 40, 1991, in the form of J. Zhou, J. Chen, J. Ye (MALSAR), with the constant input left out. The
literature splits each school at random and repeats it (A. Argyriou, T. Evgeniou, M. Pontil, "Multi-task feature
learning", NeurIPS 2006): here 60 % train, 20 % validation, 20 % test of every school, drawn by the seed.

Scores are standardised with mean and standard deviation of all training scores, one scale for all schools: the mean
over the pupils of the squared error is then one minus the explained variance of the papers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from . import data_directory, files, tables
from .dataset import DatasetError, MultiTaskDataset, Protocol, Source, SourceFile, Split, Splits, Task
from .losses import mse

FILE = "school.mat"
SCHOOLS, INPUTS = 139, 27


class School(MultiTaskDataset):
    """139 regression tasks on 27 numbers; each pupil has the label of one task, NaN in all others.

    ``widths`` are those of the encoder's layers.
    """

    name = "school"
    summary = "exam scores of the pupils of 139 schools, 139 regression tasks with disjoint data"
    tasks = tuple(
        Task(f"school_{i + 1:03}", 1, mse, (tables.STANDARD_RMSE, tables.STANDARD_MAE)) for i in range(SCHOOLS)
    )
    # Chosen here. A batch holds about seven pupils of every school.
    protocol = Protocol(epochs=40, batch_size=1024, optimizer="adam", learning_rate=2e-3)
    source = Source(
        files=(
            SourceFile(
                FILE,
                "57fb3238fdd03a9aa17276e2ce18d9bbb5d128c3261e794fe6233b58b6909068",
                44_759,
                "https://github.com/jiayuzhou/MALSAR/raw/master/data/school.mat",
            ),
        ),
        home="Centre for Multilevel Modelling, University of Bristol; MATLAB form from MALSAR",
        licence="none stated; public research data",
        citation=(
            "H. Goldstein. Multilevel modelling of survey data. The Statistician 40, 1991. B. Bakker, T. Heskes. Task "
            "clustering and gating for Bayesian multitask learning. JMLR 4, 2003"
        ),
        folder="school",
    )

    def __init__(self, *, widths: tuple[int, ...] = (32,)) -> None:
        self.widths = tables.check_widths(self.name, widths)

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The pupils of trial ``seed``."""
        paths = files.locate(self.source, data_directory(data_dir) / self.source.folder)
        files.verify(self.source, paths)
        inputs, scores = _read(paths[FILE])
        rng = np.random.default_rng(seed)
        first = np.cumsum([0, *map(len, scores)])
        shares = [[rows + start for rows in tables.share(rng, len(s))] for s, start in zip(scores, first, strict=False)]
        members = [np.concatenate(rows) for rows in zip(*shares, strict=True)]
        table, score = np.concatenate(inputs), np.concatenate(scores)
        school = np.repeat(np.arange(SCHOOLS), [len(s) for s in scores])
        scale_in, scale_out = tables.Scale.of(table[members[0]]), tables.Scale.of(score[members[0]])
        return Splits.of(
            *(self._split(scale_in(table[rows]), scale_out(score[rows]), school[rows]) for rows in members)
        )

    def _split(self, inputs: np.ndarray, scores: np.ndarray, school: np.ndarray) -> Split:
        targets = {
            task.name: torch.from_numpy(np.where(school == i, scores, np.float32(np.nan))[:, None])
            for i, task in enumerate(self.tasks)
        }
        return Split(torch.from_numpy(inputs), targets)

    def encoder(self) -> nn.Module:
        """Full layers of ``widths``."""
        return nn.Sequential(*tables.full_layers(INPUTS, self.widths))

    def head(self, task: Task) -> nn.Module:
        """One full layer."""
        return nn.Linear(self.widths[-1], task.outputs)


def _read(path: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The inputs (pupils, 27) and scores (pupils,) of every school."""
    cells = tables.read_mat(path, "X", "Y")
    for name, cell in zip("XY", cells, strict=True):
        if cell.dtype != object or cell.size != SCHOOLS:
            raise DatasetError(
                f"{path}: {name} has {cell.size} cells of type {cell.dtype} instead of {SCHOOLS} schools"
            )
    inputs, scores = ([np.asarray(values, dtype=np.float64) for values in cell.flat] for cell in cells)
    for number, (x, y) in enumerate(zip(inputs, scores, strict=True), start=1):
        if x.shape != (len(y), INPUTS + 1) or y.shape != (len(x), 1) or len(x) < 3:
            raise DatasetError(
                f"{path}: school {number} has inputs {x.shape} and scores {y.shape} instead of (pupils, {INPUTS + 1}) "
                "and (pupils, 1) with at least 3 pupils"
            )
        tables.check_numbers(path, np.concatenate([x, y], axis=1))
    return [x[:, :INPUTS] for x in inputs], [y[:, 0] for y in scores]
