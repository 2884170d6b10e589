"""Where the time of one run of the pipeline went: training, what is listed apart, and the overhead that is left.

Every step that a rule starts adds a line to ``logs/steps.tsv`` (see the Snakefile): its name, when it began and when it
ended. Training seconds are those of the runs themselves, from their ``run.time.json``: starting an interpreter, loading
libraries and waiting for a free core are overhead.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

STEPS = "logs/steps.tsv"
APART = {
    "solver validation": ("problems", "afterwards", "judge", "verdict", "check-verdict", "timing"),
    "measuring cost": ("cost",),
    "report": ("toy", "tables", "report", "bundle", "cards"),
}
ALONE = ("cost", "timing", "cards", "report")
"""Steps that ask for the whole machine."""


def sentence(results: Path, began: float, ended: float, cores: int, threads: int = 1) -> str | None:
    """What one run of the pipeline, from ``began`` to ``ended`` (seconds since 1970), spent its ``cores`` on;
    a training cell has ``threads`` of them.

    overhead = 1 − training / (wall seconds · cores − what is listed apart). None where no step ran.
    """
    steps = [(name, end - start) for name, start, end in _steps(results / STEPS) if start >= began]
    if not steps:
        return None
    total = cores * (ended - began)
    training = threads * sum(_training(results, began))
    apart = {
        kind: sum(seconds * (cores if name in ALONE else 1) for name, seconds in steps if name in names)
        for kind, names in APART.items()
    }
    rest = total - sum(apart.values())
    listed = ", ".join(f"{kind} {100 * seconds / total:.0f} %" for kind, seconds in apart.items() if seconds)
    text = f"{ended - began:.0f} s on {cores} core{'s' if cores > 1 else ''}: training {100 * training / total:.0f} %"
    if listed:
        text += f"; apart: {listed}"
    if training and rest > 0:
        text += f"; overhead of training {100 * (1 - training / rest):.0f} %"
    return text


def _steps(path: Path) -> list[tuple[str, float, float]]:
    """The lines of the file that are whole; a killed run may leave a part of one."""
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            name, start, end = line.split("\t")
            found.append((name, float(start), float(end)))
        except ValueError:
            continue
    return found


def _training(results: Path, began: float) -> list[float]:
    """The seconds of every run that began since then."""
    found = []
    for kind in ("runs", "trials"):
        for path in (results / kind).glob("**/run.time.json"):
            try:
                timing = json.loads(path.read_text(encoding="utf-8"))
                # The stamp has whole seconds only.
                if datetime.fromisoformat(timing["started"]).timestamp() >= int(began):
                    found.append(float(timing["seconds"]))
            except (OSError, ValueError, KeyError, TypeError):
                continue
    return found
