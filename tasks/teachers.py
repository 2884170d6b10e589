"""Directions with a chosen angle between any two: the teachers of the generated families whose truth is known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from .dataset import DatasetError, Split, Splits


def directions(rng: np.random.Generator, count: int, size: int, cosine: float) -> np.ndarray:
    """``count`` unit vectors of ``size`` entries, at least ``count``, the cosine of any two of them ``cosine``.

    It lies between −1/(count − 1) and 1. The rows of ``S Q``: Q has random orthonormal rows, and S, symmetric, is the
    root of the Gramian ``(1 − c) I + c 11ᵀ``. Float64 (count, size).
    """
    orthonormal = np.linalg.qr(rng.normal(size=(size, count)))[0].T
    apart, together = math.sqrt(1 - cosine), math.sqrt(max(1 - cosine + count * cosine, 0.0))
    return apart * orthonormal + (together - apart) * orthonormal.mean(axis=0)


def splits(names: Sequence[str], seed: int, size: int, cosine: float, noise: float, counts: Sequence[int]) -> Splits:
    """Training, validation and test of ``counts`` samples: normal inputs (N, size), a teacher of each name, its
    answers.

    The target of a task is ``⟨β_k, x⟩ + noise ε``, float32 (N, 1); the teachers are :func:`directions`.
    """
    rng = np.random.default_rng(seed)
    beta = directions(rng, len(names), size, cosine)
    return Splits.of(*(_split(names, rng, beta, noise, count) for count in counts))


def _split(names: Sequence[str], rng: np.random.Generator, beta: np.ndarray, noise: float, count: int) -> Split:
    inputs = rng.normal(size=(count, beta.shape[1]))
    # einsum, not a BLAS product: its sums do not depend on the number of threads.
    values = np.einsum("kd,nd->kn", beta, inputs) + noise * rng.normal(size=(len(beta), count))
    targets = {n: torch.from_numpy(row.astype(np.float32)[:, None]) for n, row in zip(names, values, strict=True)}
    return Split(torch.from_numpy(inputs.astype(np.float32)), targets)


def check_whole(dataset: str, parameter: str, value: object, low: int, high: int) -> None:
    """Raise :class:`DatasetError` where ``value`` is no whole number from ``low`` to ``high``."""
    if type(value) is not int or not low <= value <= high:
        raise DatasetError(f"{dataset}: {parameter} is {value!r} but must be a whole number from {low} to {high}")


def check_number(dataset: str, parameter: str, value: object, low: float, high: float) -> None:
    """Raise :class:`DatasetError` where ``value`` is no number from ``low`` to ``high``."""
    if type(value) not in (int, float) or not low <= value <= high:  # type: ignore[operator]
        raise DatasetError(f"{dataset}: {parameter} is {value!r} but must be a number between {low:.4g} and {high:.4g}")
