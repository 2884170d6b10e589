"""The contract of every room and algorithm found in solvers/: a new file is held to it without being registered."""

from __future__ import annotations

import importlib
import pkgutil
from inspect import signature

import numpy as np
import pytest

from mtlbench import solvers
from mtlbench.solvers import NoSolution, Solution, min_norm
from mtlbench.solvers.algorithm import FAMILIES, LEVELS, Algorithm, discover

ROOMS = {
    info.name: importlib.import_module(f"mtlbench.solvers.{info.name}")
    for info in pkgutil.iter_modules(solvers.__path__)
    if info.ispkg
}
EVERY = [(room, name) for room, module in ROOMS.items() for name in module.ALGORITHMS]
MIN_NORM = min_norm.ALGORITHMS
STEPPED = [name for name in MIN_NORM if min_norm.algorithm(name).step is not None]
EPS = 2.0**-52
SHIPPED = (
    "accelerated",
    "active_set",
    "exact",
    "exponentiated_gradient",
    "frank_wolfe",
    "frank_wolfe_away",
    "frank_wolfe_pairwise",
    "smooth_min",
    "smooth_min_entropic",
    "softmax_beta",
)
"""Those of the project itself state a reach for everything; another file may state less."""


def gaussian(size: int, seed: int = 0, rank: int | None = None) -> np.ndarray:
    rows = np.random.default_rng([seed, size]).standard_normal((size, rank or 2 * size))
    product = rows @ rows.T
    return (product + product.T) / 2


def spread(size: int, seed: int = 0) -> np.ndarray:
    norms = np.geomspace(1, 1e3, size)
    return gaussian(size, seed) * norms[:, None] * norms


def stationary(size: int) -> np.ndarray:
    rows = np.random.default_rng(size).standard_normal((size, 2 * size))
    rows -= rows.mean(axis=0)
    product = rows @ rows.T
    return (product + product.T) / 2


PROBLEMS = {
    "one task": np.array([[7.0]]),
    "two tasks": gaussian(2),
    "opposed pair": np.array([[1.0, -2.0], [-2.0, 4.0]]),
    "equal pair": np.ones((2, 2)),
    "three tasks": gaussian(3),
    "gaussian": gaussian(9),
    "norms 1 to 1e3": spread(6),
    "rank 2": gaussian(7, rank=2),
    "duplicates": np.kron(gaussian(3), np.ones((2, 2))),
    "stationary": stationary(5),
    "all equal": np.full((4, 4), 3.0),
    "all zero": np.zeros((3, 3)),
}
WITHOUT_SOLUTION = {"bargaining": {"opposed pair", "rank 2", "stationary", "all zero"}}


def tolerated(room: str, gramian: np.ndarray, weights: np.ndarray) -> float:
    """The gap that counts as converged; the room whose rounding depends on the weights is told them."""
    tolerated_gap = ROOMS[room].tolerated_gap
    options = {"weights": weights} if "weights" in signature(tolerated_gap).parameters else {}
    return tolerated_gap(gramian, **options)


@pytest.mark.parametrize(("room", "name"), EVERY)
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("limit", [1, 7, 300])
def test_a_solution_says_the_truth_about_itself(room, name, problem, limit):
    module, gramian = ROOMS[room], PROBLEMS[problem]
    if problem in WITHOUT_SOLUTION.get(room, ()):
        with pytest.raises(NoSolution):
            module.solve(gramian, algorithm=name, max_iterations=limit)
        return
    solution = module.solve(gramian, algorithm=name, max_iterations=limit)
    assert isinstance(solution, Solution)
    weights, gap, iterations, converged, non_conflicting = solution
    assert weights.shape == (len(gramian),)
    assert weights.dtype == np.float64
    assert np.isfinite(weights).all()
    assert gap == module.certificate(gramian, weights)
    assert 0 <= iterations <= limit
    assert converged is (gap <= tolerated(room, gramian, weights))
    # The coefficients of the direction in the gradients, where they are not the weights themselves.
    coefficients = module.direction_weights(gramian, weights) if hasattr(module, "direction_weights") else weights
    products = gramian.astype(np.longdouble) @ coefficients
    rounding = len(gramian) * EPS * np.sqrt(gramian.max()) * (np.sqrt(gramian.diagonal()) @ abs(coefficients))
    assert products.min() >= -rounding if non_conflicting else products.min() <= rounding
    if room == "min_norm":
        assert weights.min() >= 0
        assert abs(float(weights.sum()) - 1) <= 4 * len(weights) * EPS


