"""The parts of training one by one: streams, initial weights, the choice of the epoch, devices, checkpoints, cost."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import threading
import zipfile
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from mtlbench import architectures, methods
from mtlbench.errors import InputError
from mtlbench.runs import read
from mtlbench.tasks.dataset import Metric, Split, Task
from mtlbench.training import checkpoint, cost, devices
from mtlbench.training.cell import run_cell
from mtlbench.training.evaluation import score
from mtlbench.training.loop import epoch_batches, train_step
from mtlbench.training.runtime import session
from mtlbench.training.seeding import Streams, initialise
from mtlbench.training.start import new_state, recipe_of, to_device

CPU = torch.device("cpu")


def start(cell, seed=0, **changes):
    """A state of the tiny dataset, its training data and its recipe."""
    from mtlbench import tasks

    dataset = tasks.get("tiny")
    streams = Streams(cell.benchmark_seed, seed)
    state = new_state(cell, dataset, changes.pop("group", dataset.tasks), streams, CPU)
    data = to_device(dataset.load(streams.seed("data", bits=32)).train, CPU)
    return state, data, recipe_of(cell, dataset)


# ---- streams ----------------------------------------------------------------------------------------------------


def test_streams_are_fixed_for_ever():
    """A change here changes every published result."""
    assert Streams(0, 0).seed("batches") == 1475961212921942692
    assert Streams(0, 0).seed("data", bits=32) < 2**32


def test_streams_differ_by_benchmark_seed_trial_and_purpose():
    seeds = {Streams(b, t).seed(p) for b in range(3) for t in range(3) for p in ("data", "batches", "dropout")}
    assert len(seeds) == 27
    assert Streams(1, 11).seed("x") != Streams(11, 1).seed("x")


def test_a_module_starts_the_same_in_any_network():
    small = nn.ModuleDict({"encoder": nn.Linear(4, 4)})
    large = nn.ModuleDict({"other": nn.Linear(9, 9), "encoder": nn.Linear(4, 4), "head": nn.Linear(4, 1)})
    before = torch.get_rng_state()
    for model in (small, large):
        initialise(model, Streams(0, 0))
    assert torch.equal(small["encoder"].weight, large["encoder"].weight)
    assert torch.equal(torch.get_rng_state(), before)
    initialise(small, Streams(0, 1))
    assert not torch.equal(small["encoder"].weight, large["encoder"].weight)


def test_two_modules_of_one_shape_start_differently():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    initialise(model, Streams(0, 0))
    assert not torch.equal(model[0].weight, model[1].weight)


def test_a_module_that_cannot_be_initialised_is_named():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))

    with pytest.raises(TypeError, match=r"module '0' \(Odd\) holds parameters but has no reset_parameters"):
        initialise(nn.Sequential(Odd()), Streams(0, 0))


def test_every_sample_is_seen_and_every_batch_is_full(tiny, tiny_cell):
    state, data, recipe = start(tiny_cell())
    seen = [batch.inputs for _ in range(8) for (batch,) in epoch_batches(state, data, recipe)]
    assert {len(inputs) for inputs in seen} == {16}
    assert len(seen) == 8 * (70 // 16)
    assert len(torch.unique(torch.cat(seen), dim=0)) == 70


@pytest.mark.parametrize("count", [15, 16 * 4, 16 * 4 + 3, 150])
def test_batches_are_the_rows_of_the_order_drawn_with_their_own_targets(tiny, tiny_cell, count):
    """With batches of 4, 64 samples fill the batches whose targets are taken out at once."""
    state, _, recipe = start(tiny_cell())
    inputs = torch.randn(count, 3)
    data = Split(inputs, {"a": inputs[:, :1] * 2, "c": torch.arange(count)})
    (stream,) = state.batches
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0).set_state(stream.get_state()))
    batches = list(epoch_batches(state, data, replace(recipe, batch_size=4)))
    assert len(batches) == count // 4
    for number, (batch,) in enumerate(batches):
        rows = order[4 * number : 4 * number + 4]
        assert torch.equal(batch.inputs, inputs[rows])
        assert torch.equal(batch.targets["a"], batch.inputs[:, :1] * 2)
        assert torch.equal(batch.targets["c"], rows)


def test_several_batches_of_a_step_are_independent_and_the_last_is_the_common_one(tiny, tiny_cell, monkeypatch):
    common, data, recipe = start(tiny_cell())
    monkeypatch.setattr(type(methods.get("equal")), "batches", 2)
    several, _, _ = start(tiny_cell())
    (alone,) = next(epoch_batches(common, data, recipe))
    first, last = next(epoch_batches(several, data, recipe))
    assert torch.equal(alone.inputs, last.inputs)
    assert not torch.equal(first.inputs, last.inputs)


def test_a_stochastic_method_draws_from_the_run_s_stream(tiny, tiny_cell, monkeypatch):
    class Stochastic(type(methods.get("equal"))):
        def __init__(self, *, seed: int = 0) -> None:
            super().__init__()
            self.seed, self.random = seed, np.random.default_rng(seed)

    monkeypatch.setattr(methods, "get", lambda name, **options: Stochastic(**options))
    draws = [start(tiny_cell(), seed)[0].method.random.random() for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_losses_after_the_step_are_observed_without_a_trace(tiny, tiny_cell, monkeypatch):
    kind = type(methods.get("equal"))
    plain, data, recipe = start(tiny_cell(audit_interval=0))
    with session(CPU, 1, "fp32"):
        torch.manual_seed(0)
        records = [train_step(plain, batches, recipe) for batches in epoch_batches(plain, data, recipe)]
    observed = []
    monkeypatch.setattr(kind, "needs", "losses_after")
    monkeypatch.setattr(kind, "observe", lambda self, losses: observed.append(losses))
    watched, _, _ = start(tiny_cell(audit_interval=0))
    with session(CPU, 1, "fp32"):
        torch.manual_seed(0)
        again = [train_step(watched, batches, recipe) for batches in epoch_batches(watched, data, recipe)]
    assert len(observed) == len(records)
    assert all(not losses.requires_grad and losses.shape == (3,) for losses in observed)
    for one, two in zip(records, again, strict=True):
        np.testing.assert_array_equal(one.losses, two.losses)
    for one, two in zip(plain.model.state_dict().values(), watched.model.state_dict().values(), strict=True):
        assert torch.equal(one, two)


# ---- the choice of the epoch ------------------------------------------------------------------------------------


def task(name: str, higher: bool) -> Task:
    return Task(name, 1, nn.functional.mse_loss, (Metric("m", lambda t, p: 0.0, higher, ""),))


TASKS = (task("up", True), task("down", False))


def scored(up: float, down: float) -> tuple[int, float]:
    return score(TASKS, {"up": {"m": up}, "down": {"m": down}})


def test_the_score_weighs_relative_changes_equally_in_every_task_and_unit():
    assert scored(0.8, 10.0) > scored(0.7, 10.0)
    assert scored(0.8, 9.0) > scored(0.8, 10.0)
    assert scored(0.88, 10.0) == pytest.approx(scored(0.8, 10.0 / 1.1))
    # Another unit moves every epoch's score by the same amount.
    shift = scored(0.8, 10_000.0)[1] - scored(0.8, 10.0)[1]
    assert scored(0.5, 7_000.0)[1] - scored(0.5, 7.0)[1] == pytest.approx(shift)


def test_the_score_is_defined_at_and_below_zero():
    assert scored(0.0, 10.0) < scored(1e-9, 1e9)
    assert scored(-3.0, 10.0) == scored(0.0, 10.0)
    assert scored(-3.0, 9.0) > scored(-3.0, 10.0)
    assert scored(0.1, 0.0) > scored(0.99, 1e-9)
    with pytest.raises(ValueError, match="task 'down' is -1"):
        scored(0.5, -1.0)


def test_the_chosen_epoch_is_the_best_on_validation_and_ties_go_to_the_earlier(tiny, tiny_cell, tmp_path):
    cell = tiny_cell(learning_rate=0.2, epochs=8)
    run_cell(cell, tmp_path)
    folder = tmp_path / cell.folder / "seed-0"
    curves = pd.read_csv(folder / "curves.csv")
    errors = curves[(curves.split == "validation") & (curves.metric == "error")]
    expected = np.log(errors.value).groupby(errors.epoch).mean().idxmin()
    assert read(folder)["best_epoch"] == expected


# ---- files ------------------------------------------------------------------------------------------------------


def test_archives_carry_no_time(tiny, tiny_cell, tmp_path):
    cell = tiny_cell()
    run_cell(cell, tmp_path)
    content = (tmp_path / cell.folder / "seed-0" / "audit.npz").read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_checkpoint_holds_arrays_and_generators_of_a_method(tmp_path, tiny, tiny_cell):
    state, _, _ = start(tiny_cell())
    state.method.state = ("zero_task_events", "buffer")
    state.method.buffer = np.arange(3.0)
    state.method.random = np.random.default_rng(3)
    state.method.zero_task_events = 5
    checkpoint.save(tmp_path / "c.pt", state, "me", CPU)
    expected = state.method.random.random(4)
    state.method.buffer, state.method.zero_task_events = np.zeros(3), 0
    assert checkpoint.resume(tmp_path / "c.pt", state, "me", CPU)
    np.testing.assert_array_equal(state.method.buffer, np.arange(3.0))
    np.testing.assert_array_equal(state.method.random.random(4), expected)
    assert state.method.zero_task_events == 5
    assert not checkpoint.resume(tmp_path / "c.pt", state, "somebody else", CPU)


# ---- devices ----------------------------------------------------------------------------------------------------


def test_pretend_devices_are_filled_evenly_and_never_shared(tmp_path):
    names = ["GPU-a", "GPU-b"]
    with devices.slot(names, 2, tmp_path) as first, devices.slot(names, 2, tmp_path) as second:
        assert (first, second) == (0, 1)
        with devices.slot(names, 2, tmp_path) as third, devices.slot(names, 2, tmp_path) as fourth:
            assert (third, fourth) == (0, 1)
    with devices.slot(names, 1, tmp_path) as again:
        assert again == 0


HOLD = """
import sys, time
from pathlib import Path
from mtlbench.training.devices import slot
with slot(["GPU-a"], 1, Path(sys.argv[1])) as index:
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_slot_is_waited_for_and_freed_by_kill(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    got = threading.Event()

    def wait_for_it():
        with devices.slot(["GPU-a"], 1, tmp_path):
            got.set()

    try:
        assert holder.stdout.readline() == "held\n"
        waiter = threading.Thread(target=wait_for_it, daemon=True)
        waiter.start()
        assert not got.wait(timeout=0.5)
        holder.send_signal(signal.SIGKILL)
        assert got.wait(timeout=60)
    finally:
        holder.kill()
        holder.communicate()


def test_cuda_is_asked_for_where_there_is_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="no CUDA device"), devices.held("cuda", 1):
        pass
    with devices.held("auto", 1) as device:
        assert device.type == "cpu"


