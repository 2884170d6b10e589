"""multifashion: two overlaid Fashion-MNIST pictures on a 36x36 canvas; name the left article and the right one.

As in X. Lin et al., "Pareto multi-task learning", NeurIPS 2019.
"""

from __future__ import annotations

from .dataset import Reported, Source
from .two_pictures import FASHION_CITATION, FASHION_HOME, FASHION_LICENCE, PARETO_CITATION, TwoPictures, fashion


class MultiFashion(TwoPictures):
    """Two articles of clothing."""

    name = "multifashion"
    summary = "two overlaid Fashion-MNIST pictures on a 36x36 canvas, 2 classification tasks"
    source = Source(
        files=fashion(),
        home=FASHION_HOME,
        licence=FASHION_LICENCE,
        citation=f"{FASHION_CITATION}. {PARETO_CITATION}",
        folder="fashion_mnist",
    )
    reported = (Reported("left", "accuracy", 0.80, 0.86, "Lin et al. 2019; 100 epochs"),)
