"""The generated families against their stated truth: from samples, by brute force, and by training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mtlbench
from mtlbench import methods, tasks
from mtlbench.tasks import DatasetError, MultiTaskDataset, teachers


@pytest.mark.parametrize(("count", "cosine"), [(2, -1.0), (3, -0.5), (5, 0.7), (4, 0.0), (3, 1.0)])
def test_teachers_have_the_angle_that_was_asked_for(count, cosine):
    found = teachers.directions(np.random.default_rng(0), count, 8, cosine)
    assert np.allclose(found @ found.T, (1 - cosine) * np.eye(count) + cosine, atol=1e-12)


def trained(dataset: MultiTaskDataset, method: str, seed: int, steps: int = 300) -> tuple[torch.nn.Module, list[float]]:
    """The encoder after ``steps`` of the protocol, which sees all samples at once, and the losses on the test split."""
    splits = dataset.load(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder, heads = dataset.encoder(), [dataset.head(task) for task in dataset.tasks]
    parameters = [*encoder.parameters(), *(p for head in heads for p in head.parameters())]
    optimizer = torch.optim.SGD(parameters, lr=dataset.protocol.learning_rate)
    chosen = methods.get(method)

    def losses(split: tasks.Split) -> list[torch.Tensor]:
        features = encoder(split.inputs)
        return [t.loss(h(features), split.targets[t.name]) for t, h in zip(dataset.tasks, heads, strict=True)]

    for _ in range(steps):
        optimizer.zero_grad()
        mtlbench.backward(losses(splits.train), chosen)
        optimizer.step()
    with torch.no_grad():
        return encoder, [loss.item() for loss in losses(splits.test)]


@pytest.mark.parametrize("variant", ["concave", "convex"])
def test_expected_losses_are_those_of_samples(variant):
    dataset = tasks.get(f"tug_of_war:{variant}", samples=100_000, tasks=3, conflict=0.5)
    split = dataset.load(1).train
    beta = teachers.directions(np.random.default_rng(1), 3, 16, -0.25)
    theta = 0.6 * beta[0] + 0.1 * beta[1]
    output = split.inputs @ torch.from_numpy(theta.astype(np.float32))[:, None]
    found = [task.loss(output, split.targets[task.name]).item() for task in dataset.tasks]
    expected = dataset.expected_loss(np.linalg.norm(theta - beta, axis=1))
    assert found == pytest.approx(expected, rel=0.02)
    for task, value in zip(dataset.tasks, found, strict=True):
        target = split.targets[task.name].numpy()
        assert task.metrics[0].compute(target, output.numpy()) == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("conflict", [0.0, 0.4, 1.0])
def test_conflict_is_the_cosine_of_the_gradients_at_zero(conflict):
    dataset = tasks.get("tug_of_war", tasks=3, conflict=conflict, samples=100_000)
    split = dataset.load(0).train
    theta = torch.zeros(16, 1, requires_grad=True)
    rows = [
        torch.autograd.grad(task.loss(split.inputs @ theta, split.targets[task.name]), theta)[0].flatten()
        for task in dataset.tasks
    ]
    cosine = torch.nn.functional.cosine_similarity(rows[0], rows[1], dim=0).item()
    assert cosine == pytest.approx(-conflict / 2, abs=0.03)


def test_fixed_weights_reach_the_ends_of_the_concave_front_only_and_all_of_the_convex_one():
    place = np.linspace(0, 1, 20_001)
    reached = {}
    for variant in ("concave", "convex"):
        first, second = (tasks.get(f"tug_of_war:{variant}").expected_loss(2 * r) for r in (place, 1 - place))
        reached[variant] = np.array([place[np.argmin(w * first + (1 - w) * second)] for w in np.linspace(0, 1, 201)])
    assert np.minimum(reached["concave"], 1 - reached["concave"]).max() < 0.01
    assert reached["convex"] == pytest.approx(1 - np.linspace(0, 1, 201), abs=1e-4)


def test_on_the_concave_front_equal_weights_end_at_a_task_and_mgda_between_them():
    dataset = tasks.get("tug_of_war", samples=1000)
    end, other = dataset.expected_loss(np.array([0.0, 2.0]))
    _, equal = trained(dataset, "equal", 0)
    assert sorted(equal) == pytest.approx([end, other], abs=0.03)
    _, between = trained(dataset, "mgda", 0)
    assert max(between) < other - 0.08


def test_on_the_convex_front_equal_weights_are_where_the_truth_says():
    dataset = tasks.get("tug_of_war:convex", tasks=4, conflict=0.5)
    encoder, _ = trained(dataset, "equal", 0, steps=100)
    beta = teachers.directions(np.random.default_rng(0), 4, 16, -0.5 / 3)
    assert encoder.weight.detach().numpy()[0] == pytest.approx(beta.mean(axis=0), abs=0.02)


def worst(dataset: MultiTaskDataset) -> float:
    """The least worst loss that fixed weights reach, by brute force, those near the tie of equal weights included."""
    rng = np.random.default_rng(0)
    count = len(dataset.tasks)
    weights = [*rng.dirichlet(np.ones(count), 3000), *(1 + 1e-3 * rng.normal(size=(1000, count)))]
    return min(dataset.scalarised(w / w.sum()).max() for w in weights)


@pytest.mark.parametrize(("count", "rho"), [(3, 0.3), (3, -0.25), (4, -0.25), (5, -0.1), (2, 0.5)])
def test_balanced_loss_is_the_least_worst_one_and_fixed_weights_reach_it_only_if_teachers_agree(count, rho):
    dataset = tasks.get("linear_bottleneck", tasks=count, relatedness=rho, noise=0.0)
    beta = teachers.directions(np.random.default_rng(0), count, 32, rho)
    directions = np.random.default_rng(1).normal(size=(100_000, count)) @ beta
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    least = (1 - (directions @ beta.T) ** 2).max(axis=1).min()
    assert dataset.balanced_loss() - 1e-9 <= least < dataset.balanced_loss() + 0.1
    if rho > 0:
        assert worst(dataset) == pytest.approx(dataset.balanced_loss(), abs=1e-3)
    else:
        assert worst(dataset) > dataset.balanced_loss() + 0.1


def test_the_figures_of_the_docstring():
    dataset = tasks.get("linear_bottleneck", noise=0.0)
    assert dataset.balanced_loss() == pytest.approx(0.643, abs=5e-4)
    assert worst(dataset) == pytest.approx(0.792, abs=5e-3)


def test_equal_weights_find_the_losses_of_the_leading_eigenvectors_and_mgda_a_better_balance():
    dataset = tasks.get("linear_bottleneck", tasks=3, relatedness=0.3, width=2)
    _, equal = trained(dataset, "equal", 0)
    assert sum(equal) == pytest.approx(dataset.scalarised(np.ones(3)).sum(), rel=0.05)
    wide = tasks.get("linear_bottleneck", width=3)
    assert wide.scalarised(np.ones(3)) == pytest.approx(0.25)
    narrow = tasks.get("linear_bottleneck")
    reach = worst(narrow)
    assert min(max(trained(narrow, "equal", seed)[1]) for seed in (0, 2)) > reach
    assert min(max(trained(narrow, "mgda", seed)[1]) for seed in (0, 2)) < reach - 0.05


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        *(("linear_bottleneck", *pair) for pair in (("tasks", 1), ("tasks", 33), ("relatedness", -0.5))),
        *(("linear_bottleneck", *pair) for pair in (("width", 0), ("noise", "1"), ("samples", 10), ("samples", 1e4))),
        *(("tug_of_war", *pair) for pair in (("tasks", 17), ("conflict", 1.1), ("noise", float("nan")))),
    ],
)
def test_a_wrong_dial_is_one_sentence(name, parameter, value):
    with pytest.raises(DatasetError, match=f"{name}: {parameter} is .* but must be a"):
        tasks.get(name, **{parameter: value})