@pytest.mark.parametrize(("room", "name"), EVERY)
def test_the_record_of_an_algorithm_is_whole(room, name):
    record = ROOMS[room].algorithm(name)
    assert record.name == name
    assert record.summary
    assert "\n" not in record.summary
    assert (record.start is None) == (record.step is None)
    assert (record.step is None) != (record.direct is None)
    for family, table in record.reach.items():
        assert family in FAMILIES
        for gap, (iterations, share) in table.items():
            assert gap > 0
            assert iterations >= 0
            assert 0 <= share <= 1


@pytest.mark.parametrize("name", SHIPPED)
def test_min_norm_states_a_reach_for_every_family_at_three_gaps(name):
    reach = min_norm.algorithm(name).reach
    assert set(reach) == set(FAMILIES)
    assert all(tuple(table) == LEVELS for table in reach.values())


def test_the_families_of_a_reach_are_those_of_the_referee():
    from mtlbench.referee.families import FAMILIES as drawn

    assert set(FAMILIES) == {*drawn, "collection", "recorded"}


@pytest.mark.parametrize("name", [n for n in MIN_NORM if not min_norm.algorithm(n).iterative])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_an_algorithm_that_is_not_iterative_meets_the_default_tolerance(name, problem):
    assert min_norm.solve(PROBLEMS[problem], name).converged


@pytest.mark.parametrize("name", MIN_NORM)
def test_the_iteration_limit_is_counted_and_is_no_success(name):
    solution = min_norm.solve(gaussian(16, rank=200), name, max_iterations=1)
    if solution.converged:
        assert not min_norm.algorithm(name).iterative
    else:
        assert solution.iterations == 1
        assert solution.gap > min_norm.tolerated_gap(gaussian(16, rank=200))


@pytest.mark.parametrize("name", MIN_NORM)
def test_a_loose_tolerance_stops_early_and_is_met(name):
    gramian = gaussian(6)
    loose = min_norm.solve(gramian, name, tolerance=1e-1)
    tight = min_norm.solve(gramian, name, tolerance=1e-3, max_iterations=20_000)
    assert loose.converged
    assert loose.gap <= min_norm.tolerated_gap(gramian, 1e-1)
    assert tight.converged
    assert tight.gap <= min_norm.tolerated_gap(gramian, 1e-3)
    assert loose.iterations <= tight.iterations


@pytest.mark.parametrize("name", MIN_NORM)
@pytest.mark.parametrize("zero", [0, 2, 4])
def test_a_zero_row_is_answered_by_its_vertex(name, zero):
    gramian = gaussian(5)
    gramian[zero, :] = gramian[:, zero] = 0.0
    gramian[4, :] = gramian[:, 4] = 0.0
    solution = min_norm.solve(gramian, name)
    np.testing.assert_array_equal(solution.weights, np.eye(5)[min(zero, 4)])
    assert solution.gap == 0
    assert solution.iterations == 0
    assert solution.converged
    assert solution.non_conflicting
    assert next(min_norm.trace(gramian, name, 9))[2:4] == (0.0, 0.0)


@pytest.mark.parametrize("name", MIN_NORM)
def test_a_small_gradient_is_not_a_zero_one(name):
    gramian = np.diag([1e-300, 1.0, 1.0])
    weights = min_norm.solve(gramian, name, max_iterations=50).weights
    assert weights[0] > 0
    assert not np.array_equal(min_norm.solve(np.diag([1e-30, 1.0]), name).weights, [1.0, 0.0])


