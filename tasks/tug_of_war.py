"""tug_of_war: tasks that pull one linear predictor to different places, with a convex or a concave front, generated.

    y_k = ⟨β_k, x⟩ + σ ε,    x ~ N(0, I),  ε ~ N(0, 1),  ‖β_k‖ = 1,  cosine of any two −κ / (K − 1)

Every task is judged on the same output ⟨θ, x⟩: the heads have no parameters, and no network of this form serves two
tasks. With r_k = ‖θ − β_k‖ the expected losses, and so the truth, are known:

    variant      loss of an error e       expected loss L_k
    convex       e²                       r_k² + σ²
    concave      1 − exp(−s e²)           1 − (1 + 2 s (r_k² + σ²))^(−1/2),    s = 4

- At θ = 0 the gradients of the tasks are −β_k times one positive number: the cosine of any two is −κ / (K − 1). That is
  the dial ``conflict`` κ, from 0, where they are orthogonal, to 1, where they cancel each other.
- The Pareto optimal θ are the convex hull of the β_k in either variant: an L_k rises with r_k only.
- Convex: fixed weights w put θ at Σ w_k β_k, so each point of the hull is reached by one choice of weights. Here
  nothing is gained by any other method.
- Concave, 2 tasks, κ = 1, σ = 1/4: L_k is concave in r_k from 1/4 of the way on, and fixed weights reach the first and
  the last hundredth of the segment between β_1 and β_2, never the 98 % between, as in the example of C. Fonseca and P.
  Fleming, "An overview of evolutionary algorithms in multiobjective optimization", Evolutionary Computation 3(1), 1995,
  with which X. Lin, H.-L. Zhen, Z. Li, Q. Zhang, S. Kwong, "Pareto multi-task learning", NeurIPS 2019, make the point.

A step of the protocol sees all samples. With small batches (``batch_size`` in a benchmark file) mgda and upgrad, which
stop between the tasks otherwise, drift to an end: the weights of noisy gradients are biased.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from . import teachers
from .dataset import Metric, MultiTaskDataset, Protocol, Source, Splits, Task
from .metrics import MSE, RMSE, check_finite

INPUTS = 16
HELD_OUT = 2000  # samples of validation and of test
SHARPNESS = 4.0


def welsch(output: Tensor, target: Tensor) -> Tensor:
    """The mean of ``1 − exp(−s (output − target)²)``: near the target a square, far from it a constant."""
    return -torch.expm1(-SHARPNESS * (output - target) ** 2).mean()


def welsch_metric(target: np.ndarray, prediction: np.ndarray) -> float:
    """The mean of ``1 − exp(−s (t − p)²)``; target and prediction (N, outputs)."""
    check_finite(prediction)
    return float(-np.expm1(-SHARPNESS * (target.astype(np.float64) - prediction) ** 2).mean())


WELSCH = Metric("welsch", welsch_metric, higher_is_better=False, unit="fraction of the largest loss")


class TugOfWar(MultiTaskDataset):
    """``tasks`` regressions, K from 2 to 16, of one number from 16 by one and the same linear output.

    The dials: ``conflict`` κ between 0 and 1; ``noise`` σ; ``samples``, the size of the training split; ``variant``,
    the shape of the front. The seed draws the teachers β_k, whose Gramian is the same for every seed, and the samples.
    """

    name = "tug_of_war"
    summary = "tasks that pull one linear predictor apart, with a known concave or convex front, generated"
    variants = ("concave", "convex")
    source = Source(
        files=(),
        home="generated",
        licence="MIT (part of mtlbench)",
        citation="X. Lin, H.-L. Zhen, Z. Li, Q. Zhang, S. Kwong. Pareto multi-task learning. NeurIPS 2019",
    )

    def __init__(
        self,
        *,
        variant: str = "concave",
        tasks: int = 2,
        conflict: float = 1.0,
        noise: float = 0.25,
        samples: int = 4000,
    ) -> None:
        teachers.check_whole(self.name, "tasks", tasks, 2, INPUTS)
        teachers.check_number(self.name, "conflict", conflict, 0, 1)
        teachers.check_number(self.name, "noise", noise, 0, 100)
        teachers.check_whole(self.name, "samples", samples, 128, 1_000_000)
        self.concave, self.noise, self.samples = variant == "concave", noise, samples
        self.cosine = -conflict / (tasks - 1)
        loss, metric = (welsch, WELSCH) if self.concave else (mse_loss, MSE)
        # Chosen here: no noise of batches, by which a method that has arrived would drift along the front, and not
        # Adam, which makes steps of full length from what is left of the gradient there.
        self.protocol = Protocol(epochs=300, batch_size=samples, optimizer="sgd", learning_rate=0.1)
        self.tasks = tuple(Task(f"task_{i + 1:02}", 1, loss, (metric, RMSE)) for i in range(tasks))

    def expected_loss(self, distance: np.ndarray) -> np.ndarray:
        """L_k at ``distance`` r_k from the teacher, elementwise."""
        square = np.square(distance) + self.noise**2
        return 1 - (1 + 2 * SHARPNESS * square) ** -0.5 if self.concave else square

    def true_front(self, points: int) -> np.ndarray:
        """The expected losses at ``points`` of the hull of the β_k: θ = Σ w_j β_j has r_k² = wᵀGw − 2 (Gw)_k + 1."""
        count = len(self.tasks)
        weights = np.random.default_rng(0).dirichlet(np.ones(count), points)
        if count == 2:
            weights[:, 0] = np.linspace(0, 1, points)
            weights[:, 1] = 1 - weights[:, 0]
        products = weights @ ((1 - self.cosine) * np.eye(count) + self.cosine)
        square = (weights * products).sum(axis=1, keepdims=True) - 2 * products + 1
        return self.expected_loss(np.sqrt(square.clip(min=0)))

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The samples of trial ``seed``; ``data_dir`` is not used."""
        names, counts = [task.name for task in self.tasks], (self.samples, HELD_OUT, HELD_OUT)
        return teachers.splits(names, seed, INPUTS, self.cosine, self.noise, counts)

    def encoder(self) -> nn.Module:
        """The predictor θ: 16 to 1, linear."""
        return nn.Linear(INPUTS, 1, bias=False)

    def head(self, task: Task) -> nn.Module:
        """The predictor's output itself."""
        return nn.Identity()
