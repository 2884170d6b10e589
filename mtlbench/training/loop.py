"""The training loop: forward, gradients, weights, step, and the epoch that validation chooses.

Every method sees the same thing under one seed: the same initial network, the same batches in the same order,
the same dropout masks (a method that wants several batches a step draws more of them). An epoch is ``samples
// batch_size`` steps over a fresh permutation; the samples left over at its end are dropped, so that every
step has the same noise, and come back in another epoch. Of several batches the last one, which makes the
direction, comes from the common stream, the others from their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, is_grad_enabled, set_grad_enabled

from mtlbench import gradients
from mtlbench.architectures.architecture import Network, Representation
from mtlbench.gramian import to_host
from mtlbench.methods.method import Method, UndefinedLoss
from mtlbench.solvers import InvalidGramian
from mtlbench.tasks.dataset import Split, Task
from mtlbench.training.audit import Audit, Changes, measure
from mtlbench.training.evaluation import Diverged, Metrics, evaluate, score
from mtlbench.training.objectives import Primary
from mtlbench.training.runtime import autocast, call_aside, forked, random_state, replayed
from mtlbench.training.seeding import seed_global
from mtlbench.training.step_size import StepSize

Curve = tuple[int, str, str, str, float]  # epoch, split, task, metric, value
AHEAD = 16
"""The targets of so many batches are taken out of the data at once."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: the cell's numbers where it gives them, else the dataset's protocol."""

    epochs: int
    batch_size: int
    optimizer: str
    learning_rate: float
    weight_decay: float
    momentum: float
    precision: str
    step_size_adapter: float = 0.0


@dataclass
class State:
    """One network on its way: all that the next step depends on, and all that was found so far.

    ``step`` counts the updates done, ``epoch`` the epochs; ``best_weights`` are those of ``best_epoch``; ``tested``
    holds the test metrics after every epoch where the benchmark asks for the papers' ways of reporting.
    """

    tasks: Sequence[Task]
    model: Network
    method: Method
    optimizer: torch.optim.Optimizer
    batches: list[torch.Generator]
    audit: Audit
    primary: Primary | None = None
    step_size: StepSize | None = None
    step: int = 0
    epoch: int = 0
    curves: list[Curve] = field(default_factory=list)
    tested: list[Metrics] = field(default_factory=list)
    best_epoch: int = 0
    best_score: tuple[int, float] = (0, -math.inf)
    best_validation: Metrics = field(default_factory=dict)
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    @property
    def objectives(self) -> list[str]:
        """The names of the losses, in their order: the tasks, and regularisers beside a primary one."""
        regularisers = self.primary.regularisers if self.primary else ()
        return [task.name for task in self.tasks] + [regulariser.name for regulariser in regularisers]


def train(
    state: State,
    data: Split,
    validation: Split,
    recipe: Recipe,
    after_epoch: Callable[[State], None] = lambda _: None,
    test: Split | None = None,
) -> None:
    """Train ``state`` up to ``recipe.epochs``, and keep the weights of the epoch that validation likes best.

    ``test``, given in paper mode alone, is evaluated after every epoch, and decides nothing here.

    Raises :class:`~mtlbench.training.evaluation.Diverged`, one sentence naming the task, the step and the
    epoch.
    """
    while state.epoch < recipe.epochs:
        began = perf_counter()
        losses = [train_step(state, batches, recipe).losses for batches in epoch_batches(state, data, recipe)]
        state.epoch += 1
        try:
            found = evaluate(state.model, validation, state.tasks, recipe.precision)
        except Diverged as error:
            raise Diverged(f"on validation after epoch {state.epoch}, {error}") from None
        if test is not None:
            state.tested.append(_peeked(state, test, recipe))
        _note(state, np.mean(losses, axis=0), found)
        state.seconds.append(perf_counter() - began)
        after_epoch(state)


def _peeked(state: State, test: Split, recipe: Recipe) -> Metrics:
    """The test metrics of paper mode; none where they are not finite, for a peek decides nothing about the run."""
    try:
        return evaluate(state.model, test, state.tasks, recipe.precision)
    except Diverged:
        return {}


def train_step(state: State, batches: Sequence[Split], recipe: Recipe) -> gradients.StepRecord:
    """One update from one batch, or from as many as the method wants; the last one makes the direction."""
    state.optimizer.zero_grad(set_to_none=True)
    *others, batch = batches
    audited = state.audit.due(state.step)
    forwards = [forward(state, other, recipe, aside=True) for other in others]
    masks = random_state(batch.inputs.device) if audited else ()
    forwards.append(forward(state, batch, recipe))
    measured = None
    if audited:
        measured = measure(forwards[-1][0], lambda half: part_losses(state, batch, half, 2, recipe))
    record = _gradients(state, forwards, batch, recipe)
    state.audit.count(state.method)
    if measured is not None and state.method.needs == "jacobian":
        _ = measured.products
    if state.step_size is not None:
        state.step_size.adapt(state.optimizer)
    state.optimizer.step()
    if measured is not None:
        with torch.no_grad(), replayed(batch.inputs.device, masks):
            after = to_host(torch.stack(forward(state, batch, recipe, aside=True)[0]))[0]
        changes = Changes(measured.predicted(), after - record.losses)
        state.audit.add(state.step, state.epoch + 1, measured, changes, state.method, record)
    if state.method.needs == "losses_after":
        with torch.no_grad(), forked(batch.inputs.device):
            state.method.observe(torch.stack(forward(state, batch, recipe, aside=True)[0]))
    state.step += 1
    return record


