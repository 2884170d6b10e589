"""The benchmark file: read, checked in full, and unfolded into training cells before anything runs.

Nothing here imports torch: the names of methods and datasets are read off the file names of their rooms, so a
misspelt word is answered at once. The parameters of methods and datasets are checked by :func:`check_plugins`,
which has to load them.
"""

from __future__ import annotations

import json
import re
from itertools import product
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from mtlbench import architectures, methods, primary, regularisers, studies, tasks
from mtlbench.errors import InputError, unknown_name
from mtlbench.sections import (
    SINGLE_TASK,
    ArchitectureEntry,
    Auxiliaries,
    Benchmark,
    Cell,
    CostSection,
    DatasetEntry,
    FrontSection,
    Optimizer,
    Track,
    TuningSection,
    ValidateSection,
)


def load(path: Path) -> Benchmark:
    """Read and check a benchmark file.

    Raises :class:`~mtlbench.errors.InputError`: one sentence with the file, the place in it, and what would be right.
    """
    benchmark = parse(read(path), str(path))
    if benchmark.name != path.stem:
        raise InputError(f"{path}: name is {benchmark.name!r} but must equal the file's stem, {path.stem!r}")
    return benchmark


class _Reader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error instead of a silent loss of the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def read(path: Path) -> Any:
    """The content of a YAML file, not yet checked; raises :class:`~mtlbench.errors.InputError` if it is not YAML."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Reader)
    except FileNotFoundError:
        raise InputError(f"the benchmark file {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the benchmark file {path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None


def load_resolved(results: Path, installed: bool = True) -> Benchmark:
    """The benchmark that ran into ``results``, from its ``config.json``; for ``installed`` see :func:`parse`."""
    path = results / "config.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    return parse(content, str(path), installed)


def listed_cells(results: Path) -> list[Cell] | None:
    """The cells that the benchmark of ``results`` asks for; ``None`` where no ``config.json`` lies there.

    Runs of methods or seeds that the benchmark no longer lists may lie beside theirs: kept, and not read.
    """
    # Where the runs lie depends on names alone; results of a method that is not installed here can still be read.
    return cells(load_resolved(results, installed=False)) if (results / "config.json").is_file() else None


def listed_runs(results: Path) -> list[Path] | None:
    """The folders of the runs of :func:`listed_cells`."""
    listed = listed_cells(results)
    if listed is None:
        return None
    return [results / "runs" / cell.folder / f"seed-{seed}" for cell in listed for seed in cell.seeds]


def parse(content: Any, where: str, installed: bool = True) -> Benchmark:
    """Check the content of a benchmark file; ``where`` names it in errors.

    ``installed``: whether its datasets, architectures, methods and study must be there on this machine.
    """
    if not isinstance(content, dict):
        raise InputError(f"{where}: a benchmark file is a mapping with the keys name, datasets, ...")
    try:
        benchmark = Benchmark.model_validate(numbers(content))
    except ValidationError as error:
        raise _first_sentence(error, where) from None
    if installed:
        _check_names(benchmark, where)
    _check_tracks(benchmark, where)
    for dataset, entry in benchmark.datasets.items():
        primary.check(entry, f"{where}: datasets.{dataset}", installed)
        folders = [cell.folder for cell in _dataset_cells(benchmark, dataset)]
        for folder in folders:
            if folders.count(folder) > 1:
                raise InputError(f"{where}: datasets.{dataset}.methods: {folder.rsplit('/', 1)[1]} is listed twice")
    return benchmark


def _check_names(benchmark: Benchmark, where: str) -> None:
    if benchmark.study not in (None, *studies.names()):
        raise unknown_name("study", benchmark.study, studies.names(), where)
    if benchmark.study in studies.ON_TRAINING and not benchmark.evaluate_training:
        raise InputError(
            f"{where}: the study {benchmark.study} compares training with test: add evaluate_training: true"
        )
    for dataset, entry in benchmark.datasets.items():
        place = f"{where}: datasets.{dataset}"
        if tasks.file_name(dataset) not in tasks.names():
            raise unknown_name("dataset", dataset, tasks.names(), f"{where}: datasets")
        for architecture in entry.architecture:
            if architecture.name not in architectures.names():
                raise unknown_name("architecture", architecture.name, architectures.names(), place)
            if entry.architecture.count(architecture) > 1:
                raise InputError(f"{place}: architecture: {architecture.label} is listed twice")
        for method in entry.methods:
            if method.name not in (*methods.names(), SINGLE_TASK):
                raise unknown_name("method", method.name, (*methods.names(), SINGLE_TASK), f"{place}.methods")


def _check_tracks(benchmark: Benchmark, where: str) -> None:
    """What the tuned track needs beside itself."""
    if ("tuned" in benchmark.tracks) != (benchmark.tuning is not None):
        missing = "tuning: {trials: 20}" if benchmark.tuning is None else "tracks: [tuned]"
        raise InputError(f"{where}: the tuned track needs both tracks and tuning: add {missing}")
    if len(set(benchmark.tracks)) < len(benchmark.tracks):
        raise InputError(f"{where}: tracks: a track is listed twice")
    for dataset, entry in benchmark.datasets.items():
        place = f"{where}: datasets.{dataset}"
        if "tuned" in benchmark.tracks and SINGLE_TASK not in {method.name for method in entry.methods}:
            raise InputError(f"{place}.methods: trials are compared with {SINGLE_TASK}: add it to the list")
        if benchmark.tracks == ["tuned"] and entry.learning_rate is not None:
            raise InputError(f"{place}: learning_rate is drawn in the tuned track: give the range tuning.learning_rate")
        if benchmark.tracks == ["tuned"] and isinstance(entry.weight_decay, float):
            raise InputError(
                f"{place}: weight_decay is drawn in the tuned track: give the range tuning.weight_decay, or a list of "
                "values to compare"
            )
        names = [name for name, *_ in entry.settings()]
        if len(set(names)) < len(names):
            raise InputError(f"{place}: a value of optimizer, weight_decay or auxiliary is listed twice")


def cells(benchmark: Benchmark) -> list[Cell]:
    """Every training cell of the benchmark, in the order of the file."""
    return [cell for dataset in benchmark.datasets for cell in _dataset_cells(benchmark, dataset)]


def _dataset_cells(benchmark: Benchmark, dataset: str) -> list[Cell]:
    entry = benchmark.datasets[dataset]
    arenas = product(entry.architecture, benchmark.tracks, entry.settings())
    return [
        cell
        for architecture, track, setting in arenas
        for cell in _arena_cells(benchmark, dataset, architecture, track, *setting)
    ]


def _arena_cells(
    benchmark: Benchmark,
    dataset: str,
    architecture: ArchitectureEntry,
    track: Track,
    setting: str,
    optimizer: Optimizer | None,
    decay: float | None,
    auxiliary: Auxiliaries,
) -> list[Cell]:
    entry = benchmark.datasets[dataset]
    tuned = track == "tuned"
    interval = benchmark.audit_interval if entry.audit_interval is None else entry.audit_interval
    return [
        Cell(
            benchmark=benchmark.name,
            protocol_version=benchmark.protocol_version,
            dataset=dataset,
            dataset_parameters=entry.parameters,
            architecture=architecture.name,
            architecture_parameters=architecture.parameters,
            track=track,
            setting=setting,
            method=method.name,
            method_parameters=method.parameters,
            tuning=benchmark.tuning if tuned else None,
            seeds=tuple(range(benchmark.seeds)),
            benchmark_seed=benchmark.benchmark_seed,
            epochs=entry.epochs,
            batch_size=entry.batch_size,
            optimizer=optimizer,
            learning_rate=None if tuned else entry.learning_rate,
            weight_decay=None if tuned and not isinstance(entry.weight_decay, list) else decay,
            primary=entry.primary,
            auxiliary=auxiliary,
            step_size_adapter=entry.step_size_adapter,
            audit_interval=interval,
            training_samples=entry.training_samples,
            paper_mode=benchmark.paper_mode,
            evaluate_training=benchmark.evaluate_training,
            threads=benchmark.threads,
            device=benchmark.device,
            cells_per_gpu=benchmark.cells_per_gpu,
            precision=benchmark.precision,
        )
        for method in entry.rows
    ]


def numbers(value: Any) -> Any:
    """``value`` with ``1e-3`` as a number everywhere: YAML 1.1 reads it as a word unless it is written 1.0e-3."""
    if isinstance(value, dict):
        return {key: numbers(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [numbers(entry) for entry in value]
    is_number = isinstance(value, str) and re.fullmatch(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+", value)
    return float(value) if is_number else value


def single_cell(dataset: str, method: str, **settings: Any) -> Cell:
    """One cell outside any benchmark file, its names and parameters checked like those of a file."""
    if tasks.file_name(dataset) not in tasks.names():
        raise unknown_name("dataset", dataset, tasks.names())
    if method not in (*methods.names(), SINGLE_TASK):
        raise unknown_name("method", method, (*methods.names(), SINGLE_TASK))
    if settings.get("architecture", "hard_sharing") not in architectures.names():
        raise unknown_name("architecture", settings["architecture"], architectures.names())
    try:
        cell = Cell(benchmark="train", dataset=dataset, method=method, **settings)
    except ValidationError as error:
        raise _first_sentence(error, "train") from None
    check_plugins(cell)
    return cell


def check_plugins(cell: Cell) -> None:
    """Load the cell's plug-ins once: a wrong parameter, or one that cannot be loaded, is answered before training."""
    where = f"{cell.dataset}, {cell.label}"
    try:
        objectives = primary.objectives(cell)
        regularisers.read(cell.auxiliary.regularisers)
        architecture = architectures.get(cell.architecture, **cell.architecture_parameters)
        if cell.method == SINGLE_TASK:
            if cell.method_parameters:
                raise InputError(f"{SINGLE_TASK} takes no parameters, got {', '.join(cell.method_parameters)}")
            return
        method = methods.get(cell.method, **cell.options)
        method.check_tasks(objectives)
        primary.check_level(cell, method)
        if method.level == "representation" and not architecture.one_representation:
            raise InputError(
                f"{cell.method} compares the tasks at one representation, and {cell.architecture} shares several, one "
                "made from the other: give the method another level or the dataset another architecture"
            )
    except (InputError, tasks.DatasetError) as error:
        raise InputError(f"{where}: {error}") from None
    except Exception as error:
        raise InputError(
            f"{where}: a dataset, architecture or method cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def _first_sentence(error: ValidationError, where: str) -> InputError:
    """Turn pydantic's list into one sentence about its first entry, with the nearest valid key for an unknown one."""
    # A misspelt key is also a missing one: the misspelling is what the reader can mend.
    first = min(error.errors(), key=lambda entry: entry["type"] != "extra_forbidden")
    path = [str(part) for part in first["loc"] if part != "function-before[_as_method()]"]
    place = f"{where}: {'.'.join(path)}" if path else where
    if first["type"] == "extra_forbidden":
        return unknown_name("key", path[-1], _keys_at(path[:-1]), ": ".join(filter(None, (where, ".".join(path[:-1])))))
    message = first["msg"].removeprefix("Value error, ")
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "missing":
        return InputError(f"{place} is missing{more}")
    return InputError(f"{place}: {message[0].lower()}{message[1:]}, got {first['input']!r}{more}")


def _keys_at(path: list[str]) -> list[str]:
    """The keys that the section at ``path`` may hold."""
    sections: dict[str, type[BaseModel]] = {
        "validate": ValidateSection,
        "cost": CostSection,
        "datasets": DatasetEntry,
        "tuning": TuningSection,
    }
    own: dict[str, type[BaseModel]] = {"front": FrontSection, "auxiliary": Auxiliaries}
    nested = next((own[part] for part in reversed(path) if part in own), None)
    model = nested or (sections[path[0]] if path else Benchmark)
    return [field.alias or name for name, field in model.model_fields.items()]
