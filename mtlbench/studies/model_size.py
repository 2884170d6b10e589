"""How large should the model be? Fronts in training and on test, with trunk and heads varied apart from each other.

Wang et al. (2022) make two claims: a larger model has the better Pareto front in training, for it can serve every task
at once; a smaller one has the better front on test, for a head too large fits its task whatever the representation. And
a remedy: small self-auxiliary heads (``small_towers``), beside which stand their two controls.

A front is what one architecture reaches under one seed over all weightings of the file: equal and a few static ones.
e_t is what the main metric of task t is short of its best: 1 − M where higher is better (accuracy, AUC: 1 is best),
else M. With r_t the largest e_t of any run of the dataset, on either split,

    hypervolume = 100 · volume {x in [0, 1]^T : some point of the front has e_t / r_t <= x_t for every t}

so 100 is a model without error in any task, and training and test are measured in one box. Training and test points
are those of the same networks. Computed by moocore. Source: Y. Wang et al., "Can Small Heads Help?", WWW 2022.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mtlbench.analysis.leaderboard import EQUAL
from mtlbench.analysis.load import Run
from mtlbench.analysis.statistics import Interval, paired_t_interval
from mtlbench.arena import Arena
from mtlbench.entries import named, shown
from mtlbench.sections import SINGLE_TASK
from mtlbench.studies import _model_size_shown as report
from mtlbench.studies.study import Study

SPLITS = ("train", "test")
Array = NDArray[np.float64]


class Model(NamedTuple):
    """An architecture taken apart: its trunk, its heads, and the further heads that it drops; "" without any."""

    trunk: str
    heads: str
    auxiliary: str = ""

    @classmethod
    def of(cls, name: str, parameters: Mapping[str, Any]) -> Model:
        """The parts by the names that a reader sees; the order of the parameters in the file does not count."""
        rest = json.loads(json.dumps(parameters, sort_keys=True))
        if name == "small_towers":
            base = named(rest.pop("base", "hard_sharing"), "an architecture")
            return cls.of(base["name"], base["parameters"])._replace(auxiliary=shown(name, rest))
        # What the parts are where the file names none: mtlbench.architectures.architecture.Sharing.
        head = named(rest.pop("head", None) or ("linear" if rest.get("encoder") else "dataset"), "a head")
        alone = name == "hard_sharing" and set(rest) == {"encoder"}
        trunk = named(rest["encoder"], "an encoder") if alone else {"name": name, "parameters": rest}
        return cls(shown(**trunk), shown(**head))


def hypervolume(errors: Array, reference: Array) -> float:
    """The share in percent of the box from 0 to ``reference`` (T,) that the points ``errors`` (n, T) dominate."""
    from moocore import hypervolume as volume

    return 100 * float(volume(errors / np.where(reference > 0, reference, 1), ref=np.ones(len(reference))))


def errors(run: Run, split: str) -> list[float]:
    """What the main metric of each task is short of its best, in the order of the tasks."""
    scores, found = getattr(run, split), []
    for task, metrics in run.metrics.items():
        name, info = next(iter(metrics.items()))
        found.append(1 - scores[task][name] if info.higher_is_better else scores[task][name])
    return found


class _Found(NamedTuple):
    """What the runs of one model say, by seed: its hypervolume on either split, and its runs under equal weighting."""

    volumes: dict[str, pd.Series]
    equal: list[Run]
    parameters: Mapping[str, int]
    broken: int


def measure(records: list[Run]) -> pd.DataFrame:
    """One row per dataset, sweep and size: a sweep varies the trunk or the heads, or adds auxiliaries to one model."""
    arenas: dict[str, list[Run]] = defaultdict(list)
    for run in records:
        if run.method != SINGLE_TASK and (run.train or run.status != "done"):
            arenas[Arena(run.dataset, "hard_sharing", run.track, run.setting).title].append(run)
    rows = [{"dataset": title} | row for title, runs in sorted(arenas.items()) for row in _rows(runs)]
    return pd.DataFrame(rows, columns=POINTS)


def _rows(runs: list[Run]) -> Iterator[dict[str, Any]]:
    done = [run for run in runs if run.status == "done"]
    if not done:
        return
    reference = np.max([errors(run, split) for run in done for split in SPLITS], axis=0)
    by_model: dict[Model, list[Run]] = defaultdict(list)
    for run in runs:
        parameters = run.configuration.get("architecture_parameters", {})
        by_model[Model.of(run.configuration.get("architecture", run.architecture), parameters)].append(run)
    labels = {run.label for run in runs}
    found = {model: _found(own, reference, labels) for model, own in by_model.items()}
    for name, sweep in _sweeps(found):
        against = max(sweep, key=sweep.__getitem__)
        for model, size in sorted(sweep.items(), key=lambda item: item[1]):
            label = model.trunk if name.startswith("trunk") else model.heads
            yield _row(name, label, size, found[model], found[against] if model != against else None)
    for model, own in found.items():
        if model.auxiliary:
            base = model._replace(auxiliary="")
            name = f"auxiliary to {base.heads} on {base.trunk}"
            yield _row(name, model.auxiliary, own.parameters.get("auxiliary", 0), own, found.get(base))


def _found(runs: list[Run], reference: Array, labels: set[str]) -> _Found:
    done = [run for run in runs if run.status == "done"]
    fronts: dict[int, list[Run]] = defaultdict(list)
    for run in done:
        fronts[run.seed].append(run)
    # A front that lacks a point is no front: its seed does not count.
    whole = {seed: front for seed, front in sorted(fronts.items()) if len(front) == len(labels)}
    volumes = {
        split: pd.Series(
            {seed: hypervolume(np.array([errors(r, split) for r in own]), reference) for seed, own in whole.items()},
            dtype=float,
        )
        for split in SPLITS
    }
    parameters = done[0].parameters if done else {}
    return _Found(volumes, [run for run in done if run.label == EQUAL], parameters, len(runs) - len(done))


def _sweeps(found: Mapping[Model, _Found]) -> Iterator[tuple[str, dict[Model, int]]]:
    """The models that differ in one part alone, with the parameters of that part, which must be known."""
    plain = [model for model, own in found.items() if not model.auxiliary and own.parameters]
    for part, fixed in (("trunk", "heads"), ("heads", "trunk")):

        def key(model: Model, fixed: str = fixed) -> tuple[str, str]:
            # Another kind of sharing is no larger trunk.
            return getattr(model, fixed), model.trunk.partition("(")[0]

        for (held, _), group in groupby(sorted(plain, key=key), key=key):
            sizes = {}
            for model in group:
                heads = found[model].parameters["heads"]
                sizes[model] = heads if part == "heads" else found[model].parameters["network"] - heads
            if len(sizes) > 1:
                yield f"{part}, {fixed} {held}", sizes


def _row(sweep: str, model: str, size: int, own: _Found, against: _Found | None) -> dict[str, Any]:
    numbers: dict[str, Interval] = {}
    for split in SPLITS:
        numbers[f"{split}_hypervolume"] = paired_t_interval(own.volumes[split])
        difference = own.volumes[split] - against.volumes[split] if against else own.volumes[split] * float("nan")
        numbers[f"{split}_difference"] = paired_t_interval(difference)
    audits = [run.audit for run in own.equal if run.audit is not None]
    numbers["conflict"] = paired_t_interval([100 * a.conflict_rate for a in audits if a.conflict_rate is not None])
    floors = [100 * a.noise_floor for a in audits if a.noise_floor is not None]
    return {
        "sweep": sweep,
        "model": model,
        "size": size,
        **{name: value.mean for name, value in numbers.items()},
        **{f"{name}_half_width": value.half_width for name, value in numbers.items()},
        **{f"{split}_error": _mean([float(np.mean(errors(run, split))) for run in own.equal]) for split in SPLITS},
        "noise_floor": _mean(floors),
        "seeds": len(own.volumes["test"]),
        "broken": own.broken,
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


COLUMNS = {
    "sweep": "Which part of the model is varied, and what is held fixed.",
    "model": "The part that is varied; of an auxiliary the further heads that were trained.",
    "size": "Parameters of that part; of an auxiliary those that are dropped after training.",
    "train_hypervolume": "Hypervolume of the front on training samples in percent; higher is better.",
    "test_hypervolume": "Hypervolume of the front of the same networks on test in percent; higher is better.",
    "train_difference": "The former less that of the largest of the sweep, or of an auxiliary's base, paired by seed.",
    "test_difference": "The same on test.",
    "train_error": "Mean over tasks of what the main metric of equal weighting is short of its best in training.",
    "test_error": "The same on test.",
    "conflict": "Percent of task pairs whose gradients conflict over the audited steps of equal weighting.",
    "noise_floor": "Percent in which two halves of a batch conflict about one task.",
    "seeds": "Seeds under which every weighting ended.",
    "broken": "Runs that did not end.",
}

POINTS = [
    *("dataset", *COLUMNS),
    *(f"{split}_{kind}_half_width" for split in SPLITS for kind in ("hypervolume", "difference")),
    "conflict_half_width",
]

STUDY = Study(
    title="Size of the model",
    question=(
        "Is the Pareto front of a large model better in training, and that of a small one better on test? Trunk and "
        "heads were varied apart from each other, and small auxiliary heads set beside their two controls."
    ),
    caption=(
        "Hypervolume of the fronts against the parameters of the part that is varied, mean and 95 % band over seeds; "
        "the share of task pairs that conflict under equal weighting; and by how much auxiliary heads move the "
        "hypervolume of the model that they are added to, with 95 % intervals, paired by seed."
    ),
    columns=COLUMNS,
    measure=measure,
    table=lambda points: points,
    draw=report.draw,
    findings=report.findings,
)
