"""How numbers and methods look: digits that follow from the interval, looks that can be told apart."""

from __future__ import annotations

import math

import matplotlib as mpl
import numpy as np
import pytest

from mtlbench.report.format import duration, listing, number, tex, with_interval
from mtlbench.report.style import canvas, looks


@pytest.mark.parametrize(
    ("mean", "half", "text"),
    [
        (0.91234, 0.01449, "0.912 ± 0.014"),
        (-3.14159, 0.5, "−3.14 ± 0.50"),
        (1234.5, 67.8, "1234 ± 68"),
        (0.0001, 0.02, "0.000 ± 0.020"),
        (-0.0001, 0.02, "0.000 ± 0.020"),
        (2.5e-9, 1.2e-10, "2.50e−9 ± 1.2e−10"),
        (3.5, 0.0, "3.5 ± 0"),
        (0.5, math.nan, "0.5000"),
        (math.nan, math.nan, "–"),
    ],
)
def test_the_interval_decides_the_digits(mean: float, half: float, text: str) -> None:
    assert with_interval(mean, half) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (1.2345, "1.23"), (-1e-13, "−1.00e−13"), (math.inf, "∞"), (None, "–"), (999.9, "1000")],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


def test_durations_and_lists() -> None:
    assert [duration(x) for x in (2.0, 0.0123, 4.5e-6, 3e-9)] == ["2.00 s", "12.3 ms", "4.50 µs", "3.00 ns"]
    assert [listing(x) for x in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]


def test_latex_escapes_every_special_character() -> None:
    assert tex(r"a_b & 5% $x$ #1 {y} ~^\ ") == (
        r"a\_b \& 5\% \$x\$ \#1 \{y\} \textasciitilde{}\textasciicircum{}\textbackslash{} "
    )


def test_sixty_methods_look_different_and_looks_do_not_depend_on_order() -> None:
    labels = [f"method_{index}" for index in range(60)]
    found = looks([*labels, "equal", "single_task"])
    assert len({(look.colour, str(look.dashes), look.marker) for look in found.values()}) == 62
    shuffled = list(np.random.default_rng(0).permutation([*labels, "equal", "single_task"]))
    assert looks(shuffled) == found


def test_drawing_leaves_matplotlibs_settings_alone() -> None:
    before = dict(mpl.rcParams)
    with canvas():
        pass
    assert dict(mpl.rcParams) == before
