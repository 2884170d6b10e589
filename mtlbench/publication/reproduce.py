"""Train one cell of a result again, from its record, and say whether the record holds.

On the same machine (same processor, device, versions and code, as recorded) every file must come out to the same byte.
Elsewhere float sums differ in their last digits and training multiplies that, so the scores are judged instead: each
must be as near to the recorded one as one seed of the row is to another, or, where fewer than three other seeds tell
how near that is, within 5 % of it.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError
from scipy import stats

from mtlbench import architectures, methods, runs, tasks
from mtlbench.analysis import load
from mtlbench.analysis.statistics import CONFIDENCE
from mtlbench.arena import slug
from mtlbench.config import SINGLE_TASK, Cell, check_plugins
from mtlbench.errors import InputError, unknown_name
from mtlbench.files import digest
from mtlbench.publication import archive
from mtlbench.publication.verify import must_hold
from mtlbench.report.format import listing, number

RELATIVE = 0.05
"""The tolerance where too few other seeds tell of a spread."""

FEWEST = 3
"""So many other seeds tell of a spread."""

MACHINE = ("versions", "python", "cpu", "torch_cpu_capability", "device", "cuda", "code")
"""What the provenance of two runs must share for their bytes to be the same."""


class Recorded(NamedTuple):
    """The run to be made again, the cell that makes it, and the other seeds of its row."""

    run: load.Run
    cell: Cell
    row: list[load.Run]


class Judged(NamedTuple):
    """Whether the record holds, and why, in sentences."""

    passed: bool
    said: list[str]


@contextmanager
def recorded(path: Path, name: str, wanted: Mapping[str, str | None]) -> Iterator[Recorded]:
    """The run ``DATASET/METHOD/SEED`` of the results folder or bundle at ``path``; its files are there inside.

    METHOD is a label, the name of its folder, or the method where that is enough. ``wanted``: architecture, track and
    setting, where several would match.
    Raises :class:`~mtlbench.errors.InputError`, with the nearest valid name.
    """
    with archive.opened(path) as results:
        must_hold(path, results)
        records = load.read(results)
        run = _find(records, name, wanted)
        keys = [key for key in load.KEYS if key != "seed"]
        row = [other for other in records if all(getattr(other, key) == getattr(run, key) for key in keys)]
        yield Recorded(run, _cell(run), row)


def _find(records: list[load.Run], name: str, wanted: Mapping[str, str | None]) -> load.Run:
    where = f"--cell {name}"
    # A label may hold a slash: static(weights=0.7/0.3).
    dataset, _, rest = name.partition("/")
    method, _, seed = rest.rpartition("/")
    if not (dataset and method and seed.isdecimal()):
        raise InputError(f"{where}: write it as DATASET/METHOD/SEED, such as multi_digits/mgda/0")
    found = records
    for kind, given in (("dataset", dataset), *((kind, given) for kind, given in wanted.items() if given is not None)):
        names = {str(getattr(run, kind)) for run in found}
        if given not in names:
            raise unknown_name(kind, given, names, where)
        found = [run for run in found if getattr(run, kind) == given]
    named = [run for run in found if method in (run.label, slug(run.label))]
    named = named or [run for run in found if method == run.method]
    labels = sorted({run.label for run in named})
    if not named:
        raise unknown_name("method", method, {name for run in found for name in (run.label, run.method)}, where)
    if len(labels) > 1:
        raise InputError(f"{where}: {method} is there with several parameters: write {' or '.join(labels)}")
    found = named
    if int(seed) not in (seeds := {run.seed for run in found}):
        raise unknown_name("seed", seed, map(str, sorted(seeds)), where)
    found = [run for run in found if run.seed == int(seed)]
    for kind in ("architecture", "track", "setting"):
        several = sorted({getattr(run, kind) for run in found})
        if len(several) > 1:
            raise InputError(f"{where} is there for several {kind}s: choose --{kind} {' or '.join(several)}")
    return found[0]


def _cell(run: load.Run) -> Cell:
    """The cell that the record describes, its names checked against what is installed here."""
    where = f"the record of {run.dataset}/{run.label}/{run.seed}"
    try:
        cell = Cell.model_validate_json(json.dumps(run.configuration | {"seeds": [run.seed]}))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{where}: its configuration is none of this version: {place}: {first['msg']}") from None
    for kind, name, valid in (
        ("dataset", tasks.file_name(cell.dataset), tasks.names()),
        ("architecture", cell.architecture, architectures.names()),
        ("method", cell.method, [*methods.names(), SINGLE_TASK]),
    ):
        if name not in valid:
            raise unknown_name(kind, name, valid, where)
    check_plugins(cell)
    return cell


def again(found: Recorded, out: Path | None, data_dir: Path | None) -> Judged:
    """Train the run again, into ``out`` or a temporary folder, and judge it by the rule of this module."""
    from mtlbench.training.cell import run_seed

    keep = nullcontext(out) if out else tempfile.TemporaryDirectory(prefix="mtlbench-reproduce-")
    with keep as folder:
        assert folder is not None
        record = run_seed(found.cell, found.run.seed, Path(folder), data_dir=data_dir, progress=True)
        new = load.Run.model_validate({**record, "folder": folder})
        unlike = [name for name in MACHINE if new.provenance.get(name) != found.run.provenance.get(name)]
        head = f"{new.dataset}/{new.label}/{new.seed}"
        if not unlike:
            said = _bytes(found.run, new)
            reason = "same processor, device, versions and code, so every file must be the same to the byte"
            verdict = f"all {len(_files(new.folder)) + 1} files are" if not said else "not all are"
            return Judged(not said, [f"{head}: {reason}: {verdict}", *said])
        reason = f"not the machine that made the record ({listing([_unlike(found.run, new, name) for name in unlike])})"
        passed, said = _tolerance(found, new)
        verdict = "all are" if passed else "not all are"
        return Judged(passed, [f"{head}: {reason}, so the scores must be near the recorded ones: {verdict}", *said])


def _unlike(old: load.Run, new: load.Run, name: str) -> str:
    one, other = old.provenance.get(name), new.provenance.get(name)
    if name == "versions" and isinstance(one, dict) and isinstance(other, dict):
        return listing([f"{key} {one.get(key)}, here {other[key]}" for key in other if one.get(key) != other[key]])
    return f"{name} {str(one)[:40]}, here {str(other)[:40]}"


def _files(folder: Path) -> list[str]:
    """The files of a run that another run of the same cell reproduces, ``run.json`` aside."""
    from mtlbench.training.run_files import REPRODUCIBLE

    return [name for name in REPRODUCIBLE if (folder / name).is_file()]


def _bytes(old: load.Run, new: load.Run) -> list[str]:
    """The files that differ. Of ``run.json`` all counts but where its provenance tells of commit and memory."""
    said = []
    for name in sorted({*_files(old.folder), *_files(new.folder)}):
        sides = [folder / name for folder in (old.folder, new.folder)]
        if not all(side.is_file() for side in sides):
            said.append(f"{name} is there on one side only")
        elif digest(sides[0]) != digest(sides[1]):
            said.append(f"{name} differs")
    one, other = (_content(run) for run in (old, new))
    said += [f"run.json differs: {key}" for key in sorted(one.keys() | other.keys()) if one.get(key) != other.get(key)]
    return said


def _content(run: load.Run) -> dict[str, Any]:
    content = json.loads((run.folder / runs.RUN).read_text(encoding="utf-8"))
    made = content.pop("provenance")
    return content | {f"provenance.{name}": made.get(name) for name in (*MACHINE, "data", "threads", "precision")}


def _tolerance(found: Recorded, new: load.Run) -> tuple[bool, list[str]]:
    """Whether each main metric is where it may be, and one line for each."""
    said = []
    if found.run.provenance.get("data") != new.provenance.get("data"):
        said.append("the data are not the same to the byte")
    if new.status != found.run.status or new.status != "done":
        said.append(f"the recorded run is {found.run.status}, the new one {new.status}")
        return new.status == found.run.status, said
    main = {task: next(iter(metrics)) for task, metrics in found.run.metrics.items()}
    others = [run for run in found.row if run.status == "done" and run.seed != found.run.seed]
    passed = True
    for task, metric in main.items():
        value, old = new.test[task][metric], found.run.test[task][metric]
        assert value is not None
        assert old is not None
        low, high, rule = _range(old, [run.test[task][metric] for run in others], len(main))
        inside = low <= value <= high
        passed &= inside
        text = f"{number(value, 6)}, recorded {number(old, 6)}, {'within' if inside else 'NOT within'}"
        said.append(f"{task} {metric}: {text} {number(low)} to {number(high)} ({rule})")
    return passed, said


def _range(old: float, others: list[float | None], metrics: int) -> tuple[float, float, str]:
    r"""Where a score may lie that was made elsewhere.

    Two seeds of a row differ by :math:`\pm t_{n-1,\,1-\alpha/2m}\, s \sqrt 2`, at level α = 0.05 for all m metrics
    together (Bonferroni), with s the spread of the n other seeds: the record is not among them, for the further off a
    false one is, the wider it would make its own interval. Of fewer than three, or of no spread, 5 % of the old score.
    """
    values = np.array([value for value in others if value is not None], dtype=float)
    n = len(values)
    if n < FEWEST or np.ptp(values) == 0:
        few = f"only {n} of its other seeds ended" if n < FEWEST else "its other seeds do not differ"
        return old - RELATIVE * abs(old), old + RELATIVE * abs(old), f"5 % of it, as {few}"
    half = float(stats.t.ppf(1 - (1 - CONFIDENCE) / (2 * metrics), n - 1) * values.std(ddof=1) * np.sqrt(2))
    return old - half, old + half, f"as two seeds differ, at 95 % by {n} others"
