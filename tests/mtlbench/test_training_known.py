"""What a training run fills in: the losses of constant outputs, the steps of an epoch; and how a formula ends a run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, l1_loss, mse_loss

from mtlbench.errors import InputError
from mtlbench.tasks.dataset import Split, Task
from mtlbench.training import checkpoint
from mtlbench.training.cell import run_seed
from mtlbench.training.evaluation import Diverged
from mtlbench.training.loop import epoch_batches, train_step
from mtlbench.training.prior import prior_losses
from mtlbench.training.runtime import session
from mtlbench.training.seeding import Streams
from mtlbench.training.start import new_state, recipe_of

CPU = torch.device("cpu")


def prior(loss, outputs, target):
    return prior_losses([Task("t", outputs, loss, ())], Split(target, {"t": target}))[0]


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_prior_of_squared_errors_is_the_variance(scale):
    target = scale * (3 + torch.randn(50, 2, generator=torch.Generator().manual_seed(0)))
    variance = target.double().var(dim=0, correction=0).mean().item()
    assert prior(mse_loss, 2, target) == pytest.approx(variance, rel=1e-12)
    # What zero outputs lose is never less.
    assert variance <= target.double().square().mean().item()


def test_the_prior_of_an_answer_for_every_pixel_is_one_constant_for_all_of_them():
    target = torch.randn(6, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    variance = target.double().var(dim=(0, 2, 3), correction=0).mean().item()
    assert prior(mse_loss, 2, target) == pytest.approx(variance, rel=1e-12)


def test_the_prior_of_a_cross_entropy_is_the_entropy_of_the_labels():
    labels = torch.tensor([0] * 5 + [1] * 3 + [2] * 2)
    shares = np.array([0.5, 0.3, 0.2])
    assert prior(cross_entropy, 3, labels) == pytest.approx(-shares @ np.log(shares), rel=1e-12)
    # A class that never occurs leaves no best output, only a limit.
    assert prior(cross_entropy, 4, labels) == pytest.approx(-shares @ np.log(shares), rel=1e-9)


def test_the_prior_of_absolute_errors_is_near_that_of_the_median():
    target = torch.randn(51, 1, generator=torch.Generator().manual_seed(0))
    best = (target - target.median()).abs().mean().item()
    assert best <= prior(l1_loss, 1, target) <= 1.01 * best


@pytest.fixture
def start(tiny):
    """A state of the tiny dataset, its training data and its recipe."""
    from mtlbench import tasks

    def build(cell):
        dataset, streams = tasks.get("tiny"), Streams(cell.benchmark_seed, 0)
        data = dataset.load(streams.seed("data", bits=32)).train
        return new_state(cell, dataset, dataset.tasks, streams, CPU, train=data), data, recipe_of(cell, dataset)

    return build


def test_many_tasks_are_compared_at_the_representation(tiny, tiny_cell, monkeypatch):
    from mtlbench import tasks
    from mtlbench.training import start

    dataset, streams = tasks.get("tiny"), Streams(0, 0)
    data = dataset.load(streams.seed("data", bits=32)).train

    def level(method, **parameters):
        cell = tiny_cell(method, method_parameters=parameters)
        return getattr(new_state(cell, dataset, dataset.tasks, streams, CPU, train=data).method, "level", None)

    assert level("mgda") == "shared"
    monkeypatch.setattr(start, "MANY_TASKS", 1)
    assert level("mgda") == "representation"
    assert level("mgda", level="shared") == "shared"
    # These have no such level, or no level at all.
    assert level("moco") == "shared"
    assert level("equal") == "shared"


def test_a_run_fills_in_what_the_cell_does_not_say(start, tiny_cell):
    state, data, _ = start(tiny_cell("prior_loss"))
    expected = [data.targets[name].double().var(correction=0).item() for name in "ab"]
    assert state.method.prior[:2] == pytest.approx(expected, rel=1e-12)
    assert start(tiny_cell("prior_loss", method_parameters={"prior": None}))[0].method.prior is None
    assert start(tiny_cell("prior_loss", method_parameters={"prior": [1, 2, 3]}))[0].method.prior == [1, 2, 3]
    # 70 samples in batches of 16, the rest is dropped.
    assert start(tiny_cell("dwa"))[0].method.period == 4
    assert start(tiny_cell("dwa", method_parameters={"period": 7}))[0].method.period == 7
    with pytest.raises(InputError, match="prior of prior_loss: 2 given for 3 tasks"):
        start(tiny_cell("prior_loss", method_parameters={"prior": [1, 2]}))


def test_the_record_shows_what_was_filled_in(tiny, tiny_cell, tmp_path):
    record = run_seed(tiny_cell("prior_loss", epochs=1), 0, tmp_path)
    assert record["status"] == "done"
    assert len(record["options"]["prior"]) == 3
    assert record["method_parameters"] == {}


@pytest.mark.parametrize("name", ["initial_loss", "uw", "famo", "dwa", "stch", "go4align", "ldc_mtl"])
def test_a_method_goes_on_from_a_checkpoint(start, tiny_cell, tmp_path, name):
    parameters = {"stch": {"warm_up": 0, "period": 3}, "dwa": {"period": 2}}.get(name, {})
    cell = tiny_cell(name, audit_interval=0, method_parameters=parameters)
    with session(CPU, 1, "fp32"):
        state, data, recipe = start(cell)
        for batches in epoch_batches(state, data, recipe):
            train_step(state, batches, recipe)
        checkpoint.save(tmp_path / "kept.pt", state, "run", CPU)
        expected = [train_step(state, batches, recipe).weights for batches in epoch_batches(state, data, recipe)]
        resumed, _, _ = start(cell)
        assert checkpoint.resume(tmp_path / "kept.pt", resumed, "run", CPU)
        found = [train_step(resumed, batches, recipe).weights for batches in epoch_batches(resumed, data, recipe)]
    np.testing.assert_array_equal(found, expected)


def test_a_loss_outside_the_formula_ends_the_run_with_a_reason(start, tiny_cell):
    cell = tiny_cell("gls", audit_interval=0)
    state, data, recipe = start(cell)
    state.tasks = [replace(state.tasks[0], loss=lambda output, target: -output.square().mean()), *state.tasks[1:]]
    batches = next(epoch_batches(state, data, recipe))
    with session(CPU, 1, "fp32"), pytest.raises(Diverged, match=r"gls needs positive losses.* \(step 0, epoch 1\)"):
        train_step(state, batches, recipe)
