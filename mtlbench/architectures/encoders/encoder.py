"""The contract of an encoder family."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from mtlbench.errors import InputError
from mtlbench.options import Options


class Encoder(Options, ABC):
    """A family of encoders; its parameters, the widths and depths, are the fields.

    What comes out of the built network is the representation: (batch, features), or (batch, channels, height, width)
    for tasks that have an output at every pixel.
    """

    @abstractmethod
    def build(self, inputs: Tensor, dataset: str) -> nn.Module:
        """A new network for inputs like the sample ``inputs`` (1, ...).

        Standard layers only. Raises :class:`~mtlbench.errors.InputError`, naming the ``dataset``, where its inputs are
        not what the family reads.
        """

    def channels(self, inputs: Tensor, dataset: str) -> int:
        """The channels of the pictures that the inputs must be."""
        if inputs.ndim != 4:
            raise InputError(
                f"{dataset}: the encoder {self.name} reads pictures (channels, height, width), but an input has the "
                f"shape {tuple(inputs.shape[1:])}: mlp reads any"
            )
        return inputs.shape[1]
