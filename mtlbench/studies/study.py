"""What a study is: a question, what it measures in the runs, its table, its picture, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from mtlbench.analysis.load import Run


@dataclass(frozen=True, kw_only=True)
class Study:
    """The constant ``STUDY`` of a file in this folder.

    ``measure`` makes points of the runs; ``table`` the rows of ``study.csv`` and ``draw`` the picture of the points.
    ``columns``: for each column of the table what it means; a column ``x_half_width`` is the interval of ``x`` and
    printed with it. ``findings``: the table in sentences, drawn from its numbers and nothing else.
    """

    title: str
    question: str
    caption: str
    columns: Mapping[str, str]
    measure: Callable[[list[Run]], pd.DataFrame]
    table: Callable[[pd.DataFrame], pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]
    findings: Callable[[pd.DataFrame], list[str]]
