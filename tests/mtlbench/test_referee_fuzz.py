"""The fuzz run itself: every input has an outcome, a broken room is noticed, and any input can be drawn again."""

from __future__ import annotations

import numpy as np
import pytest

from mtlbench.referee import fuzz
from mtlbench.solvers import Solution, min_norm


def test_no_input_breaks_a_room():
    counts, broken = fuzz.run(400, seed=20)
    assert not broken
    assert sum(counts.values()) == 400
    for outcome in ("certified", "honest", "refused"):
        assert sum(counts[room, outcome] for room in fuzz.ROOMS) > 5


def test_every_room_is_asked():
    assert set(fuzz.ROOMS) == {"ball", "bargaining", "dual_cone", "min_norm"}
    assert {fuzz.draw(3, number).room for number in range(60)} == set(fuzz.ROOMS)


def test_an_input_can_be_drawn_again():
    for number in (0, 7, 19):
        first, second = fuzz.draw(5, number), fuzz.draw(5, number)
        assert first[:5] == second[:5]
        assert repr(first.value) == repr(second.value)


def answers(weights, gap=0.0, converged=True):
    return lambda *_, **__: Solution(np.asarray(weights), gap, 1, converged, True)


def raises(error):
    def call(*_, **__):
        raise error

    return call


@pytest.mark.parametrize(
    ("solve", "said"),
    [
        (answers([np.nan, 1.0]), "not finite"),
        (answers([0.5, 0.5], gap=0.25), "the certificate is"),
        (answers([1.0, 0.0], gap=4.0, converged=True), "converged is True"),
        (raises(ZeroDivisionError("x")), "ZeroDivisionError"),
        (raises(ValueError("two\nlines")), "two"),
        (raises(ValueError("")), "ValueError"),
        (raises(np.linalg.LinAlgError("singular")), "LinAlgError"),
    ],
)
def test_what_is_wrong_is_called_broken(monkeypatch, solve, said):
    case = fuzz.Case("min_norm", "active_set", "made", "none", "array", np.diag([4.0, 1.0]))
    monkeypatch.setattr(min_norm, "solve", solve)
    found, text = fuzz.outcome(case)
    assert found == "broken"
    assert said in text
