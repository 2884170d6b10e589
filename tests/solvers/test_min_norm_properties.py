"""Properties of min-norm solutions over Gramians of controlled rank, with zero, equal and very unequal rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mtlbench.solvers import InvalidGramian, min_norm

EPS = 2.0**-52
EXACT = ("active_set", "exact")


@st.composite
def gramians(draw, largest: int = 9, powers: int = 5) -> np.ndarray:
    """J Jᵀ of small integers (exact, rank chosen), rows scaled by powers of two up to 2^±``powers``."""
    size = draw(st.integers(1, largest))
    rank = draw(st.integers(1, size + 2))
    entries = st.integers(-3, 3)
    rows = draw(st.lists(st.lists(entries, min_size=rank, max_size=rank), min_size=size, max_size=size))
    exponents = draw(st.lists(st.integers(-powers, powers), min_size=size, max_size=size))
    scaled = np.array(rows, dtype=np.float64) * np.ldexp(1.0, exponents)[:, None]
    return scaled @ scaled.T


def rounding(gramian: np.ndarray) -> float:
    """What rounding of the weights can do to squared distances."""
    return 16 * len(gramian) * EPS * float(gramian.max())


def squared_distance(gramian: np.ndarray, weights: np.ndarray, others: np.ndarray) -> float:
    """‖u − u'‖², u = Jᵀw: weights need not be unique, the direction is."""
    difference = (weights.astype(np.longdouble) - others).astype(np.longdouble)
    return float(difference @ gramian.astype(np.longdouble) @ difference)


@settings(max_examples=150, deadline=None)
@given(gramians())
@example(np.ones((5, 5)))
@example(np.diag([1.0, 4.0**10, 4.0**-10]))
def test_the_default_converges_at_the_default_tolerance(gramian):
    solution = min_norm.solve(gramian)
    assert solution.converged
    assert min_norm.certificate(gramian, solution.weights) <= min_norm.tolerated_gap(gramian)


@settings(max_examples=60, deadline=None)
@given(gramians())
def test_active_set_and_exact_agree_on_direction_and_objective(gramian):
    first, second = (min_norm.solve(gramian, name) for name in EXACT)
    assert second.converged
    allowed = first.gap + second.gap + rounding(gramian)
    assert squared_distance(gramian, first.weights, second.weights) <= allowed
    difference = min_norm.objective(gramian, first.weights) - min_norm.objective(gramian, second.weights)
    assert abs(difference) <= allowed


@settings(max_examples=100, deadline=None)
@given(gramians(), st.randoms(use_true_random=False))
def test_the_direction_does_not_depend_on_the_order_of_the_tasks(gramian, random):
    order = list(range(len(gramian)))
    random.shuffle(order)
    solution = min_norm.solve(gramian)
    shuffled = min_norm.solve(gramian[np.ix_(order, order)])
    back = np.empty(len(order))
    back[order] = shuffled.weights
    allowed = solution.gap + shuffled.gap + rounding(gramian)
    assert squared_distance(gramian, solution.weights, back) <= allowed


@settings(max_examples=60, deadline=None)
@given(gramians(powers=3), st.sampled_from(min_norm.ALGORITHMS), st.integers(-640, 640))
def test_a_power_of_two_changes_no_bit_of_the_weights(gramian, name, power):
    solution = min_norm.solve(gramian, name, max_iterations=25)
    scaled = min_norm.solve(np.ldexp(gramian, power), name, max_iterations=25)
    np.testing.assert_array_equal(scaled.weights, solution.weights)
    assert scaled.converged == solution.converged


@settings(max_examples=100, deadline=None)
@given(gramians(), st.floats(-200, 200))
def test_the_default_is_as_good_at_any_scale(gramian, exponent):
    scaled = 10.0**exponent * gramian
    assert min_norm.solve(scaled).converged


@settings(max_examples=60, deadline=None)
@given(gramians(powers=3), st.sampled_from(min_norm.ALGORITHMS), st.integers(1, 60))
def test_the_certificate_bounds_error_and_distance_of_any_answer(gramian, name, limit):
    best = min_norm.solve(gramian)
    solution = min_norm.solve(gramian, name, max_iterations=limit)
    slack = best.gap + rounding(gramian)
    error = min_norm.objective(gramian, solution.weights) - min_norm.objective(gramian, best.weights)
    apart = squared_distance(gramian, solution.weights, best.weights)
    assert apart <= solution.gap + slack
    assert error <= solution.gap - apart / 2 + slack
    smallest = float((gramian.astype(np.longdouble) @ solution.weights).min())
    assert smallest >= 2 * min_norm.objective(gramian, solution.weights) - solution.gap - rounding(gramian)
    if smallest > rounding(gramian):
        assert solution.non_conflicting


@settings(max_examples=100, deadline=None)
@given(gramians(powers=3), st.randoms(use_true_random=False))
def test_any_weights_are_certified(gramian, random):
    raw = np.array([1e-3 + random.random() for _ in gramian])
    weights = raw / raw.sum()
    gap = min_norm.duality_gap(gramian, weights)
    products = gramian @ weights
    assert gap == pytest.approx(weights @ products - products.min(), abs=rounding(gramian))
    best = min_norm.solve(gramian).weights
    assert min_norm.objective(gramian, weights) >= min_norm.objective(gramian, best) - rounding(gramian)


@settings(max_examples=50, deadline=None)
@given(gramians(powers=3))
def test_a_copy_of_a_task_changes_nothing(gramian):
    twice = np.block([[gramian, gramian[:, :1]], [gramian[:1], gramian[:1, :1]]])
    solution, copied = min_norm.solve(gramian), min_norm.solve(twice)
    merged = copied.weights[:-1].copy()
    merged[0] += copied.weights[-1]
    allowed = solution.gap + copied.gap + rounding(gramian)
    assert squared_distance(gramian, solution.weights, merged) <= allowed


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=9, max_size=9))
def test_any_matrix_gets_an_answer_or_a_sentence(entries):
    matrix = np.array(entries).reshape(3, 3)
    with np.errstate(all="ignore"):
        candidates = (matrix, np.abs(matrix + matrix.T), np.outer(matrix[0], matrix[0]))
    for candidate in candidates:
        try:
            solution = min_norm.solve(candidate, max_iterations=100)
        except InvalidGramian:
            continue
        assert np.isfinite(solution.weights).all()
        assert solution.weights.sum() == pytest.approx(1)
