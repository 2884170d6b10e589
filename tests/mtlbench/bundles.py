"""A small benchmark that was really trained, as the pipeline leaves it, and its bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mtlbench import config
from mtlbench.publication import bundle, constraints, manifest
from mtlbench.report import leaderboard
from mtlbench.training.cell import run_cell

SMALL: dict[str, Any] = {
    "name": "small",
    "seeds": 3,
    "audit_interval": 10,
    "device": "cpu",
    "datasets": {
        "scaled_regression": {
            "parameters": {"tasks": 2},
            "epochs": 1,
            "methods": ["single_task", "equal", {"mgda": {"solver": "frank_wolfe"}}],
        }
    },
}


def train(results: Path) -> Path:
    """Train the benchmark :data:`SMALL` into ``results``, and write what the pipeline writes but for the pictures."""
    results.mkdir(parents=True)
    (results / "config.json").write_text(json.dumps(SMALL))
    for cell in config.cells(config.load_resolved(results)):
        run_cell(cell, results / "runs")
    (results / "report.html").write_text("<p>3 seeds</p>\n")
    constraints.write(results)
    return finish(results)


def finish(results: Path) -> Path:
    """Write leaderboard, manifest and bundle of ``results`` again; returns the bundle."""
    leaderboard.write(results)
    manifest.write(results)
    return bundle.write(results)


def change_runs(results: Path, **changes: Any) -> None:
    """Change what every ``run.json`` says, as another version or another luck would have."""
    for path in (results / "runs").glob("**/run.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
