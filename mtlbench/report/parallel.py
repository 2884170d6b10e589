"""Jobs beside each other: a process per core where the machine can fork, one after the other where it cannot."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor

Job = Callable[[], object]
"""What can be called without arguments and can be pickled: a :func:`functools.partial` of a module's function."""


def run(jobs: Sequence[Job]) -> None:
    """Call every job; what they write is the same on any number of cores.

    Raises what the first of the jobs that fail raises, as if they had run one after the other.
    """
    workers = min(cores(), len(jobs))
    if workers < 2 or "fork" not in multiprocessing.get_all_start_methods():
        for job in jobs:
            job()
        return
    # A forked process has all modules already; to import them again takes longer than a small report.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
        started = [pool.submit(job) for job in jobs]
        try:
            for one in started:
                one.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def cores() -> int:
    """The cores that this process may use, which may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
