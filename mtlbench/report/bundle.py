"""The publication bundle: one zip of everything the manifest names, the same bytes for the same files."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from mtlbench.errors import CheckFailed, InputError
from mtlbench.report import manifest

# The earliest time a zip can state; the files' own times would make every archive different.
EPOCH = (1980, 1, 1, 0, 0, 0)


def write(results: Path) -> Path:
    """Write ``<name>.zip`` into the results folder ``<name>`` and return its path.

    Raises :class:`~mtlbench.errors.CheckFailed` when a file is not as the manifest says, naming the first.
    """
    results = results.resolve()
    changed = manifest.differences(results)
    if changed:
        more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        raise CheckFailed(f"{changed[0]}{more}: write the report again before bundling")
    target = results / f"{results.name}.zip"
    temporary = results / f".{target.name}.part"
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for name in [*manifest.listed(results), manifest.NAME]:
                entry = zipfile.ZipInfo(f"{results.name}/{name}", EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o100644 << 16
                entry.create_system = 3  # unix, wherever it is written
                archive.writestr(entry, (results / name).read_bytes())
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return target
