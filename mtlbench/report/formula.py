r"""A method's docstring as HTML: paragraphs, and its ``.. math::`` blocks as MathML, which browsers draw offline."""

from __future__ import annotations

import inspect
import re
import sys
from xml.etree import ElementTree

from latex2mathml.converter import convert
from markupsafe import Markup, escape

from mtlbench.methods import Method

_MATHS = ".. math::"
# What latex2mathml does not know (3.81), or would write into the page as it is.
_KNOWN_AS = ((r"\\arg\b", r"\\operatorname{arg}"), (r"\\[bB]ig+[lr]?\\\|", r"\\|"), ("<", r"\\lt "))
_LOOKS = {
    "display",
    "displaystyle",
    "stretchy",
    "fence",
    "form",
    "width",
    "minsize",
    "maxsize",
    "accent",
    "mathvariant",
}


def of(method: Method) -> Markup:
    """What the file of ``method`` says at its top; empty where it says nothing."""
    text = inspect.getdoc(sys.modules[type(method).__module__]) or ""
    blocks = [block.strip() for block in re.split(r"\n\s*\n", text) if block.strip()]
    return Markup("\n").join(_formula(b) if b.startswith(_MATHS) else _paragraph(b) for b in blocks)


def _formula(block: str) -> Markup:
    """The block as MathML; as it was written, where it is not LaTeX that the converter knows."""
    latex = " ".join(block.removeprefix(_MATHS).split())
    try:
        for unknown, name in _KNOWN_AS:
            latex = re.sub(unknown, name, latex)
        root = ElementTree.fromstring(convert(latex, display="block"))
    except Exception:  # whatever a stranger's LaTeX brings out of the converter: the page shows the source
        return Markup("<pre>{}</pre>").format(latex)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]  # HTML knows <math> without its name space
        for name in set(element.attrib) - _LOOKS:
            del element.attrib[name]
    return Markup('<div class="formula">{}</div>').format(Markup(ElementTree.tostring(root, encoding="unicode")))


def _paragraph(block: str) -> Markup:
    """A paragraph; names in reStructuredText's marks become code."""
    parts = re.split(r"(?::\w+:)?`{1,2}~?([^`]+)`{1,2}", block)
    words = [Markup("<code>{}</code>").format(part) if i % 2 else escape(part) for i, part in enumerate(parts)]
    return Markup("<p>{}</p>").format(Markup("").join(words))
