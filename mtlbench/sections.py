"""What a benchmark file may hold, section by section, and the cell that it is unfolded into.

Sections are checked by pydantic: a wrong value is named before anything runs. How a file is read, and what its sections
must be to each other, is in :mod:`mtlbench.config`.
"""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from mtlbench.arena import Arena, slug
from mtlbench.entries import named, shown
from mtlbench.search import Simplex

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
    return named(entry, "a method")


def _as_architectures(entry: Any) -> Any:
    """Read one architecture, or a list of them, each with its parameters or without."""
    return [named(one, "an architecture") for one in _as_list(entry)]


def _as_list(entry: Any) -> Any:
    """Read one entry, or a list of them."""
    return entry if isinstance(entry, list) else [entry]


def _as_pair(value: Any) -> Any:
    """A list of two numbers as the bounds of a range."""
    return tuple(value) if isinstance(value, list) else value


class MethodEntry(_Strict):
    """A method of the list and the parameters it is run with."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class ArchitectureEntry(_Strict):
    """An architecture and the parameters it is built with."""

    name: str = "hard_sharing"
    parameters: dict[str, Any] = Field(default_factory=dict)

    @property
    def label(self) -> str:
        """The name a reader sees."""
        return shown(self.name, self.parameters)


class FrontSection(_Strict):
    """A grid of fixed weights for so many ``tasks``: ``points`` rows of the method ``static``.

    Two tasks: evenly from (0, 1) to (1, 0). More: Dirichlet(1, ..., 1), the gaps between the sorted coordinates of a
    scrambled Halton sequence that starts from ``seed``.
    """

    tasks: Annotated[int, Field(ge=2, le=1000)]
    points: Annotated[int, Field(ge=2, le=1000)]
    seed: NonNegative = 0

    def rows(self) -> list[MethodEntry]:
        """The rows of ``static``, weights of sum 1 to four digits."""
        return [MethodEntry(name="static", parameters={"weights": weights}) for weights in self._weights()]

    def _weights(self) -> list[list[float]]:
        if self.tasks == 2:
            first = [round(number / (self.points - 1), 4) for number in range(self.points)]
            return [[weight, round(1 - weight, 4)] for weight in first]
        import numpy as np
        from scipy.stats import qmc

        sequence = qmc.Halton(d=self.tasks - 1, scramble=True, rng=np.random.default_rng(self.seed))
        return [Simplex().at(uniform, self.tasks) for uniform in sequence.random(self.points).tolist()]


class Auxiliaries(_Strict):
    """What stands beside the primary task; by default every other task, as it is.

    ``tasks``: the other tasks that stay. ``label_noise``: the share of their training labels that no longer belong to
    their samples. ``regularisers``: penalties that become objectives. ``flooding``: the level that the training loss of
    the primary task is kept at.
    """

    tasks: list[str] | None = None
    label_noise: Annotated[float, Field(ge=0, lt=1)] = 0.0
    regularisers: list[Any] = []
    flooding: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    @field_validator("regularisers")
    @classmethod
    def _readable(cls, entries: list[Any]) -> list[Any]:
        found = [named(entry, "a regulariser")["name"] for entry in entries]
        if len(set(found)) < len(found):
            raise ValueError("a regulariser is listed twice")
        return entries

    @property
    def title(self) -> str:
        """What a reader sees of the setting."""
        found = [] if self.tasks is None else [f"beside {' and '.join(self.tasks) or 'no task'}"]
        found += [f"label noise {self.label_noise:g}"] if self.label_noise else []
        found += [f"regularised by {' and '.join(map(self._shown, self.regularisers))}"] if self.regularisers else []
        found += [] if self.flooding is None else [f"flooding {self.flooding:g}"]
        return ", ".join(found) or "auxiliary tasks as they are"

    @staticmethod
    def _shown(entry: Any) -> str:
        return shown(**named(entry, "a regulariser"))


class DatasetEntry(_Strict):
    """How one dataset is run; what is left out comes from the dataset's own protocol.

    ``architecture``, ``optimizer``, ``weight_decay`` and ``auxiliary``, what stands beside the task ``primary``, may be
    lists: every combination is a table of its own. In the
    tuned track the learning rate and weight decay are drawn, a list of weight decays apart: what stands here is for the
    other track.

    ``step_size_adapter``: the rate with which the step size is adapted during training, 0 leaves it alone. ``front``: a
    grid of fixed weights, whose rows follow ``methods``. ``training_samples``: train on so many samples of the training
    split, evenly spread over it; all where left out.
    """

    parameters: dict[str, Any] = Field(default_factory=dict)
    architecture: Annotated[list[ArchitectureEntry], Field(min_length=1), BeforeValidator(_as_architectures)] = [
        ArchitectureEntry()
    ]
    methods: Annotated[list[Annotated[MethodEntry, BeforeValidator(_as_method)]], Field(min_length=1)]
    epochs: Positive | None = None
    batch_size: BatchSize | None = None
    optimizer: Optimizer | Annotated[list[Optimizer], Field(min_length=1)] | None = None
    learning_rate: LearningRate | None = None
    weight_decay: WeightDecay | Annotated[list[WeightDecay], Field(min_length=1)] | None = None
    primary: str | None = None
    auxiliary: Annotated[list[Auxiliaries], Field(min_length=1), BeforeValidator(_as_list)] = [Auxiliaries()]
    step_size_adapter: AdapterRate = 0.0
    audit_interval: NonNegative | None = None
    training_samples: Positive | None = None
    front: FrontSection | None = None

    @property
    def rows(self) -> list[MethodEntry]:
        """Everything that is trained: the methods of the list and the grid of fixed weights."""
        return [*self.methods, *(self.front.rows() if self.front else [])]

    def settings(self) -> list[tuple[str, Optimizer | None, float | None, Auxiliaries]]:
        """Every (name, optimizer, weight decay, auxiliaries) compared: lists are axes, and only axes are named."""
        optimizers = self.optimizer if isinstance(self.optimizer, list) else [self.optimizer]
        decays = self.weight_decay if isinstance(self.weight_decay, list) else [self.weight_decay]
        found = []
        for optimizer, decay, auxiliary in product(optimizers, decays, self.auxiliary):
            names = [str(optimizer)] if len(optimizers) > 1 else []
            names += [f"weight decay {decay:g}"] if len(decays) > 1 else []
            names += [auxiliary.title] if len(self.auxiliary) > 1 else []
            found.append((", ".join(names), optimizer, decay, auxiliary))
        return found


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


class TuningSection(_Strict):
    """How the rows of the tuned track are tuned, baselines included: ``trials`` points each, of ``seeds`` runs.

    ``learning_rate`` and ``weight_decay``: from where to where they are drawn, evenly in the logarithm, the same for
    all methods. Methods that bring updates of very different lengths are only comparable where the learning rate may
    differ by three decades or more.
    """

    trials: Annotated[int, Field(gt=0, le=1000)]
    seeds: Annotated[int, Field(gt=0, le=1000)] = 1
    learning_rate: Annotated[tuple[LearningRate, LearningRate], BeforeValidator(_as_pair)] = (1e-4, 1e-1)
    weight_decay: Annotated[tuple[LearningRate, LearningRate], BeforeValidator(_as_pair)] = (1e-6, 1e-2)

    @field_validator("learning_rate")
    @classmethod
    def _wide_enough(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if bounds[1] < 1000 * bounds[0]:
            raise ValueError("the range of learning rates must span three decades or more, such as [1e-4, 1e-1]")
        return bounds

    @field_validator("weight_decay")
    @classmethod
    def _in_order(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        if bounds[1] < bounds[0]:
            raise ValueError("the range goes from its lower to its upper end, such as [1e-6, 1e-2]")
        return bounds


class Benchmark(_Strict):
    """One benchmark file.

    ``protocol_version`` grows when the benchmark comes to mean something else; results of different versions are never
    put into one table. ``tracks``: ``out_of_the_box`` (the papers' defaults at the dataset's learning rate), ``tuned``,
    or both; ``paper_mode`` evaluates on test after every epoch, for the papers' own ways of choosing a number;
    ``evaluate_training`` evaluates the network that is tested on training samples too. ``ranking``: whether methods are
    compared at all; a smoke test trains too little for that, and two rows are no ranking.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    seeds: Annotated[int, Field(gt=0, le=10_000)] = 10
    benchmark_seed: NonNegative = 0
    threads: Threads = 1
    device: Device = "auto"
    cells_per_gpu: Positive = 1
    precision: Precision = "fp32"
    audit_interval: NonNegative = 100
    protocol_version: Positive = 1
    tracks: Annotated[list[Track], Field(min_length=1)] = Field(default=["out_of_the_box"])
    tuning: TuningSection | None = None
    paper_mode: bool = False
    ranking: bool = True
    evaluate_training: bool = False
    study: str | None = None
    datasets: Annotated[dict[str, DatasetEntry], Field(min_length=1)]
    validate_solvers: ValidateSection = Field(default_factory=ValidateSection, alias="validate")
    cost: CostSection = Field(default_factory=CostSection)


