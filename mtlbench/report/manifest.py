"""``manifest.json``: sha256 and size of every file of the results, so that any change can be named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mtlbench.errors import CheckFailed
from mtlbench.files import digest, write_json

NAME = "manifest.json"


def write(results: Path) -> Path:
    """Write ``manifest.json``: ``{"files": {path: {"sha256", "size"}}}``, sorted by path."""
    path = results / NAME
    write_json(path, {"files": _describe(results)})
    return path


def read(results: Path) -> dict[str, Any]:
    """The files that the manifest names; :class:`~mtlbench.errors.CheckFailed` when it is missing or cut."""
    path = results / NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return dict(content["files"])
    except FileNotFoundError:
        raise CheckFailed(f"{path} is missing: write the report first") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckFailed(f"{path} is cut off or is not a manifest: {error}") from None


def differences(results: Path) -> list[str]:
    """One sentence per file that is not as the manifest says: missing, cut, changed, or unknown to it."""
    stated, found = read(results), _describe(results)
    said = []
    for name in sorted(stated.keys() | found.keys()):
        if name not in found:
            said.append(f"{results / name} is missing")
        elif name not in stated:
            said.append(f"{results / name} is not in the manifest")
        elif stated[name]["size"] > found[name]["size"]:
            said.append(f"{results / name} is cut: {found[name]['size']} of {stated[name]['size']} bytes")
        elif stated[name] != found[name]:
            said.append(f"{results / name} was changed: its sha256 differs from the manifest's")
    return said


def listed(results: Path) -> list[str]:
    """The files a manifest covers, sorted: all but logs, locks, hidden files, the bundle and itself."""
    names = []
    for path in results.rglob("*"):
        parts = path.relative_to(results).parts
        hidden = any(part.startswith(".") for part in parts)
        if path.is_file() and not hidden and parts[0] != "logs" and path.suffix != ".lock":
            names.append("/".join(parts))
    return sorted(set(names) - {NAME, f"{results.resolve().name}.zip"})


def _describe(results: Path) -> dict[str, dict[str, Any]]:
    return {
        name: {"sha256": digest(results / name), "size": (results / name).stat().st_size} for name in listed(results)
    }
