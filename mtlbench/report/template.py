"""The page templates: Jinja2 with autoescape, style sheet and script inlined, nothing fetched."""

from __future__ import annotations

from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from mtlbench.report.bars import bar, limits
from mtlbench.report.format import duration, number


def render(name: str, **context: Any) -> str:
    """Fill the template ``name``; every value is escaped unless it is :class:`~markupsafe.Markup`.

    A name missing in ``context`` raises, so that a page never has a silent hole.
    """
    return _environment().get_template(name).render(**context)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mtlbench.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "duration": duration, "limits": limits, "bar": bar}
    environment.globals["include_raw"] = _include_raw
    return environment


def _include_raw(name: str) -> Markup:
    """A style sheet or script of our own, as it is."""
    environment = _environment()
    assert environment.loader is not None
    return Markup(environment.loader.get_source(environment, name)[0])
