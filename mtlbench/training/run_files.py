"""The files of one run: written so that a complete ``run.json`` vouches for all the others.

run.json       what was run, with what, and what came out; written last, with the digests of the other files
curves.csv     epoch,split,task,metric,value
audit.csv, audit.npz   the measured steps, where there is an audit (see ``audit.py``)
run.time.json  when and how fast: the one file that another run of the same cell does not reproduce
"""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from mtlbench.errors import InputError
from mtlbench.files import digest, write_atomically, write_json
from mtlbench.runs import RUN
from mtlbench.training import checkpoint
from mtlbench.training.audit import COLUMNS, TASK_COLUMNS, Audit
from mtlbench.training.loop import Curve

log = logging.getLogger(__name__)

TIME = "run.time.json"
REPRODUCIBLE = ("curves.csv", "audit.csv", "audit.npz")


def write(
    folder: Path,
    record: Mapping[str, Any],
    *,
    curves: Sequence[Curve],
    audit: Audit | None,
    tasks: Sequence[str],
    timing: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the files of one run and return the content of its ``run.json``.

    A ``run.json`` of an earlier run is removed first: at no moment does one vouch for files that are not its
    own.
    """
    (folder / RUN).unlink(missing_ok=True)
    contents: dict[str, bytes | str] = {
        "curves.csv": _csv(("epoch", "split", "task", "metric", "value"), curves),
    }
    if audit is not None and audit.rows:
        contents["audit.csv"] = _audit_csv(audit, tasks)
        contents["audit.npz"] = _npz(audit.stacked())
    for name in REPRODUCIBLE:
        if name in contents:
            write_atomically(folder / name, contents[name])
        else:
            (folder / name).unlink(missing_ok=True)
    write_json(folder / TIME, timing)
    complete = dict(record) | {"files": {name: digest(folder / name) for name in contents}, "complete": True}
    write_json(folder / RUN, complete)
    return complete


def _audit_csv(audit: Audit, tasks: Sequence[str]) -> str:
    by_task = audit.by_task().reshape(len(audit.rows), -1)
    lines = ([row[name] for name in COLUMNS] + list(own) for row, own in zip(audit.rows, by_task, strict=True))
    return _csv((*COLUMNS, *(f"{column}_{task}" for column in TASK_COLUMNS for task in tasks)), lines)


def _csv(header: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    """Numbers with every digit they have; NaN as an empty field."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_field(value) for value in line] for line in lines)
    return text.getvalue()


def _field(value: Any) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(float(value))
    return str(value)


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def sweep(folder: Path) -> None:
    """Remove what an interrupted process left behind, once the run is recorded."""
    names = (".run", ".curves", ".audit", ".mtlbench-checkpoint-")
    for path in folder.glob("*.pt"):
        if checkpoint.ours(path):
            path.unlink()
    for path in folder.glob(".*.part"):
        if path.name.startswith(names):
            path.unlink()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the operating system's lock on ``folder``, which the kernel releases however this process ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            log.warning("%s is being worked on by another process: waiting", folder)
            lock.acquire()
    except OSError as error:
        raise InputError(f"cannot write to the folder {folder}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()
