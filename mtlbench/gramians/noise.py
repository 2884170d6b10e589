"""The Gramian of a batch, and how far sampling alone may have moved it.

A batch is cut into B micro-batches of equal size. With g_i^b the gradient of task i's loss on micro-batch b in the
shared parameters and ḡ_i = 1/B Σ_b g_i^b, the gradient on the whole batch where the loss is a mean over samples,

    G_ij = <ḡ_i, ḡ_j>,        N_ij = 1/(B (B − 1)) Σ_b <g_i^b − ḡ_i, g_j^b − ḡ_j>.

For independent samples E N_ij = tr Cov(ḡ_i, ḡ_j), so E (G − N)_ij = <E ḡ_i, E ḡ_j>: N is the noise of the Gramian and
G − N the unbiased Gramian of the signal. G and N are Gramians themselves, G − N need not be one
(``docs/mathematics.md``, section 4).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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


def measure(losses: Sequence[Tensor], micro_batches: Iterable[Sequence[Tensor]]) -> Measured:
    """G from the K losses of a batch, N from the K losses of each of its micro-batches, all with their graphs.

    The micro-batches have equal size; a generator keeps one graph alive at a time. Raises
    :class:`~mtlbench.errors.InputError` for fewer than two of them.
    """
    shared = gradients.shared_parameters(losses)
    gramian = gradients.gramian(gradients.jacobian(losses, shared))
    noise = covariance([gradients.jacobian(part, shared) for part in micro_batches])
    return Measured(gramian, noise, sum(parameter.numel() for parameter in shared))


def covariance(jacobians: Sequence[Rows]) -> Array:
    """N, float64 (K, K), from the Jacobians of B >= 2 micro-batches, each K tuples of tensors.

    The deviations are formed before the products: Σ_b g^b g^bᵀ − B ḡ ḡᵀ would cancel where the noise is small.
    """
    count = len(jacobians)
    if count < 2:
        raise InputError(f"the noise of a Gramian needs at least 2 micro-batches, got {count}")
    deviations = []
    for parts in zip(*jacobians, strict=True):  # task by task: its rows on every micro-batch
        stacked = (torch.stack(tensors) for tensors in zip(*parts, strict=True))
        deviations.append(tuple(values - values.mean(0) for values in stacked))
    return gradients.gramian(tuple(deviations)) / (count * (count - 1))
