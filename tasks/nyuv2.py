"""nyuv2: what stands in a room, how far away, and which way it faces, for every pixel of a picture.

NYU Depth v2 as MTAN and LibMTL distribute it: 795 scenes in ``nyuv2/train`` and 654 in ``nyuv2/val``, 288x384, folders
``image``, ``label``, ``depth`` and ``normal`` with one ``.npy`` a scene.
"""

from __future__ import annotations

from functools import partial

from . import dense_metrics
from .dataset import Protocol, Source, Task
from .dense import Scenes, read_classes, read_depth, read_normals
from .dense_metrics import NORMALS, SEGMENTATION, Depth, Normals, Segmentation
from .losses import l1

_segmentation = partial(Segmentation, 13)


class NYUv2(Scenes):
    """Segmentation into 13 classes, depth, and surface normals."""

    name = "nyuv2"
    summary = "segmentation, depth and surface normals of indoor scenes, 3 tasks for every pixel"
    tasks = (
        Task(
            "label",
            13,
            dense_metrics.segmentation_loss,
            dense_metrics.metrics(_segmentation, SEGMENTATION),
            _segmentation,
        ),
        Task("depth", 1, l1, dense_metrics.depth_metrics("metres"), Depth),
        Task("normal", 3, dense_metrics.normal_loss, dense_metrics.metrics(Normals, NORMALS), Normals),
    )
    readers = {"label": read_classes(13), "depth": read_depth, "normal": read_normals}  # noqa: RUF012
    # MTAN's and its followers', who also halve the rate after 100 epochs and mirror and crop the pictures at random.
    protocol = Protocol(epochs=200, batch_size=2, optimizer="adam", learning_rate=1e-4)
    source = Source(
        files=(),
        layout=tuple(f"{part}/{name}" for part in ("train", "val") for name in ("image", "label", "depth", "normal")),
        home="NYU Depth v2 as preprocessed by MTAN, https://github.com/lorenmt/mtan",
        licence="none stated; for research",
        citation=(
            "N. Silberman, D. Hoiem, P. Kohli, R. Fergus. Indoor segmentation and support inference from RGBD images. "
            "ECCV 2012. S. Liu, E. Johns, A. Davison. End-to-end multi-task learning with attention. CVPR 2019"
        ),
        folder="nyuv2",
    )
