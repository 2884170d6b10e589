"""What people train with goes together with backward: each test compares with gradients made by hand, or with bytes."""

from __future__ import annotations

import re
import shutil
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss
from torch.utils.checkpoint import checkpoint

import mtlbench
from mtlbench import methods
from mtlbench.gradients import shared_parameters

TASKS = 3


class Net(nn.Module):
    """Any encoder, one linear head per task, losses of different scales."""

    def __init__(self, encoder, width=4):
        super().__init__()
        self.encoder, self.heads = encoder, nn.ModuleList(nn.Linear(width, 1) for _ in range(TASKS))

    def forward(self, x, y):
        h = self.encoder(x)
        return [10.0**i * (head(h) - y[i]).square().mean() for i, head in enumerate(self.heads)]

    def gradients(self):
        return [None if p.grad is None else p.grad.clone() for p in self.parameters()]


def by_hand(model, x, y, method):
    """The gradients that ``method`` should leave, from K plain backward passes through copies of the model."""
    rows = []
    for task in range(TASKS):
        copy = deepcopy(model)
        copy.zero_grad()
        copy(x, y)[task].backward()
        rows.append([torch.zeros_like(p) if p.grad is None else p.grad for p in copy.parameters()])
    shared = len(list(model.encoder.parameters()))
    flat = np.array([torch.cat([g.double().ravel() for g in row[:shared]]).numpy() for row in rows])
    weights = method.weights(gramian=flat @ flat.T)
    factors = [weights if index < shared else np.ones(TASKS) for index in range(len(rows[0]))]
    return [sum(f * row[i] for f, row in zip(factor, rows, strict=True)) for i, factor in enumerate(factors)]


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def data():
    return torch.randn(12, 6, dtype=torch.float64), torch.randn(TASKS, 12, 1, dtype=torch.float64)


class Last(nn.Module):
    """A recurrent network's output at the last step, with six steps of one number each."""

    def __init__(self, kind):
        super().__init__()
        self.network = kind(1, 4, batch_first=True)

    def forward(self, x):
        return self.network(x[..., None])[0][:, -1]


class Checkpointed(nn.Sequential):
    def forward(self, x):
        for block in self:
            x = checkpoint(block, x, use_reentrant=False)
        return x


def dense():
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh())


ENCODERS = {
    "dense": dense,
    "batch norm": lambda: nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 4)),
    "lstm": lambda: Last(nn.LSTM),
    "gru": lambda: Last(nn.GRU),
    "checkpointed": lambda: Checkpointed(*dense()),
}


@pytest.mark.parametrize("memory", ["full", "low"])
@pytest.mark.parametrize("kind", ENCODERS)
def test_every_kind_of_encoder(kind, memory, data):
    model = Net(ENCODERS[kind]()).double()
    expected = by_hand(model, *data, methods.get("mgda"))
    losses = model(*data)
    assert {id(p) for p in shared_parameters(losses)} == {id(p) for p in model.encoder.parameters()}
    mtlbench.backward(losses, methods.get("mgda"), memory=memory)
    for found, gradient in zip(model.gradients(), expected, strict=True):
        torch.testing.assert_close(found, gradient, rtol=1e-6, atol=1e-9)


def test_batch_norm_counts_a_step_once(data):
    model = Net(ENCODERS["batch norm"]()).double()
    mtlbench.backward(model(*data), methods.get("mgda"), memory="low")
    assert model.encoder[1].num_batches_tracked == 1


@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_a_compiled_encoder_and_compiled_heads(backend, data):
    if backend == "inductor" and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        pytest.skip("torch.compile's inductor needs a C++ compiler, and there is none")
    model = Net(dense()).double()
    expected = by_hand(model, *data, methods.get("mgda"))
    model.encoder.compile(backend=backend)
    for head in model.heads:
        head.compile(backend=backend)
    mtlbench.backward(model(*data), methods.get("mgda"))
    for found, gradient in zip(model.gradients(), expected, strict=True):
        torch.testing.assert_close(found, gradient, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", ["equal", "mgda"])
def test_accumulated_batches_give_the_sum_of_their_updates(name, data):
    x, y = data
    model, parts = Net(dense()).double(), [slice(0, 5), slice(5, 12)]
    alone = []
    for part in parts:
        model.zero_grad()
        mtlbench.backward(model(x[part], y[:, part]), methods.get(name))
        alone.append(model.gradients())
    model.zero_grad()
    for part in parts:
        mtlbench.backward(model(x[part], y[:, part]), methods.get(name))
    for found, one, two in zip(model.gradients(), *alone, strict=True):
        torch.testing.assert_close(found, one + two)


@pytest.mark.parametrize("name", ["equal", "mgda"])
def test_autocast_with_a_scaler_trains_as_float32_does(name):
    x, y = torch.randn(32, 6), torch.randn(TASKS, 32, 1)
    ends = []
    for mixed in (False, True):
        torch.manual_seed(1)
        model, scaler = Net(dense()), torch.amp.GradScaler("cpu", enabled=mixed, init_scale=256.0)
        optimizer, method = torch.optim.SGD(model.parameters(), lr=1e-3), methods.get(name)
        for _ in range(10):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                losses = model(x, y)
            mtlbench.backward(losses, method, scaler=scaler if mixed else None)
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 10.0)
            scaler.step(optimizer)
            scaler.update()
        start = sum(loss.item() for loss in losses)
        ends.append([loss.item() for loss in model(x, y)])
        assert sum(ends[-1]) < start
    # bfloat16 has 8 bits.
    np.testing.assert_allclose(ends[1], ends[0], rtol=2e-2)


