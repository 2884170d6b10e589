"""segnet: :mod:`mtlbench.tasks.segnet`, an encoder and a decoder of convolutions, as the encoder of any pictures."""

from __future__ import annotations

from torch import Tensor

from mtlbench.architectures.encoders.encoder import Encoder
from mtlbench.errors import InputError
from mtlbench.options import Count
from mtlbench.tasks import segnet


class SegNet(Encoder):
    """``depth`` stages down and up, ``width`` channels in the finest, at most ``8 width``; 5 and 64 in the paper."""

    width: Count = 64
    depth: Count = 5

    def build(self, inputs: Tensor, dataset: str) -> segnet.SegNet:
        channels = self.channels(inputs, dataset)
        if min(inputs.shape[2:]) < 2**self.depth:
            raise InputError(
                f"{dataset}: pictures of {inputs.shape[2]} by {inputs.shape[3]} cannot be halved {self.depth} times: "
                "give segnet a smaller depth"
            )
        return segnet.SegNet(channels, segnet.widths(self.width, self.depth))
