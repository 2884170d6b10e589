"""multifashion_mnist: an MNIST digit and a Fashion-MNIST picture on a 36x36 canvas; two tasks of unlike difficulty.

As in X. Lin et al., "Pareto multi-task learning", NeurIPS 2019, who do not say which stands where: here the digit is
the left one.
"""

from __future__ import annotations

from .dataset import Reported, Source
from .two_pictures import (
    FASHION_CITATION,
    FASHION_HOME,
    FASHION_LICENCE,
    MNIST_CITATION,
    MNIST_HOME,
    MNIST_LICENCE,
    PARETO_CITATION,
    TwoPictures,
    fashion,
    mnist,
)


class MultiFashionMNIST(TwoPictures):
    """A digit on the left, an article of clothing on the right."""

    name = "multifashion_mnist"
    summary = "an MNIST digit overlaid with a Fashion-MNIST picture on a 36x36 canvas, 2 classification tasks"
    folders = ("mnist/", "fashion_mnist/")
    source = Source(
        files=mnist("mnist/") + fashion("fashion_mnist/"),
        home=f"{MNIST_HOME} and {FASHION_HOME}",
        licence=f"{MNIST_LICENCE} (digits), {FASHION_LICENCE} (articles)",
        citation=f"{MNIST_CITATION}. {FASHION_CITATION}. {PARETO_CITATION}",
    )
    reported = (Reported("left", "accuracy", 0.94, 0.97, "Lin et al. 2019; 100 epochs"),)
