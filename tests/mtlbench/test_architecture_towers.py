"""Small towers: the further heads count in training, and nobody sees them at inference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_networks import CPU, cell, losses_of, network, started

from mtlbench import tasks
from mtlbench.architectures._auxiliary import Auxiliary
from mtlbench.training import cost
from mtlbench.training.evaluation import evaluate
from mtlbench.training.loop import epoch_batches, train_step
from mtlbench.training.runtime import session

TOWERS = [
    ({"gamma": 2.0}, 1.0, 2.0, 1.0, 1),
    ({"gamma": 3.0, "temperature": 20.0, "bottleneck": 4}, 1.0, 3.0, 20.0, 1),
    ({"auxiliary": "same_size", "gamma": 0.5}, 1.0, 0.5, 1.0, 1),
    ({"auxiliary": "pseudo_tasks", "heads": 3}, 0.25, 0.25, 1.0, 3),
]


@pytest.mark.parametrize("base", ["hard_sharing", "mmoe"])
@pytest.mark.parametrize(("parameters", "own", "weight", "temperature", "count"), TOWERS)
def test_auxiliary_heads_count_in_training_and_are_dropped_at_inference(
    base, parameters, own, weight, temperature, count
):
    dataset = tasks.get("multi_digits")
    towers, inputs, targets = network("small_towers", parameters | {"base": base}, dataset)
    plain, _, _ = network(base, {}, dataset)
    assert towers.load_state_dict(plain.state_dict(), strict=False).unexpected_keys == []
    seen, _ = plain.represent(inputs)
    losses, _ = losses_of(towers, inputs, targets, dataset)
    for task, loss in zip(dataset.tasks, losses, strict=True):
        heads = towers.auxiliary.heads[task.name]
        assert len(heads) == count
        further = sum(task.loss(head(seen[task.name]) / temperature, targets[task.name]) for head in heads)
        expected = own * task.loss(plain(inputs)[0][task.name], targets[task.name]) + weight * further
        torch.testing.assert_close(loss, expected)
    now, before = towers.eval()(inputs)[0], plain.eval()(inputs)[0]
    assert list(now) == list(before)
    assert all(torch.equal(now[name], before[name]) for name in now)
    split = dataset.load(0).validation
    assert evaluate(towers.float(), split, dataset.tasks, "fp32") == evaluate(
        plain.float(), split, dataset.tasks, "fp32"
    )


def test_heads_have_the_sizes_that_the_controls_need():
    dataset = tasks.get("multi_digits")
    base = {"hard_sharing": {"head": {"mlp": {"width": 50, "depth": 3}}}}

    def size(**parameters):
        model, _, _ = network("small_towers", {"base": base} | parameters, dataset)
        main = sum(p.numel() for p in model.heads["left"].parameters())
        return sum(p.numel() for p in model.auxiliary.heads["left"].parameters()) / main, main

    linear = 48 * 10 + 10
    assert size()[0] * size()[1] == pytest.approx(linear)
    assert size(bottleneck=8)[0] * size()[1] == pytest.approx(48 * 8 + 8 + 8 * 10 + 10)
    assert size(auxiliary="same_size")[0] == 1
    assert size(auxiliary="pseudo_tasks", heads=3)[0] == 3


def test_the_audit_and_the_cost_see_the_auxiliary_losses(tmp_path, monkeypatch):
    gramians = {}
    for gamma in (0.0, 1.0):
        with session(CPU, 1, "fp32"):
            made = cell("multi_digits", "equal", "small_towers", {"gamma": gamma}, audit_interval=1)
            state, data, recipe = started(made)
            train_step(state, next(epoch_batches(state, data, recipe)), recipe)
        gramians[gamma] = state.audit.arrays["gramians"][0]
    assert (np.diag(gramians[1.0]) > 1.05 * np.diag(gramians[0.0])).all()
    passes = []
    forward = Auxiliary.forward
    monkeypatch.setattr(Auxiliary, "forward", lambda self, seen: passes.append(len(seen)) or forward(self, seen))
    cost.measure([made], None, tmp_path / "cost.csv", steps=2, warmup=1)
    assert passes == [2] * 4  # the steps timed, warm-up, and the one whose memory is measured
    assert "small_towers(gamma=1.0)" in (tmp_path / "cost.csv").read_text()
