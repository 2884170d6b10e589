"""``manifest.json``: sha256 and size of every file of the results, so that any change can be named."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mtlbench.errors import CheckFailed
from mtlbench.files import digest, write_atomically

NAME = "manifest.json"


def write(results: Path) -> Path:
    """Write ``manifest.json``: ``{"files": {path: {"sha256", "size"}}}``, sorted by path."""
    path = results / NAME
    write_atomically(path, _text(_describe(results, listed(results))))
    return path


def read(results: Path) -> dict[str, Any]:
    """The files that the manifest names; :class:`~mtlbench.errors.CheckFailed` when it is missing or cut."""
    path = results / NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return dict(content["files"])
    except FileNotFoundError:
        raise CheckFailed(f"{path} is missing: write the report first") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckFailed(f"{path} is cut off or is not a manifest: {error}") from None


def differences(results: Path, names: list[str] | None = None) -> list[str]:
    """One sentence per file that is not as the manifest says: missing, cut, changed, or unknown to it.

    ``names``: the files that are there, :func:`listed` by default. The manifest itself must be, to the byte, what
    :func:`write` makes of them: nothing may stand in it that no file answers for.
    """
    names = listed(results) if names is None else names
    stated, found = read(results), _describe(results, names)
    said = []
    for name in sorted(stated.keys() | found.keys()):
        if name not in found:
            said.append(f"{results / name} is missing")
        elif name not in stated:
            said.append(f"{results / name} is not in the manifest")
        elif stated[name] != found[name]:
            said.append(f"{results / name} {_change(stated[name], found[name]['size'])}")
    if not said and (results / NAME).read_bytes() != _text(found).encode():
        said.append(f"{results / NAME} was changed: it names the right digests, but not as mtlbench writes them")
    return said


def listed(results: Path) -> list[str]:
    """The files a manifest covers, sorted: all but logs, locks, hidden files, the bundle and itself."""
    names = []
    # Through links: runs/ may lie on another disk.
    for path in (Path(folder, name) for folder, _, files in os.walk(results, followlinks=True) for name in files):
        parts = path.relative_to(results).parts
        hidden = any(part.startswith(".") for part in parts)
        if path.is_file() and not hidden and parts[0] != "logs" and path.suffix != ".lock":
            names.append("/".join(parts))
    return sorted(set(names) - {NAME, f"{results.resolve().name}.zip"})


def _change(stated: Any, size: int) -> str:
    whole = stated.get("size") if isinstance(stated, dict) else None
    if isinstance(whole, int) and whole > size:
        return f"is cut: {size} of {whole} bytes"
    return "was changed: its sha256 or size is not the manifest's"


def _describe(results: Path, names: list[str]) -> dict[str, dict[str, Any]]:
    return {name: {"sha256": digest(results / name), "size": (results / name).stat().st_size} for name in names}


def _text(files: dict[str, dict[str, Any]]) -> str:
    return json.dumps({"files": files}, indent=1, ensure_ascii=False) + "\n"
