"""A figure as the bytes of a file: the same on every day, and small enough to publish."""

from __future__ import annotations

import io
from collections.abc import Mapping

from matplotlib.figure import Figure
from PIL import Image

COLOURS = 256


def encoded(figure: Figure, kind: str, dpi: int, metadata: Mapping[str, str | None]) -> bytes:
    """``figure`` as svg, pdf or png.

    A png gets a palette of its own, which takes a third of the bytes: a drawing has few colours, and the shades at the
    edges of its lines are told apart by nobody.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=dpi, metadata=dict(metadata))
    if kind != "png":
        return buffer.getvalue()
    small = io.BytesIO()
    with Image.open(buffer) as drawn:
        drawn.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(small, "png", dpi=(dpi, dpi))
    return small.getvalue()
