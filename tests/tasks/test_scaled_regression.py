"""scaled_regression: the stated scales, related tasks, and that the tasks can be learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtlbench import tasks


@pytest.mark.parametrize(("count", "decades"), [(10, 2), (3, 6.0), (2, 0), (1, 2)])
def test_scales_span_the_decades_around_one(count, decades):
    dataset = tasks.get("scaled_regression", tasks=count, decades=decades)
    assert len(dataset.tasks) == len(dataset.scales) == count
    assert np.log10(dataset.scales[-1] / dataset.scales[0]) == pytest.approx(decades if count > 1 else 0)
    assert np.prod(dataset.scales) == pytest.approx(1)
    test = dataset.load(0).test
    for task, scale in zip(dataset.tasks, dataset.scales, strict=True):
        target = test.targets[task.name]
        assert 0.3 * scale < float(target.std()) < scale
        assert float(target.abs().max()) <= scale * (1 + 1e-6)


def test_tasks_are_related_but_not_the_same():
    train = tasks.get("scaled_regression", tasks=4, decades=1).load(0).train
    one, other = train.targets["task_1"].numpy(), train.targets["task_3"].numpy()
    correlations = [np.corrcoef(one[:, k], other[:, k])[0, 1] for k in range(one.shape[1])]
    assert 0.4 < np.mean(correlations) < 0.95


def test_names_sort_in_the_order_of_the_scales():
    names = [task.name for task in tasks.get("scaled_regression", tasks=12).tasks]
    assert names == sorted(names)


def test_the_seed_decides_everything():
    dataset = tasks.get("scaled_regression")
    assert dataset.load(0).digest == tasks.get("scaled_regression").load(0).digest
    assert dataset.load(0).digest != dataset.load(1).digest


def test_fewer_tasks_are_cheaper_but_of_the_same_kind():
    assert set(tasks.get("scaled_regression", tasks=2).load(0).train.targets) == {"task_1", "task_2"}


@pytest.mark.parametrize("number", [0, 9])
def test_single_task_training_explains_the_target_on_any_scale(number):
    dataset = tasks.get("scaled_regression")
    splits, task, protocol = dataset.load(0), dataset.tasks[number], dataset.protocol
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torch.nn.Sequential(dataset.encoder(), dataset.head(task))
        optimizer = torch.optim.Adam(network.parameters(), lr=protocol.learning_rate)
        for _ in range(protocol.epochs):
            for batch in torch.randperm(len(splits.train)).split(protocol.batch_size):
                optimizer.zero_grad()
                task.loss(network(splits.train.inputs[batch]), splits.train.targets[task.name][batch]).backward()
                optimizer.step()
    output = network(splits.test.inputs).detach().numpy()
    assert task.metrics[0].name == "nmse"
    assert task.metrics[0].compute(splits.test.targets[task.name].numpy(), output) < 0.1
