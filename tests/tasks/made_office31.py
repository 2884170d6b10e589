"""A small Office-31: three pictures, of sizes that differ, of each class of each domain."""

from __future__ import annotations

from pathlib import Path

from making import pictures

from mtlbench.tasks import Source
from mtlbench.tasks.office31 import Office31

PARAMETERS = {"size": 32, "width": 4}


def make_test_files(data_dir: Path) -> Source:
    """Write the folders of the archive and return their source."""
    write_domains(data_dir, Office31)
    return Office31.source


def write_domains(data_dir: Path, dataset: type) -> None:
    """Folders of pictures by domain and class."""
    made = iter(pictures(3 * dataset.classes * len(dataset.folders)))
    for domain in dataset.folders.values():
        for label in range(dataset.classes):
            folder = data_dir / dataset.source.folder / domain / dataset.inner / f"class_{label:02}"
            folder.mkdir(parents=True)
            for number in range(3):
                (folder / f"frame_{number:04}.jpg").write_bytes(next(made))