@pytest.mark.parametrize("name", MIN_NORM)
def test_two_tasks_have_the_closed_form(name):
    for gramian, expected in [
        ([[1.0, 0.0], [0.0, 4.0]], [0.8, 0.2]),
        ([[1.0, -1.0], [-1.0, 3.0]], [2 / 3, 1 / 3]),
        ([[1.0, 2.0], [2.0, 9.0]], [1.0, 0.0]),
        ([[9.0, 2.0], [2.0, 1.0]], [0.0, 1.0]),
        ([[2.0, 2.0], [2.0, 2.0]], [0.5, 0.5]),
        ([[1.0, -1.0], [-1.0, 1.0]], [0.5, 0.5]),
    ]:
        solution = min_norm.solve(gramian, name)
        assert solution.converged
        np.testing.assert_allclose(solution.weights, expected, atol=1e-9)


@pytest.mark.parametrize("name", STEPPED)
def test_a_trace_at_two_tasks_is_the_algorithm_itself(name):
    first, *others = min_norm.trace([[1.0, 0.5], [0.5, 4.0]], name, 3)
    assert first[0] == 0
    assert others
    # The closed form (0.875, 0.125) is no start of any algorithm.
    assert abs(first[1][0] - 0.875) > 1e-3


@pytest.mark.parametrize("name", MIN_NORM)
@pytest.mark.parametrize("problem", ["three tasks", "gaussian", "norms 1 to 1e3"])
def test_a_trace_ends_where_solve_ends(name, problem):
    gramian = PROBLEMS[problem]
    steps = list(min_norm.trace(gramian, name, 12))
    solution = min_norm.solve(gramian, name, tolerance=0.0, max_iterations=12)
    if solution.iterations == 12:
        np.testing.assert_array_equal(steps[-1][1], solution.weights)
    seconds = [step[4] for step in steps]
    assert seconds == sorted(seconds)
    for _iteration, weights, objective, gap, _ in steps:
        assert objective == min_norm.objective(gramian, weights)
        assert gap == min_norm.certificate(gramian, weights)


@pytest.mark.parametrize("name", MIN_NORM)
def test_permuting_the_tasks_permutes_the_weights(name):
    gramian = gaussian(6, seed=3)
    order = np.random.default_rng(1).permutation(6)
    solution = min_norm.solve(gramian, name, max_iterations=40)
    permuted = min_norm.solve(gramian[np.ix_(order, order)], name, max_iterations=40)
    np.testing.assert_allclose(permuted.weights, solution.weights[order], atol=1e-7)


@pytest.mark.parametrize("name", MIN_NORM)
@pytest.mark.parametrize("problem", ["two tasks", "three tasks", "gaussian", "norms 1 to 1e3"])
def test_weights_do_not_depend_on_the_scale(name, problem):
    gramian = PROBLEMS[problem]
    solution = min_norm.solve(gramian, name, max_iterations=30)
    for power in (-600, -1, 7, 600):
        scaled = min_norm.solve(np.ldexp(gramian, power), name, max_iterations=30)
        np.testing.assert_array_equal(scaled.weights, solution.weights)
        assert scaled.gap == np.ldexp(solution.gap, power)
        assert scaled[2:] == solution[2:]
    for scale in (1e-200, 0.3, 1e200):
        scaled = min_norm.solve(scale * gramian, name, max_iterations=30)
        np.testing.assert_allclose(scaled.weights, solution.weights, atol=1e-8)
        assert scaled.converged == solution.converged


