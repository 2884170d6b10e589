"""Every file in tasks/ is found and held to the contract of a dataset, without being registered anywhere."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mtlbench import tasks
from mtlbench.tasks import DatasetError, Split, Splits
from mtlbench.tasks.checks import check_splits

NAMES = tasks.names()
WITH_FILES = [name for name in NAMES if tasks.get(name).source.files]
WITH_LAYOUT = [name for name in NAMES if tasks.get(name).source.layout]
SLUG = re.compile(r"[a-z0-9_]+")


def some_tasks(dataset: tasks.MultiTaskDataset) -> tuple[tasks.Task, ...]:
    """All tasks, or about a dozen of many."""
    return dataset.tasks[:: max(1, len(dataset.tasks) // 12)]


def parts(splits: Splits) -> dict[str, Split]:
    return {"train": splits.train, "validation": splits.validation, "test": splits.test}


@pytest.mark.parametrize("name", NAMES)
def test_describes_itself(name):
    dataset = tasks.get(name)
    assert dataset.name == name
    assert dataset.summary.strip()
    assert "\n" not in dataset.summary
    assert dataset.source.home
    assert dataset.source.licence
    assert dataset.source.citation
    for file in dataset.source.files:
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert file.bytes > 0
        assert file.url.startswith("https://")
        assert not Path(file.name).is_absolute()
        assert ".." not in Path(file.name).parts
        assert all(mirror.startswith(("https://", "http://")) for mirror in file.mirrors)  # the checksum guards them


@pytest.mark.parametrize("name", NAMES)
def test_tasks_and_metrics_are_named_and_directed(name):
    dataset = tasks.get(name)
    names = [task.name for task in dataset.tasks]
    assert names
    assert len(set(names)) == len(names)
    for task in dataset.tasks:
        assert SLUG.fullmatch(task.name)
        assert task.outputs >= 1
        assert task.metrics
        for metric in task.metrics:
            assert SLUG.fullmatch(metric.name)
            assert isinstance(metric.higher_is_better, bool)
            assert metric.unit
    metrics = {(task.name, metric.name) for task in dataset.tasks for metric in task.metrics}
    assert {(entry.task, entry.metric) for entry in dataset.reported} <= metrics
    assert all(entry.low < entry.high and entry.source for entry in dataset.reported)


@pytest.mark.parametrize("name", NAMES)
def test_protocol_can_be_trained(name, ready):
    dataset, data_dir = ready(name)
    protocol = dataset.protocol
    assert protocol.epochs >= 1
    assert protocol.batch_size >= 2
    assert protocol.optimizer in ("sgd", "adam", "adamw")
    assert 0 < protocol.learning_rate < math.inf
    assert 0 <= protocol.weight_decay < math.inf
    assert 0 <= protocol.momentum < 1
    assert protocol.protocol_version >= 1
    if not (dataset.source.files or dataset.source.layout):  # made files are smaller than the real ones
        assert protocol.batch_size <= len(dataset.load(0, data_dir).train)


@pytest.mark.parametrize("name", NAMES)
def test_splits_are_whole(name, ready):
    dataset, data_dir = ready(name)
    loaded = dataset.load(0, data_dir)
    check_splits(dataset, loaded)
    splits = parts(loaded)
    for split in splits.values():
        assert len(split) > 0
        assert set(split.targets) == {task.name for task in dataset.tasks}
        for tensor in (split.inputs, *split.targets.values()):
            assert len(tensor) == len(split)
            assert tensor.device.type == "cpu"
            # Small types save memory: the first layer or the loss turns them into what it needs.
            assert tensor.dtype in (torch.float32, torch.int64, torch.uint8, torch.int8, torch.int32)
            assert not tensor.requires_grad
        assert torch.isfinite(split.inputs).all()
    for field in ("inputs", "targets"):
        kinds = set()
        for split in splits.values():
            tensors = [split.inputs] if field == "inputs" else [split.targets[task.name] for task in dataset.tasks]
            kinds.add(tuple((tensor.dtype, tensor.shape[1:]) for tensor in tensors))
        assert len(kinds) == 1, f"the splits differ in the type or shape of their {field}"


@pytest.mark.parametrize("name", NAMES)
def test_splits_share_no_source_item(name, ready):
    dataset, data_dir = ready(name)
    splits = dataset.load(0, data_dir)
    items = [set(s.sources.flatten().tolist()) for s in parts(splits).values() if s.sources is not None]
    assert len(items) in (0, 3), "all splits tell their sources, or none"
    assert len(set().union(*items)) == sum(map(len, items))
    # Whatever the samples are made of: no sample of one split is, bit for bit, in another one.
    rows = [{row.tobytes() for row in split.inputs.numpy()} for split in parts(splits).values()]
    assert not rows[0] & rows[1]
    assert not rows[0] & rows[2]
    assert not rows[1] & rows[2]


@pytest.mark.parametrize("name", NAMES)
def test_networks_fit_the_data_and_every_parameter_learns(name, ready):
    dataset, data_dir = ready(name)
    train = dataset.load(0, data_dir).train
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder, heads = dataset.encoder(), {task.name: dataset.head(task) for task in dataset.tasks}
    inputs = train.inputs[:1024]  # enough for every task to have a label
    representation = encoder(inputs)
    assert representation.shape[0] == len(inputs)
    assert representation.ndim in (2, 4)  # features, or features for every pixel
    total = representation.new_zeros(())
    for task in dataset.tasks:
        output = heads[task.name](representation)
        assert output.shape == (len(inputs), task.outputs, *train.targets[task.name].shape[2:])
        loss = task.loss(output, train.targets[task.name][:1024])
        assert loss.shape == ()
        assert torch.isfinite(loss)
        total = total + loss
    total.backward()
    for network in (encoder, *heads.values()):
        assert all(p.grad is not None and bool((p.grad != 0).any()) for p in network.parameters())
        for module in network.modules():
            if any(True for _ in module.parameters(recurse=False)):
                assert callable(getattr(module, "reset_parameters", None)), f"{module}: training cannot initialise it"


@pytest.mark.parametrize("name", NAMES)
def test_lower_loss_means_better_metrics(name, ready):
    """Outputs that are free to fit the targets, trained by the task's loss, get better in the stated direction."""
    dataset, data_dir = ready(name)
    test = dataset.load(0, data_dir).test
    for task in some_tasks(dataset):
        target = test.targets[task.name]
        output = torch.zeros(len(test), task.outputs, *target.shape[2:], requires_grad=True)
        before = [metric.compute(target.numpy(), output.detach().numpy()) for metric in task.metrics]
        optimizer = torch.optim.Rprop([output], lr=1e-3)
        for _ in range(20):
            optimizer.zero_grad()
            task.loss(output, target).backward()
            optimizer.step()
        for metric, old in zip(task.metrics, before, strict=True):
            new = metric.compute(target.numpy(), output.detach().numpy())
            assert math.isfinite(new)
            assert new > old if metric.higher_is_better else new < old