def test_a_session_gives_everything_back():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    with suppress(RuntimeError), session(CPU, 1, "fp32"):
        torch.rand(5)
        assert torch.get_num_threads() == 1
        raise RuntimeError("inside")
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


# ---- architecture -----------------------------------------------------------------------------------------------


def test_hard_sharing_gives_one_output_per_task_and_the_representation(tiny, tiny_cell):
    state, data, _ = start(tiny_cell())
    outputs, representation = state.model(data.inputs)
    assert {name: tuple(output.shape) for name, output in outputs.items()} == {"a": (70, 1), "b": (70, 1), "c": (70, 3)}
    assert representation.shape == (70, 8)
    for name, output in outputs.items():
        assert torch.equal(output, state.model.heads[name](representation))


def test_an_unknown_architecture_is_answered_with_the_nearest_name():
    with pytest.raises(InputError, match="did you mean 'hard_sharing'"):
        architectures.get("hard_share")


def test_listing_architectures_does_not_import_torch():
    code = "import sys; from mtlbench import architectures; print(architectures.names(), 'torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("('cgc', 'cross_stitch', 'hard_sharing', 'mmoe'")
    assert answer.stdout.endswith(") False\n")


# ---- cost -------------------------------------------------------------------------------------------------------


def test_cost_has_one_line_per_cell(tiny, tiny_cell, tmp_path):
    cells = [tiny_cell(m) for m in ("single_task", "equal", "mgda_ub")]
    cells.append(tiny_cell("mgda", method_parameters={"solver": "frank_wolfe"}))
    cost.measure(cells, None, tmp_path / "cost.csv", steps=3, warmup=1)
    table = pd.read_csv(tmp_path / "cost.csv")
    assert tuple(table.columns) == cost.COLUMNS
    assert list(table.label) == ["single_task", "equal", "mgda_ub", "mgda(solver=frank_wolfe)"]
    assert list(table.trunk_backward_passes) == [3, 1, 1, 3]
    assert (table.steps == 3).all()
    assert (table.device == "cpu").all()
    assert (table.seconds_per_step_q25 > 0).all()
    assert (table.seconds_per_step_median >= table.seconds_per_step_q25).all()
    assert (table.seconds_per_step_median <= table.seconds_per_step_q75).all()


def test_peak_memory_sees_what_lives_at_the_same_time():
    size = 2**20

    def together():
        return [torch.empty(size, dtype=torch.uint8) for _ in range(3)]

    def one_after_the_other():
        for _ in range(3):
            torch.empty(size, dtype=torch.uint8)

    assert cost.peak_memory(together, CPU).host == pytest.approx(3 * size, rel=0.01)
    assert cost.peak_memory(one_after_the_other, CPU) == (pytest.approx(size, rel=0.01), 0)
