"""Intervals drawn in the cells of a table: where each lies between the limits of its column, in percent."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from mtlbench.report.columns import Entry
from mtlbench.report.tables import Table

Limits = tuple[float, float]


def limits(table: Table) -> list[Limits | None]:
    """For every column what its bars span, or None where no cell has an interval.

    That is all intervals, but not further than three median distances from the median: one method far out does not
    squeeze the others to points.
    """
    return [_limits([row[column] for row in table.rows]) for column in range(len(table.columns))]


def _limits(column: list[Entry]) -> Limits | None:
    bounds = np.array([(e.low, e.high) for e in column if e.low is not None and e.high is not None], dtype=float)
    if not len(bounds):
        return None
    means = bounds.mean(axis=1)
    reach = 3 * np.median(np.abs(means - np.median(means))) + np.median(bounds[:, 1] - bounds[:, 0])
    low, high = max(np.median(means) - reach, bounds.min()), min(np.median(means) + reach, bounds.max())
    return (low, high) if high > low else None


def bar(entry: Entry, limits: Limits | None) -> Markup:
    """The interval of ``entry`` as an element that the style sheet draws; cut off at the limits."""
    if limits is None or entry.low is None or entry.high is None:
        return Markup()
    low, high = limits
    start, end = (100 * min(max((x - low) / (high - low), 0.0), 1.0) for x in (entry.low, entry.high))
    width = max(end - start, 3.0)
    # A background of width w at position p starts p (1 - w) from the left.
    place = 100 * start / (100 - width) if width < 100 else 0.0
    zero = f";--z:{100 * -low / (high - low):.0f}" if low < 0 < high else ""
    return Markup(f'<i style="--p:{min(place, 100):.0f};--w:{width:.0f}{zero}"></i>')
