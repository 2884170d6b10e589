"""The default algorithm of every room is exact on random problems, and what is not exact is caught."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest

from mtlbench.errors import InputError
from mtlbench.referee import exactness
from mtlbench.referee.families import FAMILIES, draw
from mtlbench.solvers import NoSolution, min_norm


def test_every_room_passes_and_the_counts_add_up(tmp_path):
    found = exactness.judge([], 60, seed=3)
    assert [result.room for result in found] == list(exactness.ROOMS)
    assert {"bargaining", "min_norm"} <= set(exactness.ROOMS)
    for result in found:
        assert result.failures == []
        assert result.problems == 60 == result.converged + result.no_solution
        assert result.worst <= 1
    results = {result.room: result for result in found}
    assert results["min_norm"].no_solution == 0
    assert results["bargaining"].no_solution > 8  # a zero row is one family of seven
    assert results["min_norm"].algorithm == "active_set"
    exactness.write(tmp_path, found)
    with (tmp_path / exactness.FILE).open(newline="") as file:
        assert [int(row["converged"]) for row in csv.DictReader(file)] == [result.converged for result in found]


def test_problems_are_of_all_families_and_sizes_and_can_be_drawn_again():
    names = []
    for name, gramian in exactness.drawn(100, seed=1):
        family, size, number = name.split(", ")[0], int(name.split()[1]), int(name.split("problem ")[1].split()[0])
        if number % 10 == 9:
            assert (gramian == draw(family, size, number, 1)).all()
        names.append((family, size))
    assert {family for family, _ in names} == set(FAMILIES)
    sizes = [size for _, size in names]
    assert (sizes.count(128), sizes.count(256)) == (2, 2)
    assert {size for size in sizes if size <= 64} > set(range(20, 25))
    again = [name for name, _ in exactness.drawn(10, seed=1)]
    assert again == [name for name, _ in zip((n for n, _ in exactness.drawn(100, seed=1)), range(10), strict=False)]


def asked(solve, count=7):
    room = SimpleNamespace(
        solve=solve, certificate=min_norm.certificate, tolerated_gap=min_norm.tolerated_gap, __name__="min_norm"
    )
    result = exactness.Exactness("min_norm", "active_set")
    for name, gramian in exactness.drawn(count, seed=0):
        exactness._judge_one(result, room, name, gramian)
    return result


def altered(**said):
    def solve(gramian):
        solution = min_norm.solve(gramian)
        return solution._replace(**{key: value(solution) for key, value in said.items()})

    return solve


def nowhere(gramian):
    raise NoSolution("none", np.eye(len(gramian))[0])


def raising(gramian):
    raise FloatingPointError("too hard")


@pytest.mark.parametrize(
    ("solve", "words"),
    [
        (altered(converged=lambda _: False), "converged is False"),
        (altered(weights=lambda s: np.full(len(s.weights), 1 / len(s.weights))), "tolerated is"),
        (altered(weights=lambda s: s.weights * np.nan), "weights or gap are not finite"),
        (altered(weights=lambda s: s.weights * 2), "weights that cannot be certified: weights must be non-negative"),
        (nowhere, "said to have no solution, but wᵀGw is"),
        (raising, "raised FloatingPointError: too hard"),
    ],
)
def test_what_is_not_exact_is_counted_and_named(solve, words):
    result = asked(solve)
    assert result.failed >= 5
    assert words in result.sentence()
    assert "\n  gaussian, " in result.sentence()
    assert result.not_finite == (7 if "finite" in words else 0)


def test_only_the_first_failures_are_shown():
    result = asked(raising, 25)
    assert result.failed == 25
    assert len(result.sentence().splitlines()) == 12
    assert result.sentence().endswith("and 15 more")


def test_an_unknown_room_gets_a_sentence():
    with pytest.raises(InputError, match="unknown room 'min_nrom': did you mean 'min_norm'"):
        exactness.judge(["min_nrom"], 1, 0)
