"""office31: 31 kinds of office things, seen by Amazon, a camera and a webcam; each domain is a task with its own data.

The folder ``office31/`` holds the archive's ``amazon``, ``dslr`` and ``webcam``, each with ``images/<class>/*.jpg``.
"""

from __future__ import annotations

from .dataset import Protocol, Source, Task
from .image_domains import ImageDomains
from .losses import cross_entropy
from .metrics import ACCURACY


class Office31(ImageDomains):
    """Three tasks of 31 classes; 4,110 pictures."""

    name = "office31"
    summary = "31 object classes in three domains of pictures, 3 classification tasks with disjoint data"
    folders = {name: name for name in ("amazon", "dslr", "webcam")}  # noqa: RUF012
    inner = "images"
    classes = 31
    tasks = tuple(Task(name, 31, cross_entropy, (ACCURACY,)) for name in folders)
    # LibMTL's (B. Lin, Y. Zhang. JMLR 24, 2023), with one batch from all domains for its batch of 64 from each.
    protocol = Protocol(epochs=100, batch_size=192, optimizer="adam", learning_rate=1e-4, weight_decay=1e-5)
    source = Source(
        files=(),
        layout=tuple(folders),
        home="Office-31, https://faculty.cc.gatech.edu/~judy/domainadapt/",
        licence="none stated; for research",
        citation=(
            "K. Saenko, B. Kulis, M. Fritz, T. Darrell. Adapting visual category models to new domains. ECCV 2010"
        ),
        folder="office31",
    )
