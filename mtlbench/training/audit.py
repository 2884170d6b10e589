"""What the task gradients did during a run, measured on steps at a stated interval and apart from the method.

At a measured step, before the update, with g_i the gradient of task i's batch loss in the shared parameters
θ, G = J Jᵀ their Gramian, w the weights that the method used and u = Jᵀ w:

- ``conflict``: share of the pairs i < j with <g_i, g_j> < 0;
- the **noise floor**: the batch is cut into two halves A and B, and C_ij = <g_i^A, g_j^B>.
  ``same_task_conflict``: share of the tasks with C_ii < 0: two gradients of one task disagree by sampling
  noise alone. ``cross_half_conflict``: share of the ordered pairs i ≠ j with C_ij < 0: two tasks with
  independent noise and samples of the same size, so that the two shares can be compared. Their difference is
  the excess conflict;
- ``smallest_product``: min_i <g_i, u>, negative when the update ascends for some task;
- ``smallest_cosine``: min over i < j of cos(g_i, g_j);  ``smallest_update_cosine``: min_i cos(g_i, u); tasks
  with zero gradient are left out, and nothing is left where u = 0;
- ``relative_gap``: the certificate of the method's own inner problem (``inner.py``), for the min-norm problem
  relative to the smallest non-zero G_ii; empty where there is none, or none could be solved;
- ``stationarity``: ‖u*‖² / min_i G_ii with u* the min-norm point of G: the distance from Pareto stationarity,
  0 where some task's gradient is zero.

Shares of nothing (one task has no pairs) are NaN here and empty in the files. See docs/mathematics.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtlbench import gradients
from mtlbench.methods.method import Method
from mtlbench.solvers import min_norm
from mtlbench.training import inner

COLUMNS = (
    "step",
    "epoch",
    "conflict",
    "same_task_conflict",
    "cross_half_conflict",
    "smallest_product",
    "smallest_cosine",
    "smallest_update_cosine",
    "relative_gap",
    "stationarity",
)


ROUNDING = 2.0**-20
"""A cosine above −2⁻²⁰ is no conflict but the rounding of gradients in single precision: projections end at 0."""


@dataclass(frozen=True)
class Measured:
    """The Gramian of a batch and the cross-Gramian of its halves, both float64 (K, K)."""

    gramian: np.ndarray
    half_cross: np.ndarray


def measure(losses: Sequence[Tensor], half: Callable[[int], Sequence[Tensor]]) -> Measured:
    """The Gramian at the shared parameters from the graph of ``losses``, which is kept, and from two halves.

    ``half(0)`` and ``half(1)`` run the model on one half of the batch and return its K losses.
    """
    shared = gradients.shared_parameters(losses)
    gramian = gradients.gramian(gradients.jacobian(losses, shared, retain_graph=True))
    first, second = (gradients.jacobian(half(i), shared, retain_graph=False) for i in (0, 1))
    return Measured(gramian, gradients.gramian(first, second))


def row(measured: Measured, weights: np.ndarray, method: Method, inner_gramian: np.ndarray | None) -> dict[str, float]:
    """The numbers of one measured step, as this module's docstring defines them (step and epoch apart)."""
    gramian, cross = measured.gramian, measured.half_cross
    tasks = len(gramian)
    norms = np.sqrt(np.diag(gramian))
    products = gramian @ weights
    length = math.sqrt(max(float(weights @ products), 0.0))
    upper, off = np.triu_indices(tasks, 1), ~np.eye(tasks, dtype=bool)
    return {
        "conflict": _mean(gramian[upper] < 0),
        "same_task_conflict": _mean(np.diag(cross) < 0),
        "cross_half_conflict": _mean(cross[off] < 0),
        "smallest_product": float(products.min()),
        "smallest_cosine": _smallest_ratio(gramian[upper], np.outer(norms, norms)[upper]),
        "smallest_update_cosine": _smallest_ratio(products, norms * length),
        "relative_gap": relative_gap(inner_gramian, weights, method),
        "stationarity": stationarity(gramian),
    }


