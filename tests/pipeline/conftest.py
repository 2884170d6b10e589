"""Runs of the real Snakefile in a folder of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]

# Small enough to train in seconds, and still with a reference row and an inner problem.
MICRO = {
    "name": "micro",
    "seeds": 2,
    "audit_interval": 10,
    "datasets": {
        "scaled_regression": {"epochs": 2, "methods": ["single_task", "equal", "mgda"], "parameters": {"tasks": 3}},
    },
    "validate": {"sizes": [2, 3], "per_size": 1},
    "cost": {"steps": 2, "warmup": 1},
}

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def micro(tmp_path: Path) -> Path:
    """The path of a micro benchmark file."""
    path = tmp_path / "micro.yaml"
    path.write_text(yaml.safe_dump(MICRO))
    return path


def command(folder: Path, config: Path, *arguments: str) -> list[str]:
    """The snakemake command that runs ``config`` with its results below ``folder``."""
    program = str(Path(sys.executable).with_name("snakemake"))
    # --configfile takes every word up to the next option, so it does not stand right before a target.
    head = [program, "--configfile", str(config), "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    return [*head, *arguments]


@pytest.fixture
def snakemake(tmp_path: Path) -> Run:
    """Run the real Snakefile on a benchmark file, results below ``tmp_path``."""

    def run(config: Path, *arguments: str, folder: Path = tmp_path, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(folder, config, *arguments),
            capture_output=True,
            text=True,
            env=os.environ | env,
            cwd=ROOT,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture
def start_snakemake() -> Callable[[Path, Path], subprocess.Popen[bytes]]:
    """Start the pipeline in a process group of its own, to be killed."""

    def start(config: Path, folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command(folder, config, "--cores", "2", "leaderboard"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            start_new_session=True,
        )

    return start


@pytest.fixture
def mtlbench(tmp_path: Path) -> Run:
    """Run the command line from ``tmp_path``."""

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mtlbench", *arguments],
            capture_output=True,
            text=True,
            env=os.environ | env,
            cwd=tmp_path,
            timeout=300,
            check=False,
        )

    return run
