"""Metrics for every pixel: part by part as all at once, as scikit-learn has them, and as worked out by hand."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import accuracy_score, jaccard_score
from torch import nn

from mtlbench.tasks import Split, Task, dense_metrics
from mtlbench.tasks.dataset import UNLABELLED
from mtlbench.tasks.dense_metrics import Depth, Normals, Segmentation
from mtlbench.tasks.losses import l1
from mtlbench.tasks.nyuv2 import NYUv2
from mtlbench.training.evaluation import evaluate


@pytest.fixture
def scenes():
    """Targets and outputs of seven scenes of 6x8 pixels, some without label, for the tasks of nyuv2."""
    draw = torch.Generator().manual_seed(0)
    classes = torch.randint(0, 12, (7, 1, 6, 8), generator=draw).to(torch.int8)  # class 12 never occurs
    classes[torch.rand(classes.shape, generator=draw) < 0.3] = UNLABELLED
    depth = 1 + torch.rand(7, 1, 6, 8, generator=draw)
    depth[0, :, :5] = torch.nan
    normal = nn.functional.normalize(torch.randn(7, 3, 6, 8, generator=draw))
    normal[:, :, 0] = torch.nan
    targets = {"label": classes, "depth": depth, "normal": normal}
    outputs = {t.name: torch.randn(7, t.outputs, 6, 8, generator=draw) for t in NYUv2.tasks}
    outputs["label"][:, 12] -= 100
    return targets, outputs


def test_parts_give_what_the_whole_gives(scenes):
    targets, outputs = scenes
    for task in NYUv2.tasks:
        collected = task.running()
        for part in (slice(0, 1), slice(1, 5), slice(5, 7)):
            collected.add(targets[task.name][part], outputs[task.name][part])
        values = collected.values()
        assert values["loss"] == pytest.approx(float(task.loss(outputs[task.name], targets[task.name])), rel=1e-5)
        assert set(values) == {"loss", *(metric.name for metric in task.metrics)}
        for metric in task.metrics:
            whole = metric.compute(targets[task.name].numpy(), outputs[task.name].numpy())
            assert values[metric.name] == pytest.approx(whole, rel=1e-12)


def test_segmentation_is_scikit_learns(scenes):
    target, output = (kind["label"] for kind in scenes)
    collected = Segmentation(13)
    collected.add(target, output)
    known = (target != UNLABELLED).numpy()
    truth, guess = target.numpy()[known], output.argmax(dim=1, keepdim=True).numpy()[known]
    assert collected.values()["miou"] == pytest.approx(jaccard_score(truth, guess, average="macro"))
    assert collected.values()["pixel_accuracy"] == accuracy_score(truth, guess)


def test_depth_by_hand():
    collected = Depth()
    collected.add(torch.tensor([[[[1.0, 2.0, torch.nan, 4.0]]]]), torch.tensor([[[[2.0, 2.0, 9.0, 2.0]]]]))
    assert collected.values() == {"loss": 1.0, "absolute_error": 1.0, "relative_error": 0.5}


def test_angles_by_hand():
    degrees = torch.tensor([0.0, 10.0, 20.0, 90.0]).deg2rad()
    output = 3 * torch.stack([degrees.cos(), degrees.sin(), torch.zeros(4)]).view(1, 3, 1, 4)
    target = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).repeat(1, 1, 1, 4)
    collected = Normals()
    collected.add(target, output)
    values = collected.values()
    assert values["mean_angle"] == pytest.approx(30, rel=1e-6)
    assert values["median_angle"] == pytest.approx(15, rel=1e-6)
    assert [values[f"within_{bound}"] for bound in (11, 22, 30)] == [0.5, 0.75, 0.75]
    assert values["loss"] == pytest.approx(float((1 - degrees.cos()).mean()), rel=1e-6)
    torch.testing.assert_close(dense_metrics.normal_loss(output, target), (1 - degrees.cos()).mean())


@pytest.mark.parametrize("collected", [Segmentation(3), Depth(), Normals()])
def test_a_split_without_any_label_has_no_metric(collected):
    if isinstance(collected, Segmentation):
        collected.add(torch.full((1, 1, 2, 2), UNLABELLED), torch.zeros(1, 3, 2, 2))
    else:
        collected.add(torch.full((1, 3, 2, 2), torch.nan), torch.zeros(1, 3, 2, 2))
    with pytest.raises(ValueError, match="no pixel"):
        collected.values()


def test_evaluation_of_large_inputs_goes_part_by_part_and_keeps_no_output(monkeypatch):
    """Whatever the parts, the numbers are those of the whole split; a running task sees no more than one part."""
    target = 1 + torch.rand(9, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    split = Split(torch.rand(9, 1, 4, 4, generator=torch.Generator().manual_seed(1)), {"depth": target, "kept": target})
    sizes = []

    class Watched(Depth):
        def add(self, target, output):
            sizes.append(len(target))
            super().add(target, output)

    metrics = dense_metrics.depth_metrics("metres")
    tasks = [Task("depth", 1, l1, metrics, Watched), Task("kept", 1, l1, metrics)]

    class Same(nn.Module):
        def forward(self, inputs):
            return {"depth": inputs, "kept": inputs}, inputs

    monkeypatch.setattr("mtlbench.training.evaluation.NUMBERS", 4 * 16)
    found = evaluate(Same(), split, tasks, "float32")
    assert sizes == [4, 4, 1]
    assert found["depth"] == pytest.approx(found["kept"], rel=1e-6)
    assert found["depth"]["loss"] == pytest.approx(float((split.inputs - target).abs().mean()), rel=1e-6)