@pytest.mark.parametrize("name", NAMES)
def test_metrics_refuse_an_output_that_is_not_finite(name, ready):
    dataset, data_dir = ready(name)
    test = dataset.load(0, data_dir).test
    for task in some_tasks(dataset):
        output = np.zeros((len(test), task.outputs, *test.targets[task.name].shape[2:]), dtype=np.float32)
        output[0] = np.nan
        for metric in task.metrics:
            with pytest.raises(ValueError, match="finite"):
                metric.compute(test.targets[task.name].numpy(), output)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bytes_and_no_global_random_state(name, ready, tmp_path):
    torch_state, numpy_state, python_state = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    first = ready(name, tmp_path / "one")
    second = ready(name, tmp_path / "two")
    digest = first[0].load(3, first[1]).digest
    torch.rand(3)  # a stream that the library must not read
    assert second[0].load(3, second[1]).digest == digest
    torch.set_rng_state(torch_state)
    assert re.fullmatch(r"[0-9a-f]{64}", digest)
    first[0].load(4, first[1])
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert random.getstate() == python_state


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(bytes(content))


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def point(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9912422\n")


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [Path.unlink, cut, flip, lengthen, empty, point, replace_by_folder])
@pytest.mark.parametrize("name", WITH_FILES)
def test_every_damaged_file_is_refused_in_one_sentence(
    name: str, damage: Callable[[Path], None], ready, tmp_path: Path
):
    for number, file in enumerate(tasks.get(name).source.files):
        dataset, data_dir = ready(name, tmp_path / str(number))
        (path,) = data_dir.rglob(file.name)
        damage(path)
        with pytest.raises(DatasetError) as caught:
            dataset.load(0, data_dir)
        assert file.name in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", WITH_LAYOUT)
def test_whatever_the_layout_lacks_is_named(name: str, ready, tmp_path: Path):
    dataset, data_dir = ready(name)
    for entry in dataset.source.layout:
        path = data_dir / dataset.source.folder / entry
        path.rename(tmp_path / "aside")
        for ask in (dataset.check_files, lambda where: dataset.load(0, where)):
            with pytest.raises(DatasetError, match=re.escape(entry)) as caught:
                ask(data_dir)
            assert dataset.source.home in str(caught.value)
            assert "\n" not in str(caught.value)
        if (tmp_path / "aside").is_file():
            point(path)
            with pytest.raises(DatasetError, match=r"Git LFS pointer"):
                dataset.load(0, data_dir)
        (tmp_path / "aside").replace(path)


@pytest.mark.parametrize("name", WITH_FILES + WITH_LAYOUT)
def test_missing_folder_says_what_to_put_where(name, tmp_path):
    dataset = tasks.get(name)
    with pytest.raises(DatasetError) as caught:
        dataset.load(0, tmp_path / "nowhere")
    message = str(caught.value)
    assert str(tmp_path / "nowhere") in message
    assert "MTLBENCH_DATA" in message
    assert dataset.source.home in message
    for file in dataset.source.files:
        assert file.name in message
        assert file.url in message
    for entry in dataset.source.layout:
        assert entry in message


@pytest.mark.parametrize("name", WITH_FILES)
def test_only_the_files_of_the_source_are_taken(name, ready):
    """Well-formed files that are not the real ones are refused by the dataset as users get it."""
    _, data_dir = ready(name)
    with pytest.raises(DatasetError, match=r"truncated|too long|checksum"):
        tasks.get(name).load(0, data_dir)