class Cell(_Strict):
    """One (dataset, architecture, method) with all its seeds: the unit of work of the pipeline.

    ``method`` is a method's name or ``single_task``. ``epochs`` to ``weight_decay`` left ``None`` come from the
    dataset's protocol. ``step_size_adapter`` is the rate with which the step size is adapted, 0 leaves it alone.
    ``audit_interval`` counts training steps; 0 turns the audit off. ``track`` and ``setting``: see
    :class:`~mtlbench.arena.Arena`. ``tuned`` holds the method's own parameters that a trial drew, ``trial`` the number
    of a trial; both come from :mod:`mtlbench.tuning`. ``primary`` and ``auxiliary``: see :mod:`mtlbench.primary`.
    """

    benchmark: str
    protocol_version: Positive = 1
    dataset: str
    dataset_parameters: dict[str, Any] = Field(default_factory=dict)
    architecture: str = "hard_sharing"
    architecture_parameters: dict[str, Any] = Field(default_factory=dict)
    track: Track = "out_of_the_box"
    setting: str = ""
    method: str
    method_parameters: dict[str, Any] = Field(default_factory=dict)
    tuned: dict[str, Any] = Field(default_factory=dict)
    trial: NonNegative | None = None
    tuning: TuningSection | None = None
    seeds: tuple[int, ...]
    benchmark_seed: NonNegative = 0
    epochs: Positive | None = None
    batch_size: BatchSize | None = None
    optimizer: Optimizer | None = None
    learning_rate: LearningRate | None = None
    weight_decay: WeightDecay | None = None
    primary: str | None = None
    auxiliary: Auxiliaries = Auxiliaries()
    step_size_adapter: AdapterRate = 0.0
    audit_interval: NonNegative = 100
    training_samples: Positive | None = None
    paper_mode: bool = False
    evaluate_training: bool = False
    threads: Threads = 1
    device: Device = "auto"
    cells_per_gpu: Positive = 1
    precision: Precision = "fp32"

    @property
    def options(self) -> dict[str, Any]:
        """The method's options: those of the benchmark file and those that a trial drew."""
        return self.method_parameters | self.tuned

    @property
    def label(self) -> str:
        """The name a reader sees: ``mgda(solver=frank_wolfe)``."""
        return shown(self.method, self.method_parameters)

    @property
    def architecture_label(self) -> str:
        """The architecture and its parameters as a reader sees them: ``mmoe(experts=4)``; the name of the arena."""
        return shown(self.architecture, self.architecture_parameters)

    @property
    def folder(self) -> str:
        """Where the runs of this cell lie, relative to ``runs/``: safe as a path, unique in a benchmark."""
        arena = Arena("", self.architecture_label, self.track, self.setting)
        trial = () if self.trial is None else (f"trial-{self.trial}",)
        return "/".join((slug(self.dataset), arena.slug, slug(self.label), *trial))

    def run_configuration(self) -> dict[str, Any]:
        """What decides the bytes of one run: everything but the list of seeds."""
        # A run without a primary task is the same run as before there was one to name.
        beside = {"primary", "auxiliary"} if self.primary is None else set()
        return self.model_dump(mode="json", exclude={"seeds", "cells_per_gpu"} | beside)
