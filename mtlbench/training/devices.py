"""Which device a job trains on, and a lock so that no two jobs take the same GPU slot."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from mtlbench.errors import InputError

_POLL_SECONDS = 0.2


def lock_folder() -> Path:
    """The folder of the slot locks: one per host and user, wherever the results lie."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"mtlbench-devices-{user}"


@contextmanager
def slot(devices: Sequence[str], per_device: int, folder: Path | None = None) -> Iterator[int]:
    """Hold one of ``per_device`` slots on one of ``devices``, waiting for it, and yield the device's index.

    ``devices`` are names that mean the same device in every process of the host (a GPU's UUID), not indices,
    which depend on ``CUDA_VISIBLE_DEVICES``. The slots are files locked by the operating system, released
    however the process ends. Free devices are filled evenly: every first slot is tried before any second one.
    """
    where = folder or lock_folder()
    where.mkdir(parents=True, exist_ok=True)
    locks = [
        (index, FileLock(where / f"{name}.{number}.lock"))
        for number in range(per_device)
        for index, name in enumerate(devices)
    ]
    while True:
        for index, lock in locks:
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            try:
                yield index
            finally:
                lock.release()
            return
        time.sleep(_POLL_SECONDS)


@contextmanager
def held(device: str, per_device: int) -> Iterator[torch.device]:
    """The torch device for ``auto``, ``cpu`` or ``cuda``; a GPU is held by a :func:`slot` while inside.

    Raises :class:`~mtlbench.errors.InputError` when ``cuda`` is asked for and there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device: cuda is asked for, but torch finds no CUDA device here: use auto or cpu")
    if device == "cpu" or not torch.cuda.is_available():
        yield torch.device("cpu")
        return
    names = [str(torch.cuda.get_device_properties(i).uuid) for i in range(torch.cuda.device_count())]
    with slot(names, per_device) as index:
        yield torch.device("cuda", index)


def device_name(device: torch.device) -> str:
    """``cpu``, or the GPU's model."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
