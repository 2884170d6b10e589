"""office_home: 65 kinds of things at home and in the office as art, clip art, product pictures and photographs.

Each domain is a task with its own data. The folder ``office_home/`` holds the archive's four domains, each with
``<class>/*.jpg``.
"""

from __future__ import annotations

from .dataset import Protocol, Source, Task
from .image_domains import ImageDomains
from .losses import cross_entropy
from .metrics import ACCURACY


class OfficeHome(ImageDomains):
    """Four tasks of 65 classes; about 15,500 pictures."""

    name = "office_home"
    summary = "65 object classes in four domains of pictures, 4 classification tasks with disjoint data"
    folders = {"art": "Art", "clipart": "Clipart", "product": "Product", "real_world": "Real World"}  # noqa: RUF012
    classes = 65
    tasks = tuple(Task(name, 65, cross_entropy, (ACCURACY,)) for name in folders)
    # LibMTL's (B. Lin, Y. Zhang. JMLR 24, 2023), with one batch from all domains for its batch of 64 from each.
    protocol = Protocol(epochs=100, batch_size=256, optimizer="adam", learning_rate=1e-4, weight_decay=1e-5)
    source = Source(
        files=(),
        layout=tuple(folders.values()),
        home="Office-Home, https://www.hemanthdv.org/officeHomeDataset.html",
        licence="for non-commercial research and education",
        citation=(
            "H. Venkateswara, J. Eusebio, S. Chakraborty, S. Panchanathan. Deep hashing network for unsupervised "
            "domain adaptation. CVPR 2017"
        ),
        folder="office_home",
    )
