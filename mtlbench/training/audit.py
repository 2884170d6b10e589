"""What the task gradients did during a run, measured on steps at a stated interval and apart from the method.

At a measured step, before the update, with g_i the gradient of task i's batch loss in the shared parameters
θ, G = J Jᵀ their Gramian, w the weights that the method used and u = Jᵀ w (or what lies in ``.grad``, for a
method that combines other rows than J's, such as moco):

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
  0 where some task's gradient is zero;
- ``zero_gradients``: how many tasks have G_ii = 0; for each task its ``norm``, √G_ii, and its ``weight``.

After the optimizer's step, which changed all parameters of the network, heads included, by Δ, and with ∇L_i the
gradient of task i's loss in all of them:

- ``predicted``: <∇L_i, Δ>, the first-order change of task i's loss by the step that was taken. The optimizer makes Δ:
  it is −rate · u for plain gradient descent alone. With momentum, weight decay, or Adam's division by the root of the
  second moment it is another direction, and the loss of a task with <g_i, u> >= 0 may well be predicted to rise;
- ``realised``: the loss after the step minus the loss before it, on the same batch with the same dropout masks. The
  difference to the prediction is the curvature along Δ.

Shares of nothing (one task has no pairs) are NaN here and empty in the files. See docs/mathematics.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mtlbench import gradients
from mtlbench.graph import leaves, read_losses
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
    "zero_gradients",
)
TASK_COLUMNS = ("weight", "norm", "predicted", "realised")


ROUNDING = 2.0**-20
"""A cosine above −2⁻²⁰ is no conflict but the rounding of gradients in single precision: projections end at 0."""


@dataclass(frozen=True, eq=False)
class Measured:
    """The Gramian of a batch and the cross-Gramian of its halves, both float64 (K, K).

    ``rows``: the gradients of the losses in all ``parameters``, which were at ``start``; the first ``shared`` of them
    are shared.
    """

    gramian: np.ndarray
    half_cross: np.ndarray
    rows: tuple[tuple[Tensor, ...], ...] = ()
    parameters: tuple[Tensor, ...] = ()
    shared: int = 0
    start: tuple[Tensor, ...] = ()

    @cached_property
    def products(self) -> tuple[np.ndarray, float]:
        """<g_i, u> for every task, and ‖u‖, for the update u of the shared parameters that lay in ``.grad`` when first
        asked for: ask before the optimizer's step, which may change it.
        """
        shared = self.parameters[: self.shared]
        update = tuple(p.new_zeros(p.shape) if p.grad is None else p.grad for p in shared)
        found = gradients.gramian((*(row[: self.shared] for row in self.rows), update))
        return found[-1, :-1], math.sqrt(found[-1, -1])

    @torch.no_grad()
    def predicted(self) -> np.ndarray:
        """<∇L_i, Δ> (K,) with Δ what the parameters have moved by since they were measured."""
        change = tuple(now - before for now, before in zip(self.parameters, self.start, strict=True))
        return gradients.gramian(self.rows, (change,))[:, 0]


class Changes(NamedTuple):
    """The change of each loss by a step, (K,): to first order, and as it came."""

    predicted: np.ndarray
    realised: np.ndarray


def measure(losses: Sequence[Tensor], half: Callable[[int], Sequence[Tensor]]) -> Measured:
    """The Gramian at the shared parameters from the graph of ``losses``, which is kept, and from two halves.

    ``half(0)`` and ``half(1)`` run the model on one half of the batch and return its K losses.
    """
    shared = gradients.shared_parameters(losses)
    parameters = leaves(read_losses(losses).roots)  # the shared ones come first
    rows = gradients.jacobian(losses, parameters, retain_graph=True)
    gramian = gradients.gramian(tuple(row[: len(shared)] for row in rows))
    first, second = (gradients.jacobian(half(i), shared) for i in (0, 1))
    start = tuple(parameter.detach().clone() for parameter in parameters)
    return Measured(gramian, gradients.gramian(first, second), rows, parameters, len(shared), start)


def row(measured: Measured, weights: np.ndarray, method: Method, inner_gramian: np.ndarray | None) -> dict[str, float]:
    """The numbers of one measured step, as this module's docstring defines them (step and epoch apart)."""
    gramian, cross = measured.gramian, measured.half_cross
    tasks = len(gramian)
    norms = np.sqrt(np.diag(gramian))
    products = gramian @ weights
    length = math.sqrt(max(float(weights @ products), 0.0))
    if method.needs == "jacobian":
        products, length = measured.products
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
        "zero_gradients": int((norms == 0).sum()),
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
    """The measured steps of one run: every ``interval``-th step, the first one included; 0 measures none.

    ``solves`` counts the inner solutions of all steps, ``outside`` those that did not reach the tolerance asked for.
    """

    interval: int
    solves: int = 0
    outside: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)
    arrays: dict[str, list[np.ndarray]] = field(default_factory=dict)

    def due(self, step: int) -> bool:
        """Whether ``step`` (the number of updates done so far) is measured."""
        return self.interval > 0 and step % self.interval == 0

    def count(self, method: Method) -> None:
        """Count the inner solution of a step, where the method solved for one; every step, measured or not."""
        if method.solution is not None:
            self.solves += 1
            self.outside += not method.solution.converged

    def add(
        self,
        step: int,
        epoch: int,
        measured: Measured,
        changes: Changes,
        method: Method,
        record: gradients.StepRecord,
    ) -> None:
        """Take up one step from what was measured before it, what the method did, and what came of it."""
        self.rows.append({"step": step, "epoch": epoch} | row(measured, record.weights, method, record.gramian))
        found = {"steps": np.asarray(step), "gramians": measured.gramian, "weights": record.weights}
        found |= {"half_cross": measured.half_cross, "predicted": changes.predicted, "realised": changes.realised}
        if method.inner_problem is not None and record.gramian is not None:
            found["solver_gramians"] = record.gramian
        for name, value in found.items():
            self.arrays.setdefault(name, []).append(value)

    def summary(self, zero_task_events: int, stationary_events: int = 0) -> dict[str, Any] | None:
        """The audit of a run in a few numbers, NaN as null; ``None`` when nothing was measured.

        Rates are means over the measured steps. ``update_conflict_rate`` is the share of the steps whose
        update ascends for some task (``smallest_update_cosine`` < −2⁻²⁰), ``predicted_rise_rate`` and
        ``realised_rise_rate`` the shares in which the change of some task's loss is positive. ``zero_task_events``
        (zero gradients that the method met) and the inner solves are counted over all steps.
        """
        if not self.rows:
            return None
        column = {name: np.array([entry[name] for entry in self.rows]) for name in COLUMNS}
        rises = {name: (np.stack(self.arrays[name]) > 0).any(axis=1) for name in Changes._fields}
        floor, between = column["same_task_conflict"].mean(), column["cross_half_conflict"].mean()
        return {
            "interval": self.interval,
            "steps": len(self.rows),
            "conflict_rate": _finite(column["conflict"].mean()),
            "noise_floor": _finite(floor),
            "excess_conflict": _finite(between - floor),
            "update_conflict_rate": _finite((column["smallest_update_cosine"] < -ROUNDING).mean()),
            "predicted_rise_rate": _finite(rises["predicted"].mean()),
            "realised_rise_rate": _finite(rises["realised"].mean()),
            "smallest_cosine": _finite(_over_numbers(np.min, column["smallest_cosine"])),
            "smallest_update_cosine": _finite(_over_numbers(np.min, column["smallest_update_cosine"])),
            "worst_gap": _finite(_over_numbers(np.max, column["relative_gap"])),
            "median_stationarity": _finite(np.median(column["stationarity"])),
            "zero_task_events": zero_task_events,
            "stationary_events": stationary_events,
            "inner_solves": self.solves,
            "inner_solves_outside": self.outside,
        }

    def stacked(self) -> dict[str, np.ndarray]:
        """The arrays of ``audit.npz``: steps (S,), the others (S, K) or (S, K, K)."""
        return {name: np.stack(values) for name, values in self.arrays.items()}

    def by_task(self) -> np.ndarray:
        """The numbers (S, 4, K) that ``audit.csv`` has for each task, in the order of :data:`TASK_COLUMNS`."""
        found = self.stacked()
        norms = np.sqrt(np.diagonal(found["gramians"], axis1=1, axis2=2))
        return np.stack([found["weights"], norms, found["predicted"], found["realised"]], axis=1)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        arrays = {name: torch.from_numpy(values) for name, values in self.stacked().items()}
        return {"rows": self.rows, "arrays": arrays, "solves": self.solves, "outside": self.outside}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what :meth:`state_dict` kept."""
        self.rows, self.solves, self.outside = list(state["rows"]), state["solves"], state["outside"]
        self.arrays = {name: list(tensor.numpy()) for name, tensor in state["arrays"].items()}


def _over_numbers(function: Callable[[np.ndarray], Any], values: np.ndarray) -> float:
    numbers = values[~np.isnan(values)]
    return float(function(numbers)) if numbers.size else math.nan


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
