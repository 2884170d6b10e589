"""Two pictures on one canvas: which pictures meet, and how they are drawn."""

from __future__ import annotations

import numpy as np


def pairs(rng: np.random.Generator, items: np.ndarray, count: int) -> np.ndarray:
    """Draw ``count`` pairs of different entries of ``items`` (at least two), int64 (count, 2).

    Rounds of a random circle: everybody stands left once and right once per round, so that every item is used
    equally often in both places, and nobody meets himself.
    """
    rounds = -(-count // len(items))
    circles = [rng.permutation(items) for _ in range(rounds)]
    left = np.concatenate(circles)
    right = np.concatenate([np.roll(circle, -1) for circle in circles])
    return np.stack([left, right], axis=1)[:count].astype(np.int64)


def crossed(rng: np.random.Generator, left: np.ndarray, right: np.ndarray, count: int) -> np.ndarray:
    """Draw ``count`` pairs of an entry of ``left`` and one of ``right``, int64 (count, 2).

    In rounds: every item is used again only when all of its side have been.
    """
    sides = [
        np.concatenate([rng.permutation(items) for _ in range(-(-count // len(items)))])[:count]
        for items in (left, right)
    ]
    return np.stack(sides, axis=1).astype(np.int64)


def overlay(left: np.ndarray, right: np.ndarray, shift: int) -> np.ndarray:
    """Draw ``left`` (N, h, w) in the top left corner and ``right`` in the bottom right one.

    The brighter pixel wins. The canvas is (N, h + shift, w + shift), of the pictures' type.
    """
    count, height, width = left.shape
    canvas = np.zeros((count, height + shift, width + shift), dtype=left.dtype)
    canvas[:, :height, :width] = left
    np.maximum(canvas[:, shift:, shift:], right, out=canvas[:, shift:, shift:])
    return canvas
