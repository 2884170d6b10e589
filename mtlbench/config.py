"""The benchmark file: read, checked in full, and unfolded into training cells before anything runs.

Nothing here imports torch: the names of methods and datasets are read off the file names of their rooms, so a
misspelt word is answered at once. The parameters of methods and datasets are checked by :func:`check_plugins`,
which has to load them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from mtlbench import architectures, methods, studies, tasks
from mtlbench.arena import Arena, slug
from mtlbench.errors import InputError, unknown_name

SINGLE_TASK = "single_task"

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["fp32", "tf32", "bf16"]
Optimizer = Literal["sgd", "adam", "adamw"]
Track = Literal["out_of_the_box", "tuned"]
Positive = Annotated[int, Field(gt=0, le=1_000_000)]
Threads = Annotated[int, Field(gt=0, le=1024)]
NonNegative = Annotated[int, Field(ge=0)]
LearningRate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
WeightDecay = Annotated[float, Field(ge=0, allow_inf_nan=False)]
AdapterRate = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
BatchSize = Annotated[int, Field(gt=1)]


class _Strict(BaseModel):
    """A section of the file: unknown keys are refused, numbers are not read out of strings, nothing changes later."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _as_method(entry: Any) -> Any:
    """Read ``mgda`` or ``{mgda: {solver: frank_wolfe}}`` as a method and its parameters."""
    if isinstance(entry, str):
        return {"name": entry}
    if isinstance(entry, dict) and len(entry) == 1:
        ((name, parameters),) = entry.items()
        if isinstance(parameters, dict) or parameters is None:
            return {"name": name, "parameters": parameters or {}}
    raise ValueError("a method is written as its name, or as {name: {parameter: value}}")


class MethodEntry(_Strict):
    """A method of the list and the parameters it is run with."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class DatasetEntry(_Strict):
    """How one dataset is run; what is left out comes from the dataset's own protocol.

    ``step_size_adapter``: the rate with which the step size is adapted during training, 0 leaves it alone.
    """

    parameters: dict[str, Any] = Field(default_factory=dict)
    architecture: str = "hard_sharing"
    methods: Annotated[list[Annotated[MethodEntry, BeforeValidator(_as_method)]], Field(min_length=1)]
    epochs: Positive | None = None
    batch_size: BatchSize | None = None
    optimizer: Optimizer | None = None
    learning_rate: LearningRate | None = None
    weight_decay: WeightDecay | None = None
    step_size_adapter: AdapterRate = 0.0
    audit_interval: NonNegative | None = None


class ValidateSection(_Strict):
    """How many problems the solvers are judged on: ``per_size`` problems of every family at every size K.

    ``iterations``: how many steps of an iterative algorithm are followed one by one.
    """

    sizes: Annotated[list[Annotated[int, Field(gt=0, le=256)]], Field(min_length=1)] = [1, 2, 3, 5, 8, 16, 32, 64]
    per_size: Positive = 3
    seed: NonNegative = 0
    iterations: Positive = 1000


class CostSection(_Strict):
    """How long every method is timed: steps counted, and steps before the clock starts."""

    steps: Annotated[int, Field(gt=1)] = 30
    warmup: Annotated[int, Field(ge=1)] = 5


class Benchmark(_Strict):
    """One benchmark file."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    seeds: Annotated[int, Field(gt=0, le=10_000)] = 10
    benchmark_seed: NonNegative = 0
    threads: Threads = 1
    device: Device = "auto"
    cells_per_gpu: Positive = 1
    precision: Precision = "fp32"
    audit_interval: NonNegative = 100
    study: str | None = None
    datasets: Annotated[dict[str, DatasetEntry], Field(min_length=1)]
    validate_solvers: ValidateSection = Field(default_factory=ValidateSection, alias="validate")
    cost: CostSection = Field(default_factory=CostSection)


class Cell(_Strict):
    """One (dataset, architecture, method) with all its seeds: the unit of work of the pipeline.

    ``method`` is a method's name or ``single_task``. ``epochs`` to ``weight_decay`` left ``None`` come from the
    dataset's protocol. ``step_size_adapter`` is the rate with which the step size is adapted, 0 leaves it alone.
    ``audit_interval`` counts training steps; 0 turns the audit off.
    """

    benchmark: str
    dataset: str
    dataset_parameters: dict[str, Any] = Field(default_factory=dict)
    architecture: str = "hard_sharing"
    track: Track = "out_of_the_box"
    setting: str = ""
    method: str
    method_parameters: dict[str, Any] = Field(default_factory=dict)
    seeds: tuple[int, ...]
    benchmark_seed: NonNegative = 0
    epochs: Positive | None = None
    batch_size: BatchSize | None = None
    optimizer: Optimizer | None = None
    learning_rate: LearningRate | None = None
    weight_decay: WeightDecay | None = None
    step_size_adapter: AdapterRate = 0.0
    audit_interval: NonNegative = 100
    threads: Threads = 1
    device: Device = "auto"
    cells_per_gpu: Positive = 1
    precision: Precision = "fp32"

    @property
    def label(self) -> str:
        """The name a reader sees: ``mgda(solver=frank_wolfe)``."""
        if not self.method_parameters:
            return self.method
        return f"{self.method}({', '.join(f'{k}={_plain(v)}' for k, v in self.method_parameters.items())})"

    @property
    def folder(self) -> str:
        """Where the runs of this cell lie, relative to ``runs/``: safe as a path, unique in a benchmark."""
        arena = Arena("", self.architecture, self.track, self.setting)
        return "/".join((slug(self.dataset), arena.slug, slug(self.label)))

    def run_configuration(self) -> dict[str, Any]:
        """What decides the bytes of one run: everything but the list of seeds."""
        return self.model_dump(mode="json", exclude={"seeds", "cells_per_gpu"})


