"""parkinsons: two scores of Parkinson's disease from recordings of the voice, 5,875 of 42 subjects.

From A. Tsanas, M. Little, P. McSharry, L. Ramig, IEEE Trans. Biomed. Eng. 57(4), 2010. The literature splits the
recordings at random; then every subject is in all splits, and age, sex and time of the test nearly tell who it is. The
variant ``subjects`` splits the subjects instead: what it measures is how well a new patient is scored.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn

from . import data_directory, files, tables
from .dataset import MultiTaskDataset, Protocol, Source, SourceFile, Splits, Task
from .losses import mse
from .metrics import NORMALISED_MSE

FILE = "parkinsons_updrs.data"
SUBJECT = "subject#"
TARGETS = {"motor_updrs": "motor_UPDRS", "total_updrs": "total_UPDRS"}
INPUTS = (
    *("age", "sex", "test_time", "Jitter(%)", "Jitter(Abs)", "Jitter:RAP", "Jitter:PPQ5", "Jitter:DDP", "Shimmer"),
    *(
        "Shimmer(dB)",
        "Shimmer:APQ3",
        "Shimmer:APQ5",
        "Shimmer:APQ11",
        "Shimmer:DDA",
        "NHR",
        "HNR",
        "RPDE",
        "DFA",
        "PPE",
    ),
)


class Parkinsons(MultiTaskDataset):
    """Two regression tasks on 19 numbers; inputs and targets are standardised on training.

    The seed draws 60 % for training and 20 % each for validation and test: of the recordings, or with
    ``variant="subjects"`` of the subjects. The subject's number is no input. ``widths`` are those of the encoder's
    layers.
    """

    name = "parkinsons"
    summary = "motor and total UPDRS score from recordings of the voice, 2 regression tasks"
    variants = ("recordings", "subjects")
    tasks = tuple(Task(task, 1, mse, (NORMALISED_MSE, tables.STANDARD_MAE)) for task in TARGETS)
    # Chosen here.
    protocol = Protocol(epochs=50, batch_size=64, optimizer="adam", learning_rate=2e-3)
    source = Source(
        files=(
            SourceFile(
                FILE,
                "f2c7d5025dec4e92e7feae367a5f7ccf58789a10ac6b54bdf15976c599f9dd39",
                911_261,
                f"https://archive.ics.uci.edu/ml/machine-learning-databases/parkinsons/telemonitoring/{FILE}",
            ),
        ),
        home="UCI Machine Learning Repository, Parkinsons Telemonitoring",
        licence="CC BY 4.0",
        citation=(
            "A. Tsanas, M. Little, P. McSharry, L. Ramig. Accurate telemonitoring of Parkinson's disease progression "
            "by non-invasive speech tests. IEEE Trans. Biomed. Eng. 57(4), 2010"
        ),
        folder="parkinsons",
    )

    def __init__(self, *, variant: str = "recordings", widths: tuple[int, ...] = (64, 64)) -> None:
        self.by_subject = variant == "subjects"
        self.widths = tables.check_widths(self.name, widths)

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The recordings of trial ``seed``."""
        paths = files.locate(self.source, data_directory(data_dir) / self.source.folder)
        files.verify(self.source, paths)
        fields = (SUBJECT, *INPUTS[:3], *TARGETS.values(), *INPUTS[3:])
        frame = tables.read_csv(paths[FILE], paths[FILE].read_bytes(), fields, fields, header=True)
        rng = np.random.default_rng(seed)
        if self.by_subject:
            subjects, owner = np.unique(frame[SUBJECT], return_inverse=True)
            members = [np.flatnonzero(np.isin(owner, drawn)) for drawn in tables.share(rng, len(subjects))]
        else:
            members = tables.share(rng, len(frame))
        inputs, targets = frame[list(INPUTS)].to_numpy(), frame[list(TARGETS.values())].to_numpy()
        return Splits.of(*tables.regression_splits(tuple(TARGETS), inputs, targets, members))

    def encoder(self) -> nn.Module:
        """Full layers of ``widths``."""
        return nn.Sequential(*tables.full_layers(len(INPUTS), self.widths))

    def head(self, task: Task) -> nn.Module:
        """One full layer."""
        return nn.Linear(self.widths[-1], task.outputs)
