"""The configuration that the steps read names the same cells as the benchmark file that the Snakefile read."""

from __future__ import annotations

from pathlib import Path

from mtlbench import config, pipeline

QUICK = Path(__file__).parents[2] / "config" / "quick.yaml"


def test_the_kept_configuration_has_the_same_cells(tmp_path):
    content = config.read(QUICK)
    pipeline.keep_configuration(content, tmp_path)
    kept = config.cells(config.load_resolved(tmp_path))
    assert [cell.folder for cell in kept] == [cell.folder for cell in config.cells(config.parse(content, "quick"))]
