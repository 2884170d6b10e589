"""What ran, on what, with what: versions, hardware and the state of the project's checkout. No dates."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "scikit-learn",
    "cvxpy",
    "clarabel",
    "pandas",
    "matplotlib",
)

_PACKAGE = Path(__file__).parent


def collect(**settings: Any) -> dict[str, Any]:
    """Describe the software and hardware of this process, ready for JSON, with ``settings`` added at the end.

    ``commit`` and ``dirty`` (uncommitted changes or files) are those of the project's own checkout; both are
    null where there is none, an installed package for example. The same process gives the same answer every
    time.
    """
    commit, dirty = _checkout(_PACKAGE)
    machine = {
        "mtlbench": _version("mtlbench"),
        "os": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
    }
    return environment() | machine | {"commit": commit, "dirty": dirty} | settings


def environment() -> dict[str, Any]:
    """What may change the bytes of a run besides its configuration and the project's code: versions and processor."""
    return {
        "versions": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "cpu": cpu_model(),
    }


@cache
def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The name of the processor, from Linux's table of them where there is one, else from the platform."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


@cache
def _checkout(folder: Path) -> tuple[str | None, bool | None]:
    """Commit and dirty flag of the git checkout that tracks ``folder``; a stranger's checkout is not ours."""
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None, None
    commit, changes = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain")
    return commit or None, None if changes is None else bool(changes)


def _git(folder: Path, *arguments: str) -> str | None:
    """What git answers, ``None`` where it is not installed or says no."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except OSError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
