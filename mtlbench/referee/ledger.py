"""Promises kept and broken: the number checked and broken, the worst case, and a sentence for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Sentence = Callable[[int, float, float], str]
"""``(index, measured, allowed)`` → the sentence for the entry ``index`` of what was checked."""


@dataclass
class Entry:
    """One promise on one family. ``worst`` is the largest measured value as a multiple of the allowed one.

    A promise is kept where the multiple is at most 1; ``detail`` is empty while nothing is broken.
    """

    promise: str
    family: str
    checked: int = 0
    broken: int = 0
    worst: float = 0.0
    detail: str = ""


class Ledger:
    """The entries of one algorithm, in the order in which the promises were first checked."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}

    def check(
        self,
        promise: str,
        family: str,
        measured: ArrayLike,
        allowed: ArrayLike,
        sentence: Sentence,
    ) -> None:
        """Hold ``measured <= allowed`` entry by entry (NaN breaks); ``sentence`` words the worst breach."""
        found = np.atleast_1d(np.asarray(measured, dtype=np.longdouble))
        limit = np.broadcast_to(np.asarray(allowed, dtype=np.longdouble), found.shape)
        entry = self._entries.setdefault((promise, family), Entry(promise, family))
        entry.checked += found.size
        if not found.size:
            return
        kept = found <= limit
        with np.errstate(divide="ignore", invalid="ignore"):
            multiple = np.where(limit > 0, np.maximum(found, 0) / limit, np.where(kept, 0, np.inf))
        multiple = np.where(np.isnan(multiple), np.inf, multiple)
        index = int(np.argmax(np.where(kept, -1, multiple) if not kept.all() else multiple))
        entry.broken += int(np.count_nonzero(~kept))
        if not kept[index] and (not entry.detail or multiple[index] > entry.worst):
            entry.detail = sentence(index, float(found[index]), float(limit[index]))
        entry.worst = max(entry.worst, float(multiple[index]))

    def entries(self) -> list[dict[str, Any]]:
        """The entries as records for JSON; an infinite multiple is ``None``."""
        return [
            asdict(entry) | {"worst": entry.worst if math.isfinite(entry.worst) else None}
            for entry in self._entries.values()
        ]
