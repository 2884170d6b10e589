"""What the makers of small tables share: the source of which the files in a folder are true copies."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mtlbench.tasks import Source, SourceFile


def describe(folder: Path) -> Source:
    files = [
        SourceFile(
            path.name, hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size, f"https://x/{path.name}"
        )
        for path in sorted(folder.iterdir())
    ]
    return Source(tuple(files), "made for a test", "MIT", "none", folder.name)
