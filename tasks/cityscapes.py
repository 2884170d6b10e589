"""cityscapes: what is seen in a street and how far away it is, for every pixel of a picture.

Cityscapes as MTAN and LibMTL distribute it: 2,975 scenes in ``cityscapes/train``, 500 in ``cityscapes/val``, 128x256,
folders ``image``, ``label`` and ``depth`` with one ``.npy`` a scene. What is called depth is the inverse depth, scaled
by MTAN; 0 where nothing was measured.
"""

from __future__ import annotations

from functools import partial

from . import dense_metrics
from .dataset import Protocol, Source, Task
from .dense import Scenes, read_classes, read_depth
from .dense_metrics import SEGMENTATION, Depth, Segmentation
from .losses import l1

_segmentation = partial(Segmentation, 7)


class Cityscapes(Scenes):
    """Segmentation into 7 classes, and inverse depth."""

    name = "cityscapes"
    summary = "segmentation and depth of street scenes, 2 tasks for every pixel"
    tasks = (
        Task(
            "label",
            7,
            dense_metrics.segmentation_loss,
            dense_metrics.metrics(_segmentation, SEGMENTATION),
            _segmentation,
        ),
        Task("depth", 1, l1, dense_metrics.depth_metrics("scaled inverse depth"), Depth),
    )
    readers = {"label": read_classes(7), "depth": read_depth}  # noqa: RUF012
    # MTAN's and its followers', who also halve the rate after 100 epochs and mirror and crop the pictures at random.
    protocol = Protocol(epochs=200, batch_size=8, optimizer="adam", learning_rate=1e-4)
    source = Source(
        files=(),
        layout=tuple(f"{part}/{name}" for part in ("train", "val") for name in ("image", "label", "depth")),
        home="Cityscapes as preprocessed by MTAN, https://github.com/lorenmt/mtan",
        licence="Cityscapes' own: for non-commercial research, no redistribution",
        citation=(
            "M. Cordts et al. The Cityscapes dataset for semantic urban scene understanding. CVPR 2016. S. Liu, E. "
            "Johns, A. Davison. End-to-end multi-task learning with attention. CVPR 2019"
        ),
        folder="cityscapes",
    )
