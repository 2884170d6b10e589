"""One random stream per purpose, so that two methods under one seed differ in nothing but the method.

    seed = first bits of sha256("benchmark seed / trial / purpose")

The purposes of a run: ``data``, ``batches`` (and ``batches/1``, ... for methods that want several batches a
step), ``dropout``, ``method``, and ``weights/<module name>`` for every module of the network. A network
trained on one task has the encoder's modules under the same names, hence the same initial encoder.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Streams:
    """The random streams of one run: ``trial`` is the run's seed within the benchmark."""

    benchmark_seed: int
    trial: int

    def seed(self, purpose: str, bits: int = 63) -> int:
        """The seed of one stream: an integer of at most ``bits`` bits, from its three names alone."""
        name = f"{self.benchmark_seed}/{self.trial}/{purpose}"
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) >> (64 - bits)

    def generator(self, purpose: str) -> torch.Generator:
        """A new generator on the CPU at the start of one stream."""
        return torch.Generator().manual_seed(self.seed(purpose))


def seed_global(seed: int, device: torch.device) -> None:
    """Seed the global generators of the CPU and of ``device``, no others; call inside ``fork_rng``."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


def initialise(model: nn.Module, streams: Streams) -> None:
    """Give every module its initial weights from the stream of its own name; ``model`` is on the CPU.

    Raises ``TypeError`` naming a module that holds parameters but has no ``reset_parameters``.
    """
    with torch.random.fork_rng(devices=[]):
        for name, module in model.named_modules():
            if next(module.parameters(recurse=False), None) is None:
                continue
            reset = getattr(module, "reset_parameters", None)
            if reset is None:
                raise TypeError(
                    f"module {name!r} ({type(module).__name__}) holds parameters but has no "
                    "reset_parameters(): build networks from standard layers"
                )
            torch.default_generator.manual_seed(streams.seed(f"weights/{name}"))
            reset()
