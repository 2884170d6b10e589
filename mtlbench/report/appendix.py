"""The provenance appendix: what ran, on what, with what, read from the runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mtlbench.analysis.leaderboard import SINGLE_TASK
from mtlbench.analysis.load import Run
from mtlbench.errors import CheckFailed

Section = tuple[str, list[tuple[str, list[str]]]]
APART = ("data", "code")


def facts(records: list[Run]) -> list[Section]:
    """What was recorded with the runs, a row per fact: its value, or its values and the datasets of each."""
    software = [(run.dataset, {k: v for k, v in run.provenance.items() if k not in APART}) for run in records]
    configuration = [(run.dataset, run.configuration) for run in records]
    return [
        ("Software and hardware", varying(software)),
        ("Data digests", _digests((run.dataset, f"seed {run.seed}", run.provenance.get("data")) for run in records)),
        (
            "Code digests",
            _digests((r.label, "", r.provenance.get("code")) for r in records),
        ),
        ("Configuration of the cells", varying(configuration)),
    ]


def varying(found: Iterable[tuple[str, dict[str, Any]]]) -> list[tuple[str, list[str]]]:
    """Every key with its value, or with its values and where each stands; ``found``: (where, mapping)."""
    values: dict[str, dict[str, set[str]]] = {}
    for place, mapping in found:
        for key, value in _flat(mapping):
            values.setdefault(key, {}).setdefault(value, set()).add(place)
    rows = []
    for key, having in sorted(values.items()):
        several = [f"{value} ({', '.join(sorted(where))})" for value, where in sorted(having.items())]
        rows.append((key, list(having) if len(having) == 1 else several))
    return rows


def _digests(found: Iterable[tuple[str, str, Any]]) -> list[tuple[str, list[str]]]:
    values: dict[str, set[str]] = {}
    for key, part, digest in found:
        if digest:
            values.setdefault(key, set()).add(f"{part}: {digest}" if part else str(digest))
    return [(key, sorted(digests)) for key, digests in sorted(values.items())]


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def provenance(records: list[Run]) -> dict[str, Any]:
    """Commits, the dirty flag and when the runs were made."""
    commits = sorted({str(run.provenance.get("commit")) for run in records if run.provenance.get("commit")})
    started = sorted(time for run in records if (time := _started(run.folder / "run.time.json")))
    return {
        "commits": commits,
        "dirty": any(run.provenance.get("dirty") for run in records),
        "first": started[0] if started else None,
        "last": started[-1] if started else None,
    }


def _started(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        started = json.loads(path.read_text(encoding="utf-8"))["started"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckFailed(f"{path} is cut off or does not say when the run started: {error}") from None
    return str(started)


def configuration(results: Path) -> str | None:
    """The benchmark's configuration as the pipeline kept it."""
    path = results / "config.json"
    return path.read_text(encoding="utf-8") if path.exists() else None


def counts(records: list[Run]) -> dict[str, int]:
    """How much was run."""
    return {
        "runs": len(records),
        "seeds": len({run.seed for run in records}),
        "datasets": len({run.dataset for run in records}),
        "methods": len({run.label for run in records} - {SINGLE_TASK}),
    }
