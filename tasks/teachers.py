"""Directions with a chosen angle between any two: the teachers of the generated families whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .dataset import DatasetError


def directions(rng: np.random.Generator, count: int, size: int, cosine: float) -> np.ndarray:
    """``count`` unit vectors of ``size`` entries, at least ``count``, the cosine of any two of them ``cosine``.

    It lies between −1/(count − 1) and 1. The rows of ``S Q``: Q has random orthonormal rows, and S, symmetric, is the
    root of the Gramian ``(1 − c) I + c 11ᵀ``. Float64 (count, size).
    """
    orthonormal = np.linalg.qr(rng.normal(size=(size, count)))[0].T
    apart, together = math.sqrt(1 - cosine), math.sqrt(max(1 - cosine + count * cosine, 0.0))
    return apart * orthonormal + (together - apart) * orthonormal.mean(axis=0)


def answers(
    names: Sequence[str], rng: np.random.Generator, teachers: np.ndarray, inputs: np.ndarray, noise: float
) -> dict[str, Tensor]:
    """The targets ``⟨β_k, x⟩ + noise ε`` by task, float32 (N, 1); teachers (K, d), inputs (N, d)."""
    # einsum, not a BLAS product: its sums do not depend on the number of threads.
    values = np.einsum("kd,nd->kn", teachers, inputs) + noise * rng.normal(size=(len(teachers), len(inputs)))
    return {n: torch.from_numpy(row.astype(np.float32)[:, None]) for n, row in zip(names, values, strict=True)}


def check_whole(dataset: str, parameter: str, value: object, low: int, high: int) -> None:
    """Raise :class:`DatasetError` where ``value`` is no whole number from ``low`` to ``high``."""
    if type(value) is not int or not low <= value <= high:
        raise DatasetError(f"{dataset}: {parameter} is {value!r} but must be a whole number from {low} to {high}")


def check_number(dataset: str, parameter: str, value: object, low: float, high: float) -> None:
    """Raise :class:`DatasetError` where ``value`` is no number from ``low`` to ``high``."""
    if type(value) not in (int, float) or not low <= value <= high:  # type: ignore[operator]
        raise DatasetError(f"{dataset}: {parameter} is {value!r} but must be a number between {low:.4g} and {high:.4g}")