def _plain(value: Any) -> str:
    return "/".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)


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


def listed_runs(results: Path) -> list[Path] | None:
    """The folders of the runs that the benchmark of ``results`` asks for; ``None`` where no ``config.json`` lies there.

    Runs of methods or seeds that the benchmark no longer lists may lie beside them: kept, and not read.
    """
    if not (results / "config.json").is_file():
        return None
    # Where the runs lie depends on names alone; results of a method that is not installed here can still be read.
    listed = cells(load_resolved(results, installed=False))
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
    for dataset in benchmark.datasets:
        folders = [cell.folder for cell in _dataset_cells(benchmark, dataset)]
        for folder in folders:
            if folders.count(folder) > 1:
                raise InputError(f"{where}: datasets.{dataset}.methods: {folder.rsplit('/', 1)[1]} is listed twice")
    return benchmark


def _check_names(benchmark: Benchmark, where: str) -> None:
    if benchmark.study not in (None, *studies.names()):
        raise unknown_name("study", benchmark.study, studies.names(), where)
    for dataset, entry in benchmark.datasets.items():
        place = f"{where}: datasets.{dataset}"
        if dataset not in tasks.names():
            raise unknown_name("dataset", dataset, tasks.names(), f"{where}: datasets")
        if entry.architecture not in architectures.names():
            raise unknown_name("architecture", entry.architecture, architectures.names(), place)
        for method in entry.methods:
            if method.name not in (*methods.names(), SINGLE_TASK):
                raise unknown_name("method", method.name, (*methods.names(), SINGLE_TASK), f"{place}.methods")


def cells(benchmark: Benchmark) -> list[Cell]:
    """Every training cell of the benchmark, in the order of the file."""
    return [cell for dataset in benchmark.datasets for cell in _dataset_cells(benchmark, dataset)]


def _dataset_cells(benchmark: Benchmark, dataset: str) -> list[Cell]:
    entry = benchmark.datasets[dataset]
    interval = benchmark.audit_interval if entry.audit_interval is None else entry.audit_interval
    return [
        Cell(
            benchmark=benchmark.name,
            dataset=dataset,
            dataset_parameters=entry.parameters,
            architecture=entry.architecture,
            method=method.name,
            method_parameters=method.parameters,
            seeds=tuple(range(benchmark.seeds)),
            benchmark_seed=benchmark.benchmark_seed,
            epochs=entry.epochs,
            batch_size=entry.batch_size,
            optimizer=entry.optimizer,
            learning_rate=entry.learning_rate,
            weight_decay=entry.weight_decay,
            step_size_adapter=entry.step_size_adapter,
            audit_interval=interval,
            threads=benchmark.threads,
            device=benchmark.device,
            cells_per_gpu=benchmark.cells_per_gpu,
            precision=benchmark.precision,
        )
        for method in entry.methods
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
    if dataset not in tasks.names():
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
    """Load the cell's dataset and method once, so that a wrong parameter is answered before anything trains.

    A plug-in that cannot even be loaded is named in one sentence as well.
    """
    try:
        dataset = tasks.get(cell.dataset, **cell.dataset_parameters)
        if cell.method == SINGLE_TASK:
            if cell.method_parameters:
                raise InputError(f"{SINGLE_TASK} takes no parameters, got {', '.join(cell.method_parameters)}")
            return
        methods.get(cell.method, **cell.method_parameters).check_tasks(len(dataset.tasks))
    except (InputError, tasks.DatasetError) as error:
        raise InputError(f"{cell.dataset}, {cell.label}: {error}") from None
    except Exception as error:
        raise InputError(
            f"{cell.dataset}, {cell.label}: the dataset or the method cannot be loaded: {type(error).__name__}: {error}"
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
    sections: dict[str, type[BaseModel]] = {"validate": ValidateSection, "cost": CostSection, "datasets": DatasetEntry}
    model = sections[path[0]] if path else Benchmark
    return [field.alias or name for name, field in model.model_fields.items()]
