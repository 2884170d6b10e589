"""Where a method's own parameters are looked for when it is tuned: one range per parameter, declared in its file.

A range turns numbers drawn uniformly from [0, 1) into a value. Values are rounded to four digits, so that what is
written in a table is what was run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Protocol


class Range(Protocol):
    """The values that a parameter is tried at."""

    def dimensions(self, tasks: int) -> int:
        """How many uniform numbers one value takes, for a benchmark of so many tasks."""

    def at(self, uniform: Sequence[float], tasks: int) -> Any:
        """The value that those numbers stand for."""


@dataclass(frozen=True)
class Linear:
    """Evenly from ``low`` to ``high``."""

    low: float
    high: float

    def dimensions(self, tasks: int) -> int:
        return 1

    def at(self, uniform: Sequence[float], tasks: int) -> float:
        return _rounded(self.low + uniform[0] * (self.high - self.low))

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Log:
    """Evenly in the logarithm from ``low`` to ``high``, both positive."""

    low: float
    high: float

    def dimensions(self, tasks: int) -> int:
        return 1

    def at(self, uniform: Sequence[float], tasks: int) -> float:
        return _rounded(math.exp(math.log(self.low) + uniform[0] * math.log(self.high / self.low)))

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}, in the logarithm"


@dataclass(frozen=True)
class Choice:
    """One of several values, each as likely."""

    values: tuple[Any, ...]

    def dimensions(self, tasks: int) -> int:
        return 1

    def at(self, uniform: Sequence[float], tasks: int) -> Any:
        return self.values[int(uniform[0] * len(self.values))]

    def __str__(self) -> str:
        return " or ".join(map(str, self.values))


@dataclass(frozen=True)
class Simplex:
    """One weight per task, not negative, of sum one: evenly over all of them.

    The gaps between K − 1 sorted uniform numbers in [0, 1] are uniform on the simplex.
    """

    def dimensions(self, tasks: int) -> int:
        return tasks - 1

    def at(self, uniform: Sequence[float], tasks: int) -> list[float]:
        cuts = [0.0, *sorted(uniform), 1.0]
        return [_rounded(high - low) for low, high in pairwise(cuts)]

    def __str__(self) -> str:
        return "the simplex"


def ranges(**found: Range) -> Mapping[str, Range]:
    """The ranges of a method's parameters by name, as a class attribute that nobody changes."""
    return MappingProxyType(found)


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
