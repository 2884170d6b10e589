"""The global state of torch that a training run needs, taken for its duration and given back after it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


@contextmanager
def session(device: torch.device, threads: int, precision: str) -> Iterator[None]:
    """Own torch's threads, precision, determinism and random state while inside.

    On a GPU the deterministic algorithms are on, and an operation that has none raises, so that a method that
    cannot comply is named by its failed run. TF32 is off unless ``precision`` is ``tf32``; a CPU has none,
    there ``tf32`` is ``fp32``.
    """
    cuda = device.type == "cuda"
    tf32 = cuda and precision == "tf32"
    with forked(device):
        before = (
            torch.get_num_threads(),
            torch.get_float32_matmul_precision(),
            torch.backends.cudnn.allow_tf32,
            torch.backends.cudnn.benchmark,
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        )
        try:
            torch.set_num_threads(threads)
            torch.set_float32_matmul_precision("high" if tf32 else "highest")
            torch.backends.cudnn.allow_tf32 = tf32
            torch.backends.cudnn.benchmark = False
            if cuda:
                # cuBLAS reads this when it first allocates its workspace.
                os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
                torch.use_deterministic_algorithms(True)
            yield
        finally:
            torch.set_num_threads(before[0])
            torch.set_float32_matmul_precision(before[1])
            torch.backends.cudnn.allow_tf32 = before[2]
            torch.backends.cudnn.benchmark = before[3]
            torch.use_deterministic_algorithms(before[4], warn_only=before[5])


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context of a forward pass: bfloat16 autocast where ``precision`` is ``bf16``, else none."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def forked(device: torch.device) -> AbstractContextManager[None]:
    """Random draws inside leave no trace in the random state of the CPU and of ``device``."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


def random_state(device: torch.device) -> tuple[Tensor, ...]:
    """The random state of the CPU, and of ``device`` where that is a GPU."""
    return (torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else []))


@contextmanager
def replayed(device: torch.device, state: tuple[Tensor, ...]) -> Iterator[None]:
    """Random draws inside repeat those that followed :func:`random_state`, and leave no trace."""
    with forked(device):
        torch.set_rng_state(state[0])
        for own in state[1:]:
            torch.cuda.set_rng_state(own, device)
        yield


def call_aside(model: nn.Module, inputs: Tensor) -> Any:
    """``model(inputs)`` on copies of the model's buffers, so that running statistics do not see this pass.

    Putting the buffers back afterwards would not do: a backward pass that is still to come may need them.
    """
    return functional_call(model, {name: buffer.clone() for name, buffer in model.named_buffers()}, (inputs,))
