"""Every architecture on any dataset with any method: what is shared, what it starts from, what is dropped."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from made_dense import Dense
from made_networks import CPU, DATASETS, FLAT, VARIANTS, cell, labelled, losses_of, network, started

from mtlbench import gradients, methods, tasks
from mtlbench.architectures._experts import Gate
from mtlbench.training.loop import epoch_batches, train_step
from mtlbench.training.runtime import session

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


BOTH = [(*variant, method) for variant in VARIANTS for method in ("mgda", "mgda_ub")]


@pytest.mark.parametrize(
    ("name", "parameters", "method"),
    [*BOTH, ("mtan", {"width": 2, "depth": 2}, "mgda")],  # mtan has no one representation, and mgda_ub is refused
)
def test_shared_parameters_get_the_weighted_sum_and_private_ones_their_task_s_gradient(name, parameters, method):
    """Nothing is declared: who reaches what is asked of autograd here, one loss and parameter at a time."""
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
