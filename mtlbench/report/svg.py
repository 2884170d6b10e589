"""Put an SVG file into a page: only what draws, in the page's colours, with ids that clash with no other."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from markupsafe import Markup

from mtlbench.errors import CheckFailed
from mtlbench.report.style import GRID, INK, PAPER

_SHAPES = {
    "path",
    "rect",
    "circle",
    "ellipse",
    "line",
    "polyline",
    "polygon",
    "text",
    "tspan",
    "image",
    "use",
}
_DEFINITIONS = {
    "g",
    "defs",
    "clipPath",
    "linearGradient",
    "radialGradient",
    "stop",
    "pattern",
    "marker",
    "mask",
}
_DRAWING = {"svg", "title", "desc"} | _SHAPES | _DEFINITIONS
_GEOMETRY = {"d", "points", "transform", "x", "y"}
_LONG = re.compile(r"(\.\d\d)\d+")  # a hundredth of a point is below what any screen shows
_COLOURS = {INK: "var(--ink)", "#000000": "var(--ink)", GRID: "var(--grid)", PAPER: "var(--paper)"}


def inline(path: Path, prefix: str, title: str) -> Markup:
    """The picture at ``path`` as an ``<svg>`` element for HTML, with ``title`` for screen readers.

    What does not draw (scripts, event handlers, style sheets, links that leave the file) is left out, since
    a results folder may come from somebody else; so is what has no effect. Every id gets ``prefix``. Raises
    :class:`~mtlbench.errors.CheckFailed` when the file is not a whole SVG.
    """
    try:
        text = path.read_text(encoding="utf-8")
        root = ElementTree.fromstring(text)
    except (UnicodeDecodeError, ElementTree.ParseError) as error:
        raise CheckFailed(f"{path} is cut off or is not an SVG picture: {error}") from None
    if _local(root.tag) != "svg":
        raise CheckFailed(f"{path} is not an SVG picture: its root is {_local(root.tag)!r}")
    _clean(root, prefix, set(re.findall(r"#([\w.:-]+)", text)))
    _share_styles(root, prefix)
    for size in ("width", "height"):
        root.attrib.pop(size, None)  # the page decides the size; the viewBox keeps the shape
    root.set("role", "img")
    root.set("aria-label", title)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def natural_width(path: Path) -> float | None:
    """The width the picture was drawn at, in CSS pixels, or None where it is not stated in points."""
    match = re.search(r'<svg[^>]*?\swidth="([\d.]+)pt"', path.read_text(encoding="utf-8")[:4000], re.DOTALL)
    return float(match.group(1)) * 96 / 72 if match else None


def _clean(element: ElementTree.Element, prefix: str, referenced: set[str]) -> None:
    element.tag = _local(element.tag)
    if element.tag not in ("text", "tspan", "title", "desc"):
        element.text = None
    for name, value in list(element.attrib.items()):
        del element.attrib[name]
        kept = _attribute(_local(name), value, prefix)
        if kept is not None and (name != "id" or value in referenced):
            element.set(_local(name), kept)
    for child in list(element):
        if isinstance(child.tag, str) and _local(child.tag) in _DRAWING:
            _clean(child, prefix, referenced)
            child.tail = child.tail if element.tag == "text" else None
        else:
            element.remove(child)


def _share_styles(root: ElementTree.Element, prefix: str) -> None:
    """Every style once, as a class: a picture repeats a few of them hundreds of times."""
    names: dict[str, str] = {}
    for element in root.iter():
        if style := element.attrib.pop("style", ""):
            element.set("class", names.setdefault(style, f"{prefix}{len(names)}"))
    sheet = ElementTree.Element("style")
    sheet.text = "".join(f".{name}{{{style}}}" for style, name in names.items())
    root.insert(0, sheet)


def _attribute(name: str, value: str, prefix: str) -> str | None:
    if name.lower().startswith("on") or (name == "transform" and value.startswith("rotate(-0 ")):
        return None
    if name == "id":
        return prefix + value
    if name in _GEOMETRY:
        return _LONG.sub(r"\1", " ".join(value.split()))
    if name == "href":
        return (
            f"#{prefix}{value[1:]}" if value.startswith("#") else value if value.startswith("data:image/png") else None
        )
    value = re.sub(r"url\(\s*['\"]?#", f"url(#{prefix}", value)
    if name == "style" and re.search(r"[{}<>@\\]", value):
        return None  # it would end its rule in the style sheet
    return None if re.search(r"url\((?!#)|@import|expression\(", value) else _style(value) if name == "style" else value


def _style(value: str) -> str:
    """The page's own font and colours instead of the picture's."""
    value = re.sub(r"font-family: [^;]*;? ?", "", value)
    for colour, variable in _COLOURS.items():
        value = value.replace(colour, variable)
    return value


def _local(name: str) -> str:
    return name.rsplit("}", 1)[-1]
