"""What a network is put together from: encoders and heads, the dataset's own or those of the benchmark file."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mtlbench.architectures.heads import Own, linear
from mtlbench.errors import InputError

if TYPE_CHECKING:
    from mtlbench.architectures.encoders.encoder import Encoder
    from mtlbench.architectures.heads import Head
    from mtlbench.tasks.dataset import MultiTaskDataset, Task


class Parts:
    """New encoders and heads, as many as asked for, and their widths, found on one sample of the inputs."""

    def __init__(
        self, dataset: MultiTaskDataset, inputs: Tensor | None, encoder: Encoder | None, head: Head | None
    ) -> None:
        self._dataset, self._inputs, self._encoder, self._head = dataset, inputs, encoder, head

    @property
    def sample(self) -> Tensor:
        """One sample of the inputs, (1, ...)."""
        if self._inputs is None:
            raise ValueError("the widths of this network follow from the inputs: build it with a sample of them")
        return self._inputs

    @property
    def size(self) -> int:
        """How many numbers an input has.

        Raises :class:`~mtlbench.errors.InputError` where they are no measurements but, say, indices of words.
        """
        if not self.sample.is_floating_point():
            raise InputError(
                f"{self._dataset.name}: its inputs are {self.sample.dtype}, which no gate or layer can read: with "
                "trunk: true the dataset's own encoder reads them first"
            )
        return math.prod(self.sample.shape[1:])

    def encoder(self) -> nn.Module:
        """A new encoder."""
        if self._encoder is None:
            return self._dataset.encoder()
        if not self.sample.is_floating_point():
            raise InputError(
                f"{self._dataset.name}: its inputs are {self.sample.dtype}, and the encoder {self._encoder.name} reads "
                "floating-point numbers: leave encoder out, so that the dataset's own reads them"
            )
        stem = self._dataset.stem()
        if stem is None:
            return self._encoder.build(self.sample, self._dataset.name)
        return nn.Sequential(stem, self._encoder.build(stem(self.sample), self._dataset.name))

    @cached_property
    def features(self) -> torch.Size:
        """The shape of the representation of one sample: (features,), or (channels, height, width) if it is dense."""
        return self._represented.shape[1:]

    @cached_property
    def _represented(self) -> Tensor:
        """What an encoder gives for the sample.

        Raises :class:`~mtlbench.errors.InputError` where an encoder of the file is for tasks of another kind.
        """
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            found: Tensor = self.encoder().eval()(self.sample)
        if self._encoder is not None:
            own = Parts(self._dataset, self._inputs, None, None).features
            if (len(own) == 1) != (found.ndim == 2):
                wanted, given = ("sample" if flat else "pixel" for flat in (len(own) == 1, found.ndim == 2))
                raise InputError(
                    f"{self._dataset.name} needs features of every {wanted}, but the encoder {self._encoder.name} "
                    f"gives features of every {given}"
                )
        return found

    def head(self, task: Task) -> nn.Module:
        """A new head of ``task``."""
        if isinstance(self._head, Own) or (self._head is None and self._encoder is None):
            head = self._dataset.head(task)
            if self._encoder is not None:
                self._try(head, task)
            return head
        return linear(self.features, task.outputs) if self._head is None else self._head.build(self.features, task)

    def _try(self, head: nn.Module, task: Task) -> None:
        try:
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                head.eval()(self._represented)
        except RuntimeError:
            raise InputError(
                f"{self._dataset.name}: the dataset's own head of task {task.name!r} does not fit the encoder's output "
                f"of shape {tuple(self.features)}: give the encoder another width, or choose head: linear"
            ) from None
        head.train()
