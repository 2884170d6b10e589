"""Heads that a benchmark file may put in the place of the dataset's own.

dataset    the dataset's own head
linear     one full layer; of a dense representation (channels, height, width) a 1x1 convolution
mlp        ``depth`` such layers, ``width`` wide between them, with ReLU
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from mtlbench.entries import named
from mtlbench.errors import unknown_name
from mtlbench.options import Count, Options, checked

if TYPE_CHECKING:
    from mtlbench.tasks.dataset import Task


def linear(features: Sequence[int], outputs: int) -> nn.Module:
    """One linear map of the features: a full layer, or a 1x1 convolution where they are dense."""
    return nn.Linear(features[0], outputs) if len(features) == 1 else nn.Conv2d(features[0], outputs, 1)


def layers(features: Sequence[int], widths: Sequence[int], last: Callable[[], nn.Module] | None = None) -> nn.Module:
    """Linear maps to ``widths`` one after the other, ReLU between them and ``last`` after them."""
    found: list[nn.Module] = []
    for index, width in enumerate(widths):
        found.append(linear((features[0] if index == 0 else widths[index - 1], *features[1:]), width))
        found += [nn.ReLU()] if index < len(widths) - 1 else []
    return nn.Sequential(*found, *([last()] if last else []))


class Head(Options):
    """The base of the heads."""

    def build(self, features: Sequence[int], task: Task) -> nn.Module:
        """A new head from ``features``, the shape of the representation of one sample, to ``task.outputs``."""
        raise NotImplementedError


class Own(Head):
    """The dataset's own head."""


class Linear(Head):
    """One linear layer."""

    def build(self, features: Sequence[int], task: Task) -> nn.Module:
        return linear(features, task.outputs)


class MLP(Head):
    """``depth`` linear layers with ReLU between them, all but the last ``width`` wide."""

    width: Count = 50
    depth: Count = 2

    def build(self, features: Sequence[int], task: Task) -> nn.Module:
        return layers(features, [self.width] * (self.depth - 1) + [task.outputs])


HEADS: dict[str, type[Head]] = {"dataset": Own, "linear": Linear, "mlp": MLP}


def read(entry: Any) -> Head | None:
    """The head of an entry of the file, ``linear`` or ``{mlp: {width: 50}}``; None stays None."""
    if entry is None or isinstance(entry, Head):
        return entry
    name, parameters = named(entry, "a head").values()
    if name not in HEADS:
        raise unknown_name("head", name, HEADS)
    return checked(name, HEADS[name], parameters)
