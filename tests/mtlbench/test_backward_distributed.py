"""Two processes with half of the batch each leave the gradients of one process with the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys

import torch

import mtlbench
from mtlbench import methods

NAMES = ("equal", "unit_gradient", "mgda", "mgda_ub")

PROBLEM = """
import sys
import torch
from torch import nn
import mtlbench
from mtlbench import methods

def gradients(name, part, memory="full", **options):
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4))
    heads = nn.ModuleList(nn.Linear(4, 1) for _ in range(3))
    x, y = torch.randn(8, 3)[part], torch.randn(3, 8, 1)[:, part]
    h = trunk(x).tanh()
    losses = [10.0**i * (head(h) - y[i]).square().mean() for i, head in enumerate(heads)]
    weights = mtlbench.backward(losses, methods.get(name, **options), representation=h, memory=memory)
    return [torch.from_numpy(weights), *(p.grad for p in [*trunk.parameters(), *heads.parameters()])]

def more(part):
    return {
        "equal none": gradients("equal", part, head_weights="none"),
        "mgda low": gradients("mgda", part, memory="low"),
        "mgda_ub low": gradients("mgda_ub", part, memory="low"),
        "last layer": gradients("mgda", part, level="last_layer"),
    }
"""

WORKER = """
rank, folder, names = int(sys.argv[1]), sys.argv[2], sys.argv[3].split(",")
torch.set_num_threads(1)
torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
half = slice(4 * rank, 4 * rank + 4)
found = {name: gradients(name, half) for name in names} | more(half)
torch.save(found, f"{folder}/rank{rank}.pt")
torch.distributed.barrier()
torch.distributed.destroy_process_group()
"""


def test_two_processes_with_half_a_batch_each(tmp_path):
    environment = os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROBLEM + WORKER]
    workers = [
        subprocess.Popen([*command, str(rank), str(tmp_path), ",".join(NAMES)], env=environment) for rank in range(2)
    ]
    try:
        assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.kill()
    here = {"mtlbench": mtlbench, "methods": methods}
    with torch.random.fork_rng():
        exec(PROBLEM, here)
        expected = {name: here["gradients"](name, slice(None)) for name in NAMES}
        expected |= here["more"](slice(None))
    for rank in range(2):
        found = torch.load(tmp_path / f"rank{rank}.pt")
        for name, tensors in expected.items():
            for one, whole in zip(found[name], tensors, strict=True):
                assert torch.linalg.norm(one - whole) <= 1e-5 * torch.linalg.norm(whole), (name, rank)