def test_weight_decay_and_schedule_see_the_update_as_any_gradient(data):
    ends = []
    for ours in (True, False):
        torch.manual_seed(2)
        model = Net(dense()).double()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-2, total_steps=6)
        for _ in range(5):
            optimizer.zero_grad()
            if ours:
                mtlbench.backward(model(*data), methods.get("mgda"))
            else:
                for parameter, gradient in zip(
                    model.parameters(), by_hand(model, *data, methods.get("mgda")), strict=True
                ):
                    parameter.grad = gradient
            optimizer.step()
            schedule.step()
        ends.append(model.state_dict())
    for name, value in ends[0].items():
        torch.testing.assert_close(value, ends[1][name], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", methods.names())
def test_a_run_resumed_from_a_checkpoint_has_the_same_bytes(name, tmp_path, data):
    x, y = data

    def start():
        torch.manual_seed(3)
        model = Net(dense()).double()
        return model, torch.optim.Adam(model.parameters(), lr=1e-2), methods.get(name)

    def train(model, optimizer, method, steps):
        for index in steps:
            optimizer.zero_grad()
            # Batches of another size each: the losses, and with them the weights, change from step to step.
            parts = [slice(index, index + 4 + turn) for turn in range(method.batches)]
            batches, hs = [], []
            for part in parts:
                hs.append(model.encoder(x[part]))
                pairs = zip(model.heads, y[:, part], strict=True)
                batches.append([(head(hs[-1]) - target).square().mean() for head, target in pairs])
            mtlbench.backward(batches if method.batches > 1 else batches[0], method, representation=hs[-1])
            optimizer.step()
            if method.needs == "losses_after":
                with torch.no_grad():
                    method.observe(torch.stack(model(x[parts[-1]], y[:, parts[-1]])))
        return b"".join(value.numpy().tobytes() for value in model.state_dict().values())

    first = start()
    train(*first, range(3))
    torch.save([part.state_dict() for part in first], tmp_path / "checkpoint.pt")
    expected = train(*first, range(3, 6))
    resumed = start()
    for part, state in zip(resumed, torch.load(tmp_path / "checkpoint.pt", weights_only=False), strict=True):
        part.load_state_dict(state)
    assert train(*resumed, range(3, 6)) == expected


def blocks_of_the_page(kind):
    page = Path(__file__).parents[2] / "docs" / "your-own-loop.md"
    return re.findall(rf"```{kind}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_every_loop_of_the_documentation_trains():
    seen: dict[str, object] = {}
    first, *others = blocks_of_the_page("python")
    exec(first, seen)
    assert len(others) == 4
    for block in others:
        before = [p.detach().clone() for p in seen["encoder"].parameters()]
        exec(block, seen)
        assert all(not torch.equal(p, q) for p, q in zip(seen["encoder"].parameters(), before, strict=True))
    assert seen["weights"].sum() == pytest.approx(1)
    assert seen["method"].solution.converged
    assert all(torch.count_nonzero(head.weight.grad) for head in seen["heads"])


QUIET = {name: False for name in ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")}


def test_lightning_with_manual_optimisation(tmp_path):
    """The module of the documentation leaves the parameters that a plain loop does, and restores the method."""
    lightning = pytest.importorskip("lightning", reason="lightning is not installed")
    seen: dict[str, object] = {"torch": torch, "mtlbench": mtlbench, "methods": methods}
    (block,) = blocks_of_the_page("python lightning")
    exec(block, seen)
    module = seen["Multitask"]()
    plain = deepcopy(module)
    x, y = torch.randn(12, 8), torch.randn(12, 3, 1)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=6)
    trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", default_root_dir=tmp_path, **QUIET)
    trainer.fit(module, loader)
    optimizer = torch.optim.Adam(plain.parameters())
    for part in (slice(0, 6), slice(6, 12)):
        h = plain.encoder(x[part]).relu()
        optimizer.zero_grad()
        mtlbench.backward([mse_loss(head(h), y[part, i]) for i, head in enumerate(plain.heads)], methods.get("mgda"))
        optimizer.step()
    for found, expected in zip(module.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(found, expected)
    module.method.zero_task_events = 5
    trainer.save_checkpoint(tmp_path / "saved.ckpt")
    again = seen["Multitask"].load_from_checkpoint(tmp_path / "saved.ckpt", weights_only=False)
    assert again.method.state_dict() == module.method.state_dict()
