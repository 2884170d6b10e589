"""A small benchmark that was really trained, as the pipeline leaves it, and its bundle."""

from __future__ import annotations

import json
from pathlib import Path

from mtlbench import config
from mtlbench.publication import bundle, constraints, manifest
from mtlbench.report import leaderboard
from mtlbench.training.cell import run_cell

CONFIG = {
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


def train(results: Path, content: dict = CONFIG) -> Path:
    """Train the benchmark ``content`` into ``results`` and write what the pipeline writes, but for the pictures."""
    results.mkdir(parents=True)
    (results / "config.json").write_text(json.dumps(content))
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
