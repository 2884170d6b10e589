"""multimnist: two overlaid MNIST digits on a 36x36 canvas; read the left one and the right one."""

from __future__ import annotations

from .dataset import Reported, Source
from .two_pictures import MNIST_CITATION, MNIST_HOME, MNIST_LICENCE, TwoPictures, mnist


class MultiMNIST(TwoPictures):
    """Two digits; 5 epochs reach 97 % on either side."""

    name = "multimnist"
    summary = "two overlaid MNIST digits on a 36x36 canvas, 2 classification tasks"
    source = Source(
        files=mnist(),
        home=MNIST_HOME,
        licence=MNIST_LICENCE,
        citation=(
            f"{MNIST_CITATION}. O. Sener, V. Koltun. Multi-task learning as multi-objective optimization. NeurIPS 2018"
        ),
        folder="mnist",
    )
    reported = (
        Reported("left", "accuracy", 0.95, 0.975, "Sener and Koltun 2018, Lin et al. 2019; 100 epochs and more"),
    )
