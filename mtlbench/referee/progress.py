"""A progress bar on standard error, for loops that take a while: what is printed on standard output is the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")


def tracked(items: Sequence[Item], description: str, shown: bool) -> Iterator[Item]:
    """The items in order, with a bar named ``description`` where ``shown``."""
    yield from track(items, description=description, disable=not shown, console=Console(stderr=True))
