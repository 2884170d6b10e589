"""``constraints.txt``: the versions that were installed when the benchmark ran, as ``pip install -c`` reads them.

The checkout's own ``constraints.txt`` says what was recommended; this file says what was there.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from mtlbench.files import write_atomically
from mtlbench.plugins import GROUP

NAME = "constraints.txt"
HEAD = (
    "# What mtlbench, the packages that bring methods to it, and all that they need were installed as. No build is\n"
    "# named: 2.13.0 also accepts 2.13.0+cpu. pip install -c constraints.txt ...\n"
)


def write(results: Path) -> Path:
    """Write the versions installed here into ``results`` and return the file's path."""
    path = results / NAME
    write_atomically(path, HEAD + "".join(f"{name}=={version}\n" for name, version in installed().items()))
    return path


def installed() -> dict[str, str]:
    """Name and public version of every package that mtlbench and its plug-ins need, themselves left out, sorted."""
    plugins = {point.dist.name for point in metadata.entry_points(group=GROUP) if point.dist is not None}
    roots = {canonicalize_name(name) for name in ("mtlbench", *plugins)}
    found: dict[str, str] = {}
    waiting = sorted(roots)
    while waiting:
        for line in metadata.requires(waiting.pop()) or []:
            requirement = Requirement(line)
            name = canonicalize_name(requirement.name)
            needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if needed and name not in found and name not in roots:
                try:
                    found[name] = Version(metadata.version(name)).public
                except metadata.PackageNotFoundError:
                    continue  # an optional part of a package may be missing; what is missing cannot be pinned
                waiting.append(name)
    return dict(sorted(found.items()))
