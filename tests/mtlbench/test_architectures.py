"""Every architecture on any dataset with any method: what is shared, what it starts from, what is dropped."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_dense import Dense, Words

from mtlbench import architectures, gradients, methods, tasks
from mtlbench.architectures._auxiliary import Auxiliary
from mtlbench.architectures._experts import Gate
from mtlbench.errors import InputError
from mtlbench.runs import read
from mtlbench.sections import Cell
from mtlbench.training import cost
from mtlbench.training.cell import run_cell
from mtlbench.training.evaluation import evaluate
from mtlbench.training.loop import epoch_batches, train_step
from mtlbench.training.runtime import session
from mtlbench.training.seeding import Streams, initialise
from mtlbench.training.start import load_data, new_state, recipe_of

CPU = torch.device("cpu")
DATASETS = {"multi_digits": {}, "scaled_regression": {"tasks": 3}}
FLAT = [name for name in architectures.names() if name != "mtan"]
VARIANTS = [
    *((name, {}) for name in FLAT),
    ("mmoe", {"experts": 2, "trunk": True}),
    ("cgc", {"trunk": True}),
    ("ple", {"levels": 3, "private": 1, "trunk": True}),
    ("ple", {"levels": 3, "private": 1}),
    ("small_towers", {"base": {"mmoe": {"experts": 2}}, "bottleneck": 3, "temperature": 4.0}),
    ("small_towers", {"auxiliary": "pseudo_tasks", "heads": 2}),
    ("hard_sharing", {"encoder": {"mlp": {"width": 9}}, "head": {"mlp": {"width": 5, "depth": 3}}}),
]


def labelled(variants):
    return pytest.mark.parametrize(
        ("name", "parameters"), variants, ids=[f"{n}-{'-'.join(p) or 'default'}" for n, p in variants]
    )


def network(name, parameters, dataset, group=None):
    """A network with the initial weights of trial 0, in float64, and a batch of its training data."""
    data = dataset.load(0).train
    model = architectures.get(name, **parameters).build(dataset, group or dataset.tasks, data.inputs[:1])
    initialise(model, Streams(0, 0))
    targets = {name: t[:24] if t.dtype == torch.int64 else t[:24].double() for name, t in data.targets.items()}
    return model.double(), data.inputs[:24].double(), targets


def losses_of(model, inputs, targets, dataset):
    outputs, representation = model(inputs)
    return [model.loss(task, outputs, targets[task.name]) for task in dataset.tasks], representation


def cell(dataset, method, name, parameters=None, **changes):
    return Cell(
        benchmark="b",
        dataset=dataset,
        dataset_parameters=DATASETS.get(dataset, {}),
        method=method,
        architecture=name,
        architecture_parameters=parameters or {},
        seeds=(0,),
        batch_size=changes.pop("batch_size", 32),
        device="cpu",
        **changes,
    )


def started(made, group=None):
    dataset = tasks.get(made.dataset, **made.dataset_parameters)
    streams = Streams(0, 0)
    data = load_data(made, dataset, streams, None).train
    return new_state(made, dataset, group or dataset.tasks, streams, CPU, train=data), data, recipe_of(made, dataset)


# ---- any dataset, any method ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["equal", "mgda", "mgda_ub"])
@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("name", FLAT)
def test_one_step_moves_every_parameter_and_repeats_to_the_bit(name, dataset, method):
    after = []
    for _ in range(2):
        with session(CPU, 1, "fp32"):
            state, data, recipe = started(cell(dataset, method, name, audit_interval=1))
            before = {key: value.clone() for key, value in state.model.named_parameters()}
            record = train_step(state, next(epoch_batches(state, data, recipe)), recipe)
        assert np.isfinite(record.losses).all()
        assert len(state.audit.rows) == 1
        after.append(state.model.state_dict())
        # A task without weight still moves what is its own; what is shared moves unless a gradient is zero.
        assert all(not torch.equal(before[key], value) for key, value in state.model.named_parameters())
    assert all(torch.equal(one, two) for one, two in zip(after[0].values(), after[1].values(), strict=True))


@labelled(VARIANTS)
def test_shapes(name, parameters):
    for dataset in (tasks.get(d, **p) for d, p in DATASETS.items()):
        model, inputs, _ = network(name, parameters, dataset)
        outputs, _ = model.eval()(inputs)
        assert {t: tuple(o.shape) for t, o in outputs.items()} == {t.name: (24, t.outputs) for t in dataset.tasks}


# ---- what is shared, and what is not ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["mgda", "mgda_ub"])
@labelled([*VARIANTS, ("mtan", {"width": 2, "depth": 2})])
def test_shared_parameters_get_the_weighted_sum_and_private_ones_their_task_s_gradient(name, parameters, method):
    """Nothing is declared: who reaches what is asked of autograd here, one loss and parameter at a time."""
    if (name, method) == ("mtan", "mgda_ub"):
        pytest.skip("mtan has no one representation; that it is refused is tested below")
    dataset = Dense() if name == "mtan" else tasks.get("multi_digits")
    model, inputs, targets = network(name, parameters, dataset)
    losses, representation = losses_of(model, inputs, targets, dataset)
    own = [torch.autograd.grad(loss, list(model.parameters()), retain_graph=True, allow_unused=True) for loss in losses]
    chosen = methods.get(method)
    given = {"representation": representation} if method == "mgda_ub" else {}
    weights = gradients.backward(losses, chosen, **given)
    assert 0 < weights.min() < weights.max() < 1
    kinds = set()
    for (key, parameter), *found in zip(model.named_parameters(), *own, strict=True):
        reaching = [(w, g) for w, g in zip(weights, found, strict=True) if g is not None]
        expected = sum(w * g for w, g in reaching) if len(reaching) > 1 else reaching[0][1]
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-9, atol=1e-15, msg=key)
        kinds.add(len(reaching))
    assert kinds == {1, 2}


def test_the_graph_tells_the_private_experts_of_ple_from_the_shared_ones():
    dataset = tasks.get("multi_digits")
    model, inputs, targets = network("ple", {}, dataset)
    losses, _ = losses_of(model, inputs, targets, dataset)
    shared = {id(p) for p in gradients.shared_parameters(losses)}
    lower, last = model.levels

    def are_shared(module):
        return {id(p) in shared for p in module.parameters()}

    assert are_shared(last.private) == are_shared(last.gates) == are_shared(lower.gates) == {False}
    # The shared gate below the last level mixes the experts of all tasks.
    assert are_shared(lower.private) == are_shared(lower.shared) == are_shared(lower.shared_gate) == {True}
    assert are_shared(last.shared) == {True}


@pytest.mark.parametrize("name", ["mmoe", "cgc", "ple"])
@pytest.mark.parametrize("trunk", [False, True])
def test_gates_weigh_the_experts_of_every_sample_with_numbers_that_sum_to_one(name, trunk):
    model, inputs, _ = network(name, {"trunk": trunk}, tasks.get("multi_digits"))
    found = []
    for module in model.modules():
        if isinstance(module, Gate):
            module.register_forward_hook(lambda *call: found.append(call[-1]))
    model(inputs)
    assert len(found) == {"mmoe": 2, "cgc": 2, "ple": 5}[name]
    for weights in found:
        torch.testing.assert_close(weights.sum(dim=1), torch.ones(24, dtype=torch.float64))
        assert (weights > 0).all()
        assert not torch.equal(weights[0], weights[1])


def test_a_mixture_is_the_weighted_sum_of_its_experts():
    model, inputs, _ = network("mmoe", {}, tasks.get("multi_digits"))
    seen, experts = model.represent(inputs)
    weights = model.gates["left"](inputs)
    expected = sum(weights[:, j, None] * expert for j, expert in enumerate(experts))
    torch.testing.assert_close(seen["left"], expected)


def test_stitches_start_as_declared_and_mix_after_every_stage():
    model, inputs, _ = network("cross_stitch", {"same": 0.7}, tasks.get("scaled_regression", tasks=3))
    assert len(model.units) == 2  # two full layers
    expected = torch.full((3, 3), 0.15).fill_diagonal_(0.7)
    for unit in model.units:
        torch.testing.assert_close(unit.alpha.float(), expected)
    seen, last = model.represent(inputs)
    torch.testing.assert_close(seen["task_1"], 0.7 * last[0] + 0.15 * (last[1] + last[2]))


def test_normalisation_stays_in_the_stage_of_its_layer(tiny):
    model, _, _ = network("cross_stitch", {}, tasks.get("tiny"))
    assert [len(stage) for stage in model.encoders["a"]] == [4, 1]


# ---- where it starts --------------------------------------------------------------------------------------------


@labelled(VARIANTS)
def test_a_single_task_network_starts_as_its_part_of_the_whole(name, parameters):
    dataset = tasks.get("multi_digits")
    whole, inputs, targets = network(name, parameters, dataset)
    alone, _, _ = network(name, parameters, dataset, dataset.tasks[1:])
    outputs, _ = alone(inputs)
    assert [task for task in outputs if "/" not in task] == ["right"]
    alone.loss(dataset.tasks[1], outputs, targets["right"]).backward()
    assert all(p.grad is not None for p in alone.parameters())
    everything = whole.state_dict()
    same = [torch.equal(value, everything[key]) for key, value in alone.state_dict().items() if "gate" not in key]
    assert all(same)  # a shared gate looks at fewer experts


# ---- small towers -----------------------------------------------------------------------------------------------


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


# ---- encoders and heads of the file -----------------------------------------------------------------------------


def test_a_part_of_another_kind_is_refused():
    digits, picture = tasks.get("multi_digits"), Dense().load(0).train.inputs[:1]
    for name, parameters in (("mtan", {"depth": 1}), ("hard_sharing", {"encoder": {"segnet": {"depth": 1}}})):
        with pytest.raises(InputError, match="multi_digits needs features of every sample, but the encoder segnet"):
            architectures.get(name, **parameters).build(digits, digits.tasks, torch.zeros(1, 1, 12, 12))
    with pytest.raises(InputError, match="dense needs features of every pixel, but the encoder mlp"):
        architectures.get("hard_sharing", encoder="mlp").build(Dense(), Dense.tasks, picture)


def test_the_dataset_s_own_head_on_an_encoder_of_the_file_has_to_fit():
    digits = tasks.get("multi_digits")
    inputs = torch.zeros(1, 1, 12, 12)
    for width, fits in ((48, True), (50, False)):
        architecture = architectures.get("hard_sharing", encoder={"mlp": {"width": width}}, head="dataset")
        if fits:
            assert type(architecture.build(digits, digits.tasks, inputs).heads["left"]) is torch.nn.Linear
        else:
            with pytest.raises(InputError, match=r"own head of task 'left' does not fit .* shape \(50,\)"):
                architecture.build(digits, digits.tasks, inputs)


def test_inputs_that_are_indices_are_read_by_the_dataset_s_encoder_alone():
    words, inputs = Words(), torch.tensor([[1, 2]])
    with pytest.raises(InputError, match="with trunk: true the dataset's own encoder reads them first"):
        architectures.get("mmoe").build(words, words.tasks, inputs)
    with pytest.raises(
        InputError, match=r"words: its inputs are torch\.int64, and the encoder mlp reads floating-point"
    ):
        architectures.get("hard_sharing", encoder="mlp").build(words, words.tasks, inputs)
    outputs, _ = architectures.get("mmoe", trunk=True).build(words, words.tasks, inputs)(inputs)
    assert outputs["a"].shape == (1, 1)


# ---- dense tasks ------------------------------------------------------------------------------------------------


SEGNET = {"segnet": {"width": 4, "depth": 2}}


@labelled(
    [
        ("mtan", {"width": 4, "depth": 2}),
        ("hard_sharing", {"encoder": SEGNET}),
        ("mmoe", {"encoder": SEGNET, "experts": 2}),
        ("ple", {"trunk": True}),
        ("cross_stitch", {"encoder": SEGNET}),
        ("small_towers", {"base": {"hard_sharing": {"encoder": SEGNET, "head": "mlp"}}}),
    ]
)
def test_dense_tasks_are_learned(name, parameters, monkeypatch):
    monkeypatch.setattr(tasks, "get", lambda name, **parameters: Dense())
    made = cell("dense", "equal", name, parameters, batch_size=16, audit_interval=0, learning_rate=3e-2)
    with session(CPU, 1, "fp32"):
        state, data, recipe = started(made)
        batch = next(epoch_batches(state, data, recipe))
        losses = np.stack([train_step(state, batch, recipe).losses for _ in range(30)])
    assert (losses[-1] < 0.5 * losses[0]).all()


def test_mtan_runs_as_the_pipeline_runs_it(monkeypatch, tmp_path):
    monkeypatch.setattr(tasks, "get", lambda name, **parameters: Dense())
    made = cell("dense", "mgda", "mtan", {"width": 2, "depth": 2}, batch_size=40, epochs=2, audit_interval=2)
    assert run_cell(made, tmp_path, progress=False) == ["done"]
    record = read(tmp_path / made.folder / "seed-0")
    assert record["architecture"] == "mtan(width=2, depth=2)"
    assert record["configuration"]["architecture_parameters"] == {"width": 2, "depth": 2}
    assert 0 < record["test"]["inside"]["accuracy"] <= 1
