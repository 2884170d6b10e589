"""The Gramian of a batch, and how far sampling alone may have moved it.

A batch is cut into B micro-batches of equal size. With g_i^b the gradient of task i's loss on micro-batch b in the
shared parameters and ḡ_i = 1/B Σ_b g_i^b, the gradient on the whole batch where the loss is a mean over samples,

    G_ij = <ḡ_i, ḡ_j>,        N_ij = 1/(B (B − 1)) Σ_b <g_i^b − ḡ_i, g_j^b − ḡ_j>.

For independent samples E N_ij = tr Cov(ḡ_i, ḡ_j), so E (G − N)_ij = <E ḡ_i, E ḡ_j>: N is the noise of the Gramian and
G − N the unbiased Gramian of the signal. G and N are Gramians themselves, G − N need not be one
(``docs/mathematics.md``, section 4).

Where labels are missing, a loss is a mean over those that are there, c_i^b of them in micro-batch b. With the shares
v_i^b = c_i^b / Σ_b c_i^b the gradient on the batch is ḡ_i = Σ_b v_i^b g_i^b, and with B_i the number of micro-batches
that have a label of task i, s_i = √(B_i / (B_i − 1)),

    N_ij = s_i s_j Σ_b v_i^b v_j^b <g_i^b − ḡ_i, g_j^b − ḡ_j>,

the usual variance of a ratio of sums; with equal counts it is the formula above.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mtlbench import gradients
from mtlbench.errors import InputError

if TYPE_CHECKING:
    from mtlbench.methods.method import Array, Rows


@dataclass(frozen=True, eq=False)
class Measured:
    """The Gramian of a batch and its sampling noise, float64 (K, K), and over how many shared parameters."""

    gramian: Array
    noise: Array
    shared_parameters: int


def measure(
    losses: Sequence[Tensor], micro_batches: Iterable[Sequence[Tensor]], labels: Array | None = None
) -> Measured:
    """G from the K losses of a batch, N from the K losses of each of its B micro-batches, all with their graphs.

    The micro-batches have equal size; a generator keeps one graph alive at a time. ``labels`` (B, K): how many labels
    of each task each of them has, where some are missing. Raises :class:`~mtlbench.errors.InputError` for fewer than
    two micro-batches, in all or with a label of a task.
    """
    shared = gradients.shared_parameters(losses)
    gramian = gradients.gramian(gradients.jacobian(losses, shared))
    noise = covariance([gradients.jacobian(part, shared) for part in micro_batches], labels)
    return Measured(gramian, noise, sum(parameter.numel() for parameter in shared))


def covariance(jacobians: Sequence[Rows], labels: Array | None = None) -> Array:
    """N, float64 (K, K), from the Jacobians of B >= 2 micro-batches, each K tuples of tensors; ``labels`` as above.

    The deviations are formed before the products: Σ_b g^b g^bᵀ − B ḡ ḡᵀ would cancel where the noise is small.
    """
    count = len(jacobians)
    if count < 2:
        raise InputError(f"the noise of a Gramian needs at least 2 micro-batches, got {count}")
    deviations = []
    for task, parts in enumerate(zip(*jacobians, strict=True)):  # task by task: its rows on every micro-batch
        own = np.ones(count) if labels is None else labels[:, task]
        having = int((own > 0).sum())
        if having < 2:
            raise InputError(
                f"the noise of task {task} needs at least 2 micro-batches that have a label of it, got {having}"
            )
        stacked = (torch.stack(tensors) for tensors in zip(*parts, strict=True))
        deviations.append(tuple(_deviations(values, own / own.sum(), having) for values in stacked))
    return gradients.gramian(tuple(deviations))


def _deviations(values: Tensor, shares: Array, having: int) -> Tensor:
    """s v^b (g^b − Σ_b v^b g^b), a row for each micro-batch, of ``values`` (B, ...) and the shares v (B,)."""
    v = torch.from_numpy(shares).to(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    return math.sqrt(having / (having - 1)) * v * (values - (v * values).sum(0))
