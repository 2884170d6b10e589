"""scaled_regression: regression tasks that are related but whose scales lie orders of magnitude apart.

The family of Z. Chen, V. Badrinarayanan, C.-Y. Lee, A. Rabinovich, "GradNorm", ICML 2018, section 4:

    f_i(x) = σ_i tanh((B + ε_i) x / s),    B_jk ~ N(0, 10),  (ε_i)_jk ~ N(0, 3.5) variances,  x ~ N(0, I)

B is common to all tasks, ε_i belongs to one. Here s = √(13.5 d) for inputs of dimension d, so that tanh is neither
linear nor saturated (the paper has s = 1). Losses are squared errors on the raw scale: they lie ``2 decades`` orders
of magnitude apart.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import mse_loss

from .dataset import DatasetError, MultiTaskDataset, Protocol, Source, Split, Splits, Task
from .metrics import NORMALISED_MSE, RMSE

INPUTS, OUTPUTS, WIDTH = 16, 4, 64
SAMPLES = (2048, 500, 500)
COMMON_VARIANCE, TASK_VARIANCE = 10.0, 3.5


class ScaledRegression(MultiTaskDataset):
    """``tasks`` regressions of 4 numbers from 16, the largest scale ``decades`` orders of magnitude above the least.

    The scales σ_i, in the attribute ``scales``, are a geometric progression around 1: by default 0.1 to 10. The seed
    draws B, all ε_i and the samples of the three splits.
    """

    name = "scaled_regression"
    summary = "10 related regression tasks whose scales differ by orders of magnitude, generated"
    # Chosen here: single-task training explains 96 % of the variance of every task or more.
    protocol = Protocol(epochs=20, batch_size=256, optimizer="adam", learning_rate=1e-2)
    source = Source(
        files=(),
        home="generated",
        licence="MIT (part of mtlbench)",
        citation=(
            "Z. Chen, V. Badrinarayanan, C.-Y. Lee, A. Rabinovich. GradNorm: gradient normalization for adaptive "
            "loss balancing in deep multitask networks. ICML 2018"
        ),
    )

    def __init__(self, *, tasks: int = 10, decades: float = 2.0) -> None:
        if type(tasks) is not int or tasks < 1:
            raise DatasetError(f"scaled_regression: tasks is {tasks!r} but must be a whole number of at least 1")
        if type(decades) not in (int, float) or not 0 <= decades <= 12:
            raise DatasetError(f"scaled_regression: decades is {decades!r} but must be a number between 0 and 12")
        exponents = np.linspace(-decades / 2, decades / 2, tasks) if tasks > 1 else np.zeros(1)
        self.scales = tuple(float(scale) for scale in 10**exponents)
        digits = len(str(tasks))
        self.tasks = tuple(
            Task(f"task_{i + 1:0{digits}}", OUTPUTS, mse_loss, (NORMALISED_MSE, RMSE)) for i in range(tasks)
        )

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The samples of trial ``seed``; ``data_dir`` is not used."""
        rng = np.random.default_rng(seed)
        common = rng.normal(0, math.sqrt(COMMON_VARIANCE), (OUTPUTS, INPUTS))
        own = rng.normal(0, math.sqrt(TASK_VARIANCE), (len(self.tasks), OUTPUTS, INPUTS))
        maps = (common + own) / math.sqrt((COMMON_VARIANCE + TASK_VARIANCE) * INPUTS)
        return Splits.of(*(self._split(maps, rng.normal(size=(count, INPUTS))) for count in SAMPLES))

    def _split(self, maps: np.ndarray, inputs: np.ndarray) -> Split:
        # einsum, not a BLAS product: its sums do not depend on the number of threads.
        values = np.tanh(np.einsum("koi,ni->kno", maps, inputs))
        return Split(
            inputs=torch.from_numpy(inputs.astype(np.float32)),
            targets={
                task.name: torch.from_numpy((scale * value).astype(np.float32))
                for task, scale, value in zip(self.tasks, self.scales, values, strict=True)
            },
        )

    def encoder(self) -> nn.Module:
        """Two full layers of 64, to (batch, 64)."""
        return nn.Sequential(nn.Linear(INPUTS, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU())

    def head(self, task: Task) -> nn.Module:
        """One full layer, 64 to the outputs of ``task``."""
        return nn.Linear(WIDTH, task.outputs)
