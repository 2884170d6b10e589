"""Loss and metrics of tasks that answer for every pixel, over all labelled pixels of a split and in little memory.

The outputs of a split need not fit into memory: what is kept are counts, sums and, for the median, one angle a pixel.
Every metric is computed once from them, never as a mean over batches; the papers' codes average the means of batches
of 2 or 8. Targets are (N, channels, H, W), a class in one channel; -100 or NaN mark pixels without a label.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from .dataset import UNLABELLED, Metric, Running
from .losses import cross_entropy

ANGLES = (11.25, 22.5, 30.0)


def segmentation_loss(output: Tensor, target: Tensor) -> Tensor:
    """The mean cross entropy over labelled pixels; target (N, 1, H, W)."""
    return cross_entropy(output, target.squeeze(1))


def normal_loss(output: Tensor, target: Tensor) -> Tensor:
    """The mean of ``1 − cos(output, target)`` over labelled pixels; both (N, 3, H, W)."""
    known = ~target.isnan().any(dim=1)
    cosine = cosine_similarity(output, torch.where(known.unsqueeze(1), target, 1), dim=1)
    return torch.where(known, 1 - cosine, 0).sum() / known.sum().clamp(min=1)


class Segmentation:
    """Mean intersection over union and pixel accuracy, from one matrix of counts for the whole split.

    ``IoU_c = n_cc / (Σ_k n_ck + Σ_k n_kc − n_cc)``, averaged over the classes that occur in target or output.
    """

    def __init__(self, classes: int) -> None:
        self.counts = torch.zeros(classes, classes, dtype=torch.int64)
        self.loss = 0.0

    def add(self, target: Tensor, output: Tensor) -> None:
        """Take in some pictures."""
        _check_finite(output)
        classes, known = len(self.counts), target != UNLABELLED
        cells = target[known].long() * classes + output.argmax(dim=1, keepdim=True)[known]
        self.counts += torch.bincount(cells, minlength=classes**2).view(classes, classes).cpu()
        self.loss += float(segmentation_loss(output, target)) * int(known.sum())

    def values(self) -> dict[str, float]:
        """The loss, ``miou`` and ``pixel_accuracy``."""
        counts = self.counts.double()
        right, total = counts.diagonal(), _labelled(counts.sum().item())
        union = counts.sum(dim=0) + counts.sum(dim=1) - right
        miou = (right / union)[union > 0].mean()
        return {"loss": self.loss / total, "miou": float(miou), "pixel_accuracy": float(right.sum() / total)}


class Depth:
    """Mean absolute error, which is the loss too, and mean relative error ``|p − t| / t``."""

    def __init__(self) -> None:
        self.absolute, self.relative, self.count = 0.0, 0.0, 0

    def add(self, target: Tensor, output: Tensor) -> None:
        """Take in some pictures."""
        _check_finite(output)
        known = ~target.isnan()
        error = (output[known].double() - target[known]).abs()
        self.absolute += float(error.sum())
        self.relative += float((error / target[known]).sum())
        self.count += int(known.sum())

    def values(self) -> dict[str, float]:
        """The loss, ``absolute_error`` and ``relative_error``."""
        absolute, relative = (value / _labelled(self.count) for value in (self.absolute, self.relative))
        return {"loss": absolute, "absolute_error": absolute, "relative_error": relative}


class Normals:
    """The angle between the surface normal and the output: mean, median, and how often it is within three bounds."""

    def __init__(self) -> None:
        self.angles: list[np.ndarray] = []
        self.loss = 0.0

    def add(self, target: Tensor, output: Tensor) -> None:
        """Take in some pictures."""
        _check_finite(output)
        known = ~target.isnan().any(dim=1)
        cosine = cosine_similarity(output.double(), target.double(), dim=1)[known].clamp(-1, 1)
        self.angles.append(torch.rad2deg(torch.acos(cosine)).float().cpu().numpy())
        self.loss += float((1 - cosine).sum())

    def values(self) -> dict[str, float]:
        """The loss, ``mean_angle``, ``median_angle`` and the shares ``within_11``, ``within_22`` and ``within_30``."""
        angles = np.concatenate(self.angles)
        total = _labelled(len(angles))
        within = {f"within_{int(bound)}": float((angles < bound).mean()) for bound in ANGLES}
        mean, median = float(angles.mean(dtype=np.float64)), float(np.median(angles))
        return {"loss": self.loss / total, "mean_angle": mean, "median_angle": median, **within}


def metrics(running: Callable[[], Running], described: dict[str, tuple[bool, str]]) -> tuple[Metric, ...]:
    """The metrics of ``running``, each also as a function of two whole arrays; ``{name: (higher is better, unit)}``."""

    def compute(name: str) -> Callable[[np.ndarray, np.ndarray], float]:
        def one(target: np.ndarray, prediction: np.ndarray) -> float:
            collected = running()
            collected.add(torch.from_numpy(target), torch.from_numpy(prediction))
            return collected.values()[name]

        return one

    return tuple(Metric(name, compute(name), higher, unit) for name, (higher, unit) in described.items())


SEGMENTATION = {"miou": (True, "fraction"), "pixel_accuracy": (True, "fraction")}
NORMALS = {
    "mean_angle": (False, "degrees"),
    "median_angle": (False, "degrees"),
    **{f"within_{int(bound)}": (True, f"fraction within {bound:g}°") for bound in ANGLES},
}


def depth_metrics(unit: str) -> tuple[Metric, ...]:
    """Absolute error in ``unit``, and relative error."""
    return metrics(Depth, {"absolute_error": (False, unit), "relative_error": (False, "fraction of the depth")})


def _labelled(count: float) -> float:
    if not count:
        raise ValueError("no pixel of the split has a label")
    return count


def _check_finite(output: Tensor) -> None:
    if not bool(torch.isfinite(output).all()):
        raise ValueError("the prediction is not finite")