@pytest.mark.parametrize("name", MIN_NORM)
def test_bounds_and_monotone_promises_hold_along_the_trace(name):
    record = min_norm.algorithm(name)
    for gramian in (gaussian(2), gaussian(8, rank=50), spread(5), stationary(6)):
        best = min_norm.solve(gramian).weights
        lowest = min_norm.objective(gramian, best)
        rounding = 8 * len(gramian) * EPS * gramian.max()
        previous = np.inf
        for iteration, _, objective, gap, _ in min_norm.trace(gramian, name, 150):
            bound = record.bound(gramian, iteration) if record.bound else None
            if bound is not None:
                assert objective - lowest <= bound + rounding
            assert objective - lowest <= gap + rounding
            if record.monotone:
                assert objective <= previous + rounding
            previous = objective


@pytest.mark.parametrize(("room", "name"), EVERY)
def test_wrong_arguments_get_a_sentence(room, name):
    module, gramian = ROOMS[room], gaussian(3)
    with pytest.raises(ValueError, match="tolerance must be a finite number >= 0, got -1"):
        module.solve(gramian, algorithm=name, tolerance=-1)
    with pytest.raises(ValueError, match="tolerance must be a finite number >= 0, got nan"):
        module.solve(gramian, algorithm=name, tolerance=float("nan"))
    for limit in (0, -3, 2.5, True, None):
        with pytest.raises(ValueError, match="max_iterations must be a whole number >= 1"):
            module.solve(gramian, algorithm=name, max_iterations=limit)
        with pytest.raises(ValueError, match="max_iterations must be a whole number >= 1"):
            module.trace(gramian, algorithm=name, max_iterations=limit)
    with pytest.raises(ValueError, match=f"algorithm '{name}' has no option 'momentum'"):
        module.solve(gramian, algorithm=name, momentum=0.9)


@pytest.mark.parametrize("room", ROOMS)
def test_an_unknown_algorithm_is_answered_by_the_nearest_name(room):
    module = ROOMS[room]
    name = module.ALGORITHMS[0]
    for call in (module.solve, module.solve_batch, module.trace):
        with pytest.raises(ValueError, match=f"unknown algorithm '{name}x': did you mean '{name}'"):
            call(gaussian(3), algorithm=name + "x", max_iterations=3)
    with pytest.raises(ValueError, match="unknown algorithm 7; valid: "):
        module.algorithm(7)


@pytest.mark.parametrize(("room", "name"), EVERY)
def test_a_batch_is_its_problems_one_by_one(room, name):
    module = ROOMS[room]
    stack = np.stack([gaussian(3, seed) for seed in range(3)])
    solutions = module.solve_batch(stack, algorithm=name, max_iterations=20)
    for gramian, solution in zip(stack, solutions, strict=True):
        alone = module.solve(gramian, algorithm=name, max_iterations=20)
        np.testing.assert_array_equal(solution.weights, alone.weights)
        assert solution[1:] == alone[1:]
    stack[1, 0, 0] = np.nan
    with pytest.raises(solvers.InvalidGramian, match=r"Gramian 1 of the batch: entry \(0, 0\)"):
        module.solve_batch(stack, algorithm=name, max_iterations=20)


def test_a_new_file_is_found_without_registration(tmp_path, monkeypatch):
    room = tmp_path / "a_room_of_mine"
    room.mkdir()
    (room / "__init__.py").write_text("")
    (room / "helper.py").write_text("x = 1\n")
    (room / "newest.py").write_text(
        "from mtlbench.solvers.algorithm import Algorithm\n"
        "ALGORITHM = Algorithm('newest', 'mine', True, {}, direct=lambda g, n: (None, 0))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    found = discover("a_room_of_mine", [str(room)])
    assert list(found) == ["newest"]
    assert isinstance(found["newest"], Algorithm)
    (room / "wrong.py").write_text((room / "newest.py").read_text())
    with pytest.raises(ImportError, match="names its algorithm 'newest': name it 'wrong'"):
        discover("a_room_of_mine", [str(room)])


def test_the_room_holds_the_algorithms_of_the_project():
    assert set(SHIPPED) <= set(MIN_NORM)
