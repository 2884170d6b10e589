"""Check a bundle or a results folder: every digest, and the leaderboard made again from the raw runs.

1. The manifest answers for every file, and no file is there that it does not name.
2. Every ``run.json`` answers for the other files of its run.
3. ``leaderboard.csv`` and ``overall.csv`` come out of the runs to the same bytes.

What remains is that somebody invents runs and digests that fit each other. The digest of the manifest, published
elsewhere, tells whether a bundle is the one that its authors meant; ``mtlbench reproduce``, whether a run happened.
"""

from __future__ import annotations

import json
import os
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from mtlbench.analysis import load
from mtlbench.errors import CheckFailed, InputError
from mtlbench.files import digest
from mtlbench.provenance import collect
from mtlbench.publication import archive, bundle, manifest
from mtlbench.report import leaderboard
from mtlbench.runs import RUN


class Verified(NamedTuple):
    """What was checked: files and runs counted, and the sha256 of the manifest that vouches for them."""

    files: int
    runs: int
    fingerprint: str


def verify(path: Path) -> Verified | list[str]:
    """Check the bundle or results folder at ``path``; one sentence for each thing that is not as it must be.

    Raises :class:`~mtlbench.errors.InputError` for what cannot be checked at all.
    """
    with archive.opened(path) as results:
        names = _names(path, results)
        said = _untouched(path, results, names) or _boards(results)
        if said:
            return [sentence.replace(str(results), str(path)) for sentence in said]
        runs = sum(name.endswith(f"/{RUN}") for name in names)
        return Verified(len(names) + 1, runs, digest(results / manifest.NAME))


def must_hold(path: Path, results: Path) -> None:
    """Raise :class:`~mtlbench.errors.CheckFailed` where the digests of an unpacked bundle do not hold.

    A folder is taken as it lies: its owner may be at work in it.
    """
    if results != path and (said := _untouched(path, results, _names(path, results))):
        raise CheckFailed(f"{said[0]}: see mtlbench verify {path}")


def _names(path: Path, results: Path) -> list[str]:
    """The files that the manifest has to name: of a bundle all, for there is no reason for a hidden file or a log."""
    if results == path:
        return manifest.listed(results)
    found = (Path(folder, name) for folder, _, names in os.walk(results) for name in names)
    return sorted({file.relative_to(results).as_posix() for file in found} - {manifest.NAME})


def _untouched(path: Path, results: Path, names: list[str]) -> list[str]:
    """What is not as the digests say, in sentences."""
    said = manifest.differences(results, names) or _broken_runs(results, names)
    if said or results == path:
        return said
    said = [f"{results / name} is missing: a bundle holds it" for name in bundle.missing_parts(results)]
    if not (bundle.sealed(path) and archive.fits(path)):
        said.append(
            f"{path} holds the right files, but not as mtlbench packs them: its seal is broken, or it has none, as "
            "bundles of earlier versions: unpack it, and write it again with mtlbench report FOLDER --bundle"
        )
    return said


def _broken_runs(results: Path, names: list[str]) -> list[str]:
    """The runs whose ``run.json`` does not answer for the other files of the run."""
    said = []
    for path in (results / name for name in names if name.endswith(f"/{RUN}")):
        try:
            files = json.loads(path.read_text(encoding="utf-8")).get("files", {})
            stated = {name: files[name] for name in files}
        except (ValueError, AttributeError, TypeError, RecursionError):
            said.append(f"{path} is cut off or is not a run of mtlbench")
            continue
        for name, expected in stated.items():
            # A name with a folder in it could lead anywhere on this machine.
            if Path(name).name != name or not (path.parent / name).is_file():
                said.append(f"{path} lists {name!r}, which is no file beside it")
            elif digest(path.parent / name) != expected:
                said.append(f"{path.parent / name} was changed: its sha256 is not the one in run.json beside it")
    return said


def _boards(results: Path) -> list[str]:
    """Compare the tables that the runs give to the same bytes with those that are stated."""
    try:
        made = leaderboard.csvs(leaderboard.computed(results))
    except InputError:
        raise
    except Exception as error:  # the runs are a stranger's: whatever they hold, it ends in a sentence
        return [f"{results / 'leaderboard.csv'} cannot be computed from the runs: {type(error).__name__}: {error}"]
    return [said for name, found in made.items() if (said := _differs(results, name, found))]


def _differs(results: Path, name: str, found: str) -> str | None:
    """What is wrong with a table of which the runs give ``found``."""
    path = results / name
    if not path.is_file():
        return f"{path} is missing"
    stated = path.read_bytes().decode(errors="replace")
    if found == stated:
        return None
    pairs = zip_longest(stated.splitlines(), found.splitlines())
    line = next((number for number, (one, other) in enumerate(pairs, 1) if one != other), 0)
    return f"{path} is not what its runs give (line {line} differs){_other_version(load.read(results))}"


def _other_version(records: list[load.Run]) -> str:
    """A hint where another version of mtlbench made the results than checks them."""
    here = _version(collect())
    made = sorted({_version(run.provenance) for run in records} - {here})
    return f"; it was made by {', '.join(made)}, and this is {here}" if made else ""


def _version(provenance: dict[str, Any]) -> str:
    commit = provenance.get("commit")
    return f"mtlbench {provenance.get('mtlbench')}" + (f" at commit {commit[:12]}" if isinstance(commit, str) else "")
