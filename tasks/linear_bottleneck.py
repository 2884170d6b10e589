"""linear_bottleneck: linear regressions through a layer narrower than the number of tasks, generated, truth known.

The under-parametrised linear model of Y. Hu, R. Xian, Q. Wu, Q. Fan, L. Yin, H. Zhao, "Revisiting scalarization in
multi-task learning: a theoretical perspective", NeurIPS 2023 (arXiv 2308.13985):

    y_k = ⟨β_k, x⟩ + σ ε,    x ~ N(0, I),  ε ~ N(0, 1),  ‖β_k‖ = 1,  ⟨β_i, β_k⟩ = ρ
    prediction a_k ⟨u, x⟩ for width 1; for width q the q columns of U, orthonormal, span what the encoder keeps

With the best heads the expected loss of task k is L_k(U) = σ² + 1 − ‖Uᵀβ_k‖²: nothing is lost where q is at least the
number of tasks K. Below that, whatever the samples:

- Fixed weights w minimise Σ w_k L_k, so U holds the leading eigenvectors of Σ w_k β_k β_kᵀ (:meth:`scalarised`).
- For q = 1 the least worst loss is where all losses are equal (:meth:`balanced_loss`). If the teachers agree (ρ > 0)
  fixed weights reach it; if they do not (ρ < 0, K ≥ 3), no fixed weights do, and the points that they miss are those
  between the tasks: with 3 tasks and ρ = −1/4 the worst loss is σ² + 0.643 there, and σ² + 0.792 at the best weights.
- There are stationary points that are not optimal: with ρ < 0 and all ⟨β_k, u⟩ equal, signs included, no step lowers
  all losses, and each is σ² + 1 − (1 − ρ + Kρ) / K. A method may stop there, depending on where it starts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn
from torch.nn.functional import mse_loss

from . import teachers
from .dataset import MultiTaskDataset, Protocol, Source, Splits, Task
from .metrics import MSE, NORMALISED_MSE

INPUTS = 32
HELD_OUT = 2000  # samples of validation and of test


class LinearBottleneck(MultiTaskDataset):
    """``tasks`` regressions of one number from 32, K ≤ 32; encoder and heads are linear, without constants.

    The dials: ``relatedness`` ρ, between −1/K and 1; ``width`` q; ``noise`` σ; ``samples``, the size of the training
    split. The seed draws the teachers β_k, which have the same Gramian for every seed, and the samples.
    """

    name = "linear_bottleneck"
    summary = "linear regressions through too narrow a layer, with a known Pareto front, generated"
    source = Source(
        files=(),
        home="generated",
        licence="MIT (part of mtlbench)",
        citation=(
            "Y. Hu, R. Xian, Q. Wu, Q. Fan, L. Yin, H. Zhao. Revisiting scalarization in multi-task learning: a "
            "theoretical perspective. NeurIPS 2023"
        ),
    )

    def __init__(
        self, *, tasks: int = 3, relatedness: float = -0.25, width: int = 1, noise: float = 0.5, samples: int = 4000
    ) -> None:
        teachers.check_whole(self.name, "tasks", tasks, 2, INPUTS)
        teachers.check_number(self.name, "relatedness", relatedness, -1 / tasks, 1)
        teachers.check_whole(self.name, "width", width, 1, INPUTS)
        teachers.check_number(self.name, "noise", noise, 0, 100)
        teachers.check_whole(self.name, "samples", samples, 128, 1_000_000)
        self.relatedness, self.width, self.noise, self.samples = relatedness, width, noise, samples
        # Chosen here: no noise of batches, by which a method that has arrived would drift along the front, and not
        # Adam, which makes steps of full length from what is left of the gradient there.
        self.protocol = Protocol(epochs=300, batch_size=samples, optimizer="sgd", learning_rate=0.3)
        self.tasks = tuple(Task(f"task_{i + 1:02}", 1, mse_loss, (MSE, NORMALISED_MSE)) for i in range(tasks))

    @property
    def gramian(self) -> np.ndarray:
        """⟨β_i, β_k⟩, float64 (K, K)."""
        count = len(self.tasks)
        return (1 - self.relatedness) * np.eye(count) + self.relatedness

    def scalarised(self, weights: np.ndarray) -> np.ndarray:
        """The expected losses L_k where Σ w_k L_k is least; ``weights`` (K,) positive. Float64 (K,).

        Σ w_k β_k β_kᵀ and W^½ G W^½ share their eigenvalues λ_j; with eigenvectors v_j of the latter the encoder keeps
        u_j = Σ_k √w_k v_jk β_k / √λ_j, so that ⟨β_k, u_j⟩ = √λ_j v_jk / √w_k. Unique where λ_q > λ_{q+1}.
        """
        root = np.sqrt(weights)
        values, vectors = np.linalg.eigh(root[:, None] * self.gramian * root)
        kept = values[-self.width :].clip(min=0) * (vectors[:, -self.width :] / root[:, None]) ** 2
        return self.noise**2 + 1 - kept.sum(axis=1)

    def balanced_loss(self) -> float:
        """For width 1 the least value of the largest expected loss, where all of them are equal.

        The largest t with s_k ⟨β_k, u⟩ = t for a unit vector u and signs s is t² = 1 / sᵀG⁻¹s. With m signs +1 and the
        others −1, sᵀG⁻¹s = (K − ρ (2m − K)² / (1 − ρ + Kρ)) / (1 − ρ): least with all signs equal for ρ ≥ 0, and with
        as many of either kind as possible for ρ < 0.
        """
        if self.width != 1 or self.relatedness == 1:
            raise ValueError("the balanced loss is known for width 1 and relatedness below 1")
        count, rho = len(self.tasks), self.relatedness
        excess = count if rho >= 0 else count % 2
        quadratic = (count - rho * excess**2 / (1 - rho + count * rho)) / (1 - rho)
        return self.noise**2 + 1 - 1 / quadratic

    def true_front(self, points: int) -> np.ndarray:
        """The expected losses of ``points`` encoders, evenly over the subspaces of ``width`` of the teachers' span.

        Float64 (points, K). With β = G^½ E, E orthonormal, and U = Eᵀ V: ‖Uᵀβ_k‖² = ‖(G^½ V)_k‖².
        """
        count = len(self.tasks)
        width = min(self.width, count)
        values, vectors = np.linalg.eigh(self.gramian)
        root = vectors * np.sqrt(values.clip(min=0)) @ vectors.T
        directions = np.linalg.qr(np.random.default_rng(0).normal(size=(points, count, width)))[0]
        return self.noise**2 + 1 - ((root @ directions) ** 2).sum(axis=-1)

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The samples of trial ``seed``; ``data_dir`` is not used."""
        names, counts = [task.name for task in self.tasks], (self.samples, HELD_OUT, HELD_OUT)
        return teachers.splits(names, seed, INPUTS, self.relatedness, self.noise, counts)

    def encoder(self) -> nn.Module:
        """32 to ``width``, linear."""
        return nn.Linear(INPUTS, self.width, bias=False)

    def head(self, task: Task) -> nn.Module:
        """``width`` to 1, linear."""
        return nn.Linear(self.width, 1, bias=False)
