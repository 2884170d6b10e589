"""The configuration that the steps read names the same cells as the benchmark file that the Snakefile read."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtlbench import config, methods, pipeline

FOLDER = Path(__file__).parents[2] / "config"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_the_kept_configuration_has_the_same_cells(file, tmp_path):
    content = config.read(file)
    pipeline.keep_configuration(content, tmp_path)
    kept = config.cells(config.load_resolved(tmp_path))
    assert [cell.folder for cell in kept] == [cell.folder for cell in config.cells(config.parse(content, file.stem))]


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_method_and_network_takes_the_options_of_the_file(file):
    """Without its datasets' files, which only the pipeline asks for."""
    for cell in config.cells(config.parse(config.read(file), file.stem)):
        config.check_plugins(cell)


def test_the_benchmark_of_all_methods_leaves_none_out():
    cells = config.cells(config.parse(config.read(FOLDER / "methods.yaml"), "methods"))
    for dataset in ("multi_digits", "scaled_regression"):
        assert {cell.method for cell in cells if cell.dataset == dataset} == {"single_task", *methods.built_in()}
