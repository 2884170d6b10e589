"""What a user sees on standard error while a cell trains: a bar on a terminal, one line per run elsewhere."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Reporter:
    """Shows how many of ``total`` epochs are done. Silent unless ``enabled``."""

    def __init__(self, title: str, total: int, enabled: bool) -> None:
        self._enabled, self._title = enabled, title
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._shown = enabled and console.is_terminal
        self._task = self._bar.add_task(title, total=total)
        self._stack = ExitStack()

    def __enter__(self) -> Reporter:
        if self._shown:
            self._stack.enter_context(self._bar)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def epochs(self, count: int) -> None:
        """``count`` more epochs are done."""
        self._bar.advance(self._task, count)

    def line(self, text: str) -> None:
        """One line that stays."""
        if self._enabled:
            print(f"{self._title} {text}", file=sys.stderr, flush=True)
