"""Pictures as files: small, sharp, the same bytes each time."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from mtlbench.pictures import encoded


def _figure() -> Figure:
    figure = Figure(figsize=(4, 3))
    ax = figure.subplots()
    for phase in range(6):
        ax.plot(np.sin(np.arange(200) / 9 + phase))
    return figure


def test_a_png_is_a_third_of_what_matplotlib_writes_and_looks_the_same() -> None:
    plain = io.BytesIO()
    _figure().savefig(plain, format="png", dpi=120)
    small = encoded(_figure(), "png", 120, {})
    assert small == encoded(_figure(), "png", 120, {})
    assert len(small) < 0.5 * len(plain.getvalue())
    drawn, before = (np.asarray(Image.open(file).convert("RGB"), float) for file in (io.BytesIO(small), plain))
    assert drawn.shape == before.shape == (360, 480, 3)
    assert np.abs(drawn - before).mean() < 0.5
    assert drawn[0, 0].tolist() == [255, 255, 255]
    assert round(Image.open(io.BytesIO(small)).info["dpi"][0]) == 120


def test_other_kinds_are_left_to_matplotlib() -> None:
    assert encoded(_figure(), "pdf", 120, {"CreationDate": None}).startswith(b"%PDF")
    assert b"<dc:date>" not in encoded(_figure(), "svg", 120, {"Date": None})