def forward(state: State, batch: Split, recipe: Recipe, *, aside: bool = False) -> tuple[list[Tensor], Representation]:
    """The K losses of a batch, and the representation; ``aside``: unseen by running statistics."""
    # The value of a penalty on a gradient takes a gradient.
    with autocast(batch.inputs.device, recipe.precision), set_grad_enabled(is_grad_enabled() or bool(state.primary)):
        outputs, representation = call_aside(state.model, batch.inputs) if aside else state.model(batch.inputs)
        losses = [state.model.loss(task, outputs, batch.targets[task.name]) for task in state.tasks]
        if state.primary is not None:
            losses = state.primary.losses(state.model, batch, losses)
    return losses, representation


def _gradients(
    state: State, forwards: Sequence[tuple[list[Tensor], Representation]], batch: Split, recipe: Recipe
) -> gradients.StepRecord:
    """Fill ``.grad``; what is not finite, or no loss for the method, becomes one :class:`Diverged` that says where."""
    losses = [found for found, _ in forwards]
    representation = forwards[-1][1] if state.method.level == "representation" else None
    try:
        # A gradient that alone is not finite shows in the next loss: looking for it at every step would cost a copy.
        return gradients.step(
            losses if state.method.batches > 1 else losses[-1], state.method, representation=representation
        )
    except gradients.NonFiniteLoss:
        pass
    except UndefinedLoss as error:
        raise Diverged(f"{error} (step {state.step}, epoch {state.epoch + 1})") from None
    except InvalidGramian:
        if not _not_finite(state, losses, batch, recipe):
            raise
    culprits = _not_finite(state, losses, batch, recipe) or "the weighted gradient of all tasks"
    raise Diverged(f"{culprits} is not finite at step {state.step} (epoch {state.epoch + 1})")


def _not_finite(state: State, losses: Sequence[Sequence[Tensor]], batch: Split, recipe: Recipe) -> str:
    """Name the tasks whose loss, or else whose gradient or its square, is not finite; "" if there are none.

    The gradients are computed afresh: the run is lost anyway.
    """
    names = state.objectives
    bad = [i for i in range(len(names)) if not all(math.isfinite(found[i].item()) for found in losses)]
    what = "the loss"
    if not bad:
        what, parameters = "the gradient", list(state.model.parameters())
        for index in range(len(names)):
            loss = forward(state, batch, recipe)[0][index]
            found = torch.autograd.grad(loss, parameters, allow_unused=True)
            if not all(bool(torch.isfinite((g * g).sum())) for g in found if g is not None):
                bad.append(index)
    return f"{what} of task {' and '.join(repr(names[i]) for i in bad)}" if bad else ""


def part_losses(state: State, batch: Split, index: int, parts: int, recipe: Recipe) -> list[Tensor]:
    """The losses of one of ``parts`` equal parts of a batch, without a trace in the model; the samples left over at
    its end are left out.
    """
    size = len(batch) // parts
    part = slice(index * size, (index + 1) * size)
    with forked(batch.inputs.device):
        # Each part has its own dropout masks, or the noise of two would not be independent.
        seed_global(parts * state.step + index, batch.inputs.device)
        return forward(state, _part(batch, part), recipe, aside=True)[0]


def epoch_batches(state: State, data: Split, recipe: Recipe) -> Iterator[list[Split]]:
    """The steps of one epoch: for each the batches that the method wants, on the device of ``data``."""
    orders = [torch.randperm(len(data), generator=stream).to(data.inputs.device) for stream in state.batches]
    yield from map(list, zip(*(_batches(data, order, recipe.batch_size) for order in orders), strict=True))


def _batches(data: Split, order: Tensor, size: int) -> Iterator[Split]:
    """``data`` in that order, cut into batches; the samples left over at the end are left out."""
    for ahead in order[: len(order) // size * size].split(AHEAD * size):
        # Many tasks have many small targets: batch by batch, a tenth of a step would go into the calls for them.
        targets = {name: target.index_select(0, ahead) for name, target in data.targets.items()}
        for start in range(0, len(ahead), size):
            part = slice(start, start + size)
            inputs = data.inputs.index_select(0, ahead[part])
            yield Split(inputs, {name: target[part] for name, target in targets.items()})


def _part(data: Split, part: slice) -> Split:
    return Split(data.inputs[part], {name: target[part] for name, target in data.targets.items()})


def _note(state: State, train_losses: np.ndarray, validation: Metrics) -> None:
    """Add the epoch to the curves; keep its weights if validation likes it better than every earlier one."""
    for name, loss in zip(state.objectives, train_losses, strict=True):
        state.curves.append((state.epoch, "train", name, "loss", float(loss)))
    for name, values in validation.items():
        state.curves += [(state.epoch, "validation", name, metric, value) for metric, value in values.items()]
    found = score(state.tasks if state.primary is None else [state.primary.task], validation)
    if not state.best_epoch or found > state.best_score:
        state.best_epoch, state.best_score, state.best_validation = state.epoch, found, validation
        state.best_weights = {name: value.detach().clone() for name, value in state.model.state_dict().items()}