def relative_gap(inner_gramian: np.ndarray | None, weights: np.ndarray, method: Method) -> float:
    """:func:`mtlbench.training.inner.relative_gap`; NaN without an inner problem, 0 where every gradient is zero."""
    if method.inner_problem is None or inner_gramian is None:
        return math.nan
    return inner.relative_gap(method, inner_gramian, weights) if np.diag(inner_gramian).any() else 0.0


def stationarity(gramian: np.ndarray) -> float:
    """``min over the simplex of wᵀ G w / min_i G_ii``, between 0 (Pareto stationary) and 1."""
    smallest = float(np.diag(gramian).min())
    if smallest == 0:
        return 0.0
    return 2 * float(min_norm.objective(gramian, min_norm.solve(gramian).weights)) / smallest


def _mean(condition: np.ndarray) -> float:
    return float(condition.mean()) if condition.size else math.nan


def _smallest_ratio(numerators: np.ndarray, denominators: np.ndarray) -> float:
    defined = denominators > 0
    return float((numerators[defined] / denominators[defined]).min()) if defined.any() else math.nan


@dataclass
class Audit:
    """The measured steps of one run: every ``interval``-th step, the first one included; 0 measures none."""

    interval: int
    rows: list[dict[str, float]] = field(default_factory=list)
    arrays: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def due(self, step: int) -> bool:
        """Whether ``step`` (the number of updates done so far) is measured."""
        return self.interval > 0 and step % self.interval == 0

    def add(self, step: int, epoch: int, measured: Measured, method: Method, record: gradients.StepRecord) -> None:
        """Take up one step from what was measured before it and what the method did."""
        self.rows.append({"step": step, "epoch": epoch} | row(measured, record.weights, method, record.gramian))
        found = {"steps": np.asarray(step), "gramians": measured.gramian, "weights": record.weights}
        found["half_cross"] = measured.half_cross
        if method.inner_problem is not None and record.gramian is not None:
            found["solver_gramians"] = record.gramian
        for name, value in found.items():
            self.arrays.setdefault(name, []).append(value)

    def summary(self, zero_task_events: int, stationary_events: int = 0) -> dict[str, Any] | None:
        """The audit of a run in a few numbers, NaN as null; ``None`` when nothing was measured.

        Rates are means over the measured steps. ``update_conflict_rate`` is the share of the steps whose
        update ascends for some task (``smallest_update_cosine`` < −2⁻²⁰).
        """
        if not self.rows:
            return None
        column = {name: np.array([entry[name] for entry in self.rows]) for name in COLUMNS}
        floor, between = column["same_task_conflict"].mean(), column["cross_half_conflict"].mean()
        return {
            "interval": self.interval,
            "steps": len(self.rows),
            "conflict_rate": _finite(column["conflict"].mean()),
            "noise_floor": _finite(floor),
            "excess_conflict": _finite(between - floor),
            "update_conflict_rate": _finite((column["smallest_update_cosine"] < -ROUNDING).mean()),
            "smallest_cosine": _finite(_over_numbers(np.min, column["smallest_cosine"])),
            "smallest_update_cosine": _finite(_over_numbers(np.min, column["smallest_update_cosine"])),
            "worst_gap": _finite(_over_numbers(np.max, column["relative_gap"])),
            "median_stationarity": _finite(np.median(column["stationarity"])),
            "zero_task_events": zero_task_events,
            "stationary_events": stationary_events,
        }

    def stacked(self) -> dict[str, np.ndarray]:
        """The arrays of ``audit.npz``: steps (S,), the others (S, K) or (S, K, K)."""
        return {name: np.stack(values) for name, values in self.arrays.items()}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"rows": self.rows, "arrays": {k: torch.from_numpy(v) for k, v in self.stacked().items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state_dict` kept."""
        self.rows = list(state["rows"])
        self.arrays = {name: list(tensor.numpy()) for name, tensor in state["arrays"].items()}


def _over_numbers(function: Callable[[np.ndarray], Any], values: np.ndarray) -> float:
    numbers = values[~np.isnan(values)]
    return float(function(numbers)) if numbers.size else math.nan


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
