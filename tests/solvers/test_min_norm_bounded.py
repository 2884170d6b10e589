"""Lower bounds on the weights: the reduction, its certificate, its scale, and what the literature solves instead."""

from __future__ import annotations

import cvxpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlbench.referee.families import FAMILIES, draw
from mtlbench.solvers import InvalidGramian, min_norm

EPS = 2.0**-52
FINITE = ("active_set", "exact")
OPPOSED = np.array([[1.0, -1.0], [-1.0, 1.0]])


def rows(size: int, dimension: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, size]).standard_normal((size, dimension))


def gram(j: np.ndarray) -> np.ndarray:
    product = j @ j.T
    return (product + product.T) / 2


def by_cvxpy(j: np.ndarray, lower: np.ndarray, add: np.ndarray | float = 0.0) -> np.ndarray:
    """min ‖Jᵀ(w + add)‖² over w >= lower, Σ w = 1, as it stands: no Gramian, no reduction."""
    w = cvxpy.Variable(len(j))
    cost = cvxpy.sum_squares(j.T @ (w + add))
    problem = cvxpy.Problem(cvxpy.Minimize(cost), [w >= lower, cvxpy.sum(w) == 1])
    problem.solve(solver=cvxpy.CLARABEL, tol_gap_abs=1e-13, tol_gap_rel=1e-13, tol_feas=1e-13)
    return w.value


def drawn_bounds(size: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng([seed, size])
    return rng.uniform(0.0, 1.0) * rng.dirichlet(np.ones(size))


# ---- the optimum ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FINITE)
@pytest.mark.parametrize("size", [2, 3, 6, 12])
def test_it_is_the_quadratic_program_that_it_says(name, size):
    for seed in range(4):
        j, c = rows(size, size + 2, seed), drawn_bounds(size, seed)
        solution = min_norm.solve_bounded(gram(j), c, name)
        expected = by_cvxpy(j, c)
        assert solution.converged
        np.testing.assert_allclose(j.T @ solution.weights, j.T @ expected, atol=1e-5)
        value = 0.5 * np.sum((j.T @ expected) ** 2)
        assert min_norm.objective(gram(j), solution.weights) <= value * (1 + 1e-9)


@pytest.mark.parametrize("name", min_norm.ALGORITHMS)
def test_every_algorithm_solves_it_and_no_weight_falls_below_its_bound(name):
    j, c = rows(5, 9), np.array([0.1, 0.0, 0.3, 0.05, 0.0])
    best = min_norm.solve_bounded(gram(j), c)
    solution = min_norm.solve_bounded(gram(j), c, name, tolerance=1e-3, max_iterations=20_000)
    assert solution.converged
    assert (solution.weights >= c).all()
    assert abs(solution.weights.sum() - 1) <= 4 * EPS
    assert np.sum((j.T @ (solution.weights - best.weights)) ** 2) <= solution.gap + best.gap
    hurried = min_norm.solve_bounded(gram(j), c, name, max_iterations=1)
    assert hurried.iterations <= 1
    assert (hurried.weights >= c).all()
    assert hurried.gap == min_norm.certificate_bounded(gram(j), hurried.weights, c)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", FINITE)
def test_the_default_tolerance_is_met_on_every_family(name, family):
    for size in (1, 2, 3, 8, 32):
        gramian = draw(family, size)
        for c in (drawn_bounds(size, 1), np.full(size, (1 - 1e-9) / size), np.eye(size)[size // 2] * 0.9):
            solution = min_norm.solve_bounded(gramian, c, name)
            assert solution.converged
            assert solution.gap <= min_norm.tolerated_gap_bounded(gramian, c)


@pytest.mark.parametrize("name", min_norm.ALGORITHMS)
@pytest.mark.parametrize("family", FAMILIES)
def test_bounds_of_zero_are_the_plain_problem(name, family):
    for size in (1, 2, 5):
        gramian = draw(family, size)
        plain = min_norm.solve(gramian, name, max_iterations=30)
        bounded = min_norm.solve_bounded(gramian, np.zeros(size), name, max_iterations=30)
        np.testing.assert_array_equal(bounded.weights, plain.weights)
        assert bounded[2:] == plain[2:]
        # Both gaps are sums beyond float64, of different terms.
        assert bounded.gap == pytest.approx(plain.gap, abs=1e-17 * size * gramian.max())
        assert min_norm.tolerated_gap_bounded(gramian, np.zeros(size)) == min_norm.tolerated_gap(gramian)


@pytest.mark.parametrize("name", min_norm.ALGORITHMS)
def test_bounds_that_sum_to_one_leave_no_choice(name):
    for c in ([0.25, 0.5, 0.25], [0.0, 0.0, 1.0], [0.7, 0.2, 0.1]):
        solution = min_norm.solve_bounded(gram(rows(3, 4)), c, name)
        np.testing.assert_array_equal(solution.weights, c)
        assert solution[1:4] == (0.0, 0, True)
    tenths = [0.1] * 10  # their sum is not exactly 1, and needs not be
    np.testing.assert_array_equal(min_norm.solve_bounded(gram(rows(10, 12)), tenths, name).weights, tenths)


def test_an_inactive_bound_changes_nothing():
    gramian = gram(rows(4, 9))
    plain = min_norm.solve(gramian).weights
    assert plain.min() > 0
    bounded = min_norm.solve_bounded(gramian, 0.9 * plain).weights
    np.testing.assert_allclose(bounded, plain, rtol=1e-9)


# ---- certificate and scale ------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 7), st.integers(0, 10**6), st.floats(0, 1))
def test_any_admissible_weights_are_certified(size, seed, total):
    rng = np.random.default_rng(seed)
    j = rng.standard_normal((size, rng.integers(1, size + 3)))
    c = total * rng.dirichlet(np.ones(size))
    w = c + (1 - c.sum()) * rng.dirichlet(np.ones(size))
    best = min_norm.solve_bounded(gram(j), c)
    gap = min_norm.certificate_bounded(gram(j), w / w.sum(), c)
    rounding = 32 * size * EPS * gram(j).max()
    apart = np.sum((j.T @ (w - best.weights)) ** 2)
    error = min_norm.objective(gram(j), w / w.sum()) - min_norm.objective(gram(j), best.weights)
    assert best.converged
    assert apart <= gap + best.gap + rounding
    assert -best.gap - rounding <= error <= gap - apart / 2 + best.gap + rounding


def test_the_certificate_is_that_of_the_corners_in_the_plain_problem():
    j, c = rows(4, 6), np.array([0.1, 0.2, 0.0, 0.3])
    v = np.array([0.4, 0.1, 0.3, 0.2])
    w = c + 0.4 * v
    corners = 0.4 * j + c @ j
    gap = min_norm.certificate_bounded(gram(j), w, c)
    assert gap == pytest.approx(min_norm.certificate(gram(corners), v), rel=1e-12)
    # The plain gap of the same weights is another number: it would call the optimum wrong.
    best = min_norm.solve_bounded(gram(j), c)
    assert best.converged
    assert min_norm.certificate(gram(j), best.weights) > 1e6 * min_norm.tolerated_gap(gram(j))


def test_the_tolerance_has_the_scale_of_the_corners():
    # Weight 0.5 is tied to a long gradient: 1e-11 of the short one's square is below the rounding of wᵀGw.
    gramian, c = np.diag([1.0, 1e12]), np.array([0.0, 0.5])
    assert min_norm.tolerated_gap_bounded(gramian, c) == pytest.approx(1e-11 * (0.25 * 1e12 + 0.25), rel=1e-3)
    assert min_norm.solve_bounded(gramian, c).converged


@pytest.mark.parametrize("name", min_norm.ALGORITHMS)
def test_weights_depend_neither_on_the_scale_nor_on_the_order(name):
    gramian, c = gram(rows(5, 8)), np.array([0.0, 0.2, 0.1, 0.0, 0.25])
    solution = min_norm.solve_bounded(gramian, c, name, max_iterations=40)
    for power in (-600, -7, 1, 600):
        scaled = min_norm.solve_bounded(np.ldexp(gramian, power), c, name, max_iterations=40)
        np.testing.assert_array_equal(scaled.weights, solution.weights)
        assert scaled.gap == np.ldexp(solution.gap, power)
        assert scaled[2:] == solution[2:]
    for scale in (1e-200, 1e200):
        scaled = min_norm.solve_bounded(scale * gramian, c, name, max_iterations=40)
        np.testing.assert_allclose(scaled.weights, solution.weights, atol=1e-8)
    order = np.array([3, 0, 4, 2, 1])
    permuted = min_norm.solve_bounded(gramian[np.ix_(order, order)], c[order], name, max_iterations=40)
    np.testing.assert_allclose(permuted.weights, solution.weights[order], atol=1e-7)


# ---- corners that vanish, and zero rows -----------------------------------------------------------------------


@pytest.mark.parametrize("name", min_norm.ALGORITHMS)
def test_a_zero_row_is_answered_within_the_bounds(name):
    gramian = gram(rows(3, 5))
    gramian[1] = gramian[:, 1] = 0.0
    c = np.array([0.3, 0.0, 0.1])
    best = by_cvxpy(np.vstack([rows(3, 5)[0], np.zeros(5), rows(3, 5)[2]]), c)
    solution = min_norm.solve_bounded(gramian, c, name, max_iterations=500)
    # The plain policy would answer (0, 1, 0), which is not admissible.
    assert solution.converged or min_norm.algorithm(name).iterative
    assert (solution.weights >= c).all()
    assert min_norm.objective(gramian, solution.weights) <= min_norm.objective(gramian, best) + solution.gap + 1e-12


def test_a_zero_row_is_not_the_answer_where_another_task_opposes_the_bound():
    # g = (1, 0), (0, 0), (−1, 0) and w_1 >= 0.4: weight 0.4 belongs on the third task, not on the zero one.
    gramian = np.array([[1.0, 0.0, -1.0], [0.0, 0.0, 0.0], [-1.0, 0.0, 1.0]])
    for name in FINITE:
        solution = min_norm.solve_bounded(gramian, [0.4, 0.0, 0.0], name)
        assert solution.converged
        assert solution.weights[2] >= 0.4 - 1e-7
        assert min_norm.objective(gramian, solution.weights) <= 1e-15
    assert min_norm.certificate_bounded(gramian, [0.4, 0.6, 0.0], [0.4, 0.0, 0.0]) > 0.1


@pytest.mark.parametrize("name", min_norm.ALGORITHMS)
def test_a_corner_that_cancels_is_answered_exactly_though_no_gradient_is_zero(name):
    solution = min_norm.solve_bounded(OPPOSED, [0.5, 0.0], name)
    np.testing.assert_array_equal(solution.weights, [0.5, 0.5])
    assert solution[1:] == (0.0, 0, True, True)
    # −¼ g_1 cancels 0.2 g_1 with weight 0.8, but for rounding: still the corner, certified.
    g = rows(1, 7)[0]
    j = np.stack([g, -0.25 * g, rows(1, 7, 1)[0]])
    solution = min_norm.solve_bounded(gram(j), [0.2, 0.0, 0.0], name)
    np.testing.assert_allclose(solution.weights, [0.2, 0.8, 0.0], atol=1e-8)
    assert solution.converged


@pytest.mark.parametrize("name", FINITE)
def test_a_corner_that_is_short_but_not_zero_is_not_mistaken_for_the_answer(name):
    # g_2 = −(1 + 2δ) g_1, exact in float64: 0 is in the hull, and the corner ½ g_1 + ½ g_2 = −δ g_1 near it.
    delta = 2.0**-26
    a = 1 + 2 * delta
    gramian, c = np.array([[1.0, -a], [-a, a * a]]), [0.5, 0.0]
    corner = min_norm.certificate_bounded(gramian, [0.5, 0.5], c)
    assert corner > 1e4 * min_norm.tolerated_gap_bounded(gramian, c)
    solution = min_norm.solve_bounded(gramian, c, name)
    assert solution.converged
    assert solution.weights[1] < 0.5
    np.testing.assert_allclose(solution.weights[1], 1 / (1 + a), rtol=1e-14)


def test_the_zero_gramian_and_a_single_task_have_their_answers():
    assert min_norm.solve_bounded([[7.0]], [0.3]).weights.tolist() == [1.0]
    solution = min_norm.solve_bounded(np.zeros((3, 3)), [0.0, 0.25, 0.25])
    np.testing.assert_array_equal(solution.weights, [0.5, 0.25, 0.25])
    assert solution[1:] == (0.0, 0, True, True)


def test_bounds_can_force_a_conflict_and_the_solution_says_so():
    gramian = np.array([[1.0, -1.0], [-1.0, 4.0]])
    assert min_norm.solve(gramian).non_conflicting
    solution = min_norm.solve_bounded(gramian, [0.0, 0.9])
    assert (gramian @ solution.weights).min() < 0
    assert not solution.non_conflicting


# ---- the methods behind it ------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [1e-3, 0.3, 1.0, 20.0])
def test_a_preference_added_to_the_weights_is_a_lower_bound(strength):
    # SDMGrad: min over the simplex of ‖Jᵀ(w + λp)‖², direction Jᵀ(w + λp)/(1 + λ).
    for size in (2, 4, 7):
        j, p = rows(size, size + 3), np.random.default_rng(size).dirichlet(np.ones(size))
        w = by_cvxpy(j, np.zeros(size), strength * p)
        direction = j.T @ (w + strength * p) / (1 + strength)
        bounded = min_norm.solve_bounded(gram(j), strength * p / (1 + strength))
        assert bounded.converged
        np.testing.assert_allclose(j.T @ bounded.weights, direction, atol=1e-5)


def relaxed_then_projected(gramian: np.ndarray, c: np.ndarray) -> np.ndarray:
    """The published PE-LTR step: w = c + v with w >= c dropped, then v projected onto {v >= 0, Σ v = 1 − Σ c}."""
    size = len(c)
    matrix = np.block([[gramian, np.ones((size, 1))], [np.ones((1, size)), np.zeros((1, 1))]])
    v = np.linalg.solve(matrix, np.append(-gramian @ c, 1 - c.sum()))[:size]
    descending = np.sort(v)[::-1]
    thresholds = (np.cumsum(descending) - (1 - c.sum())) / np.arange(1, size + 1)
    return c + np.maximum(v - thresholds[descending > thresholds][-1], 0.0)


def test_relaxing_the_bounds_and_projecting_afterwards_is_not_the_optimum():
    gramian, c = gram(np.array([[-2.0, -3.0, 1.0], [3.0, 2.0, -2.0], [-3.0, -3.0, 2.0]])), np.full(3, 0.1)
    published = relaxed_then_projected(gramian, c)
    assert (published >= c).all()
    assert published.sum() == pytest.approx(1)
    optimum = min_norm.solve_bounded(gramian, c)
    assert optimum.converged
    assert min_norm.objective(gramian, published) > 14 * min_norm.objective(gramian, optimum.weights)
    assert min_norm.certificate_bounded(gramian, published, c) > 1e6 * min_norm.tolerated_gap_bounded(gramian, c)
    # Where no bound is active the two are one.
    easy = np.eye(3) + 0.1
    np.testing.assert_allclose(relaxed_then_projected(easy, c), min_norm.solve_bounded(easy, c).weights, rtol=1e-12)


# ---- wrong arguments ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lower", "words"),
    [
        ([-0.1, 0.2, 0.0], "lower must hold numbers >= 0, got -0.1 for task 0"),
        ([0.1, float("nan"), 0.0], "lower must hold numbers >= 0, got nan for task 1"),
        ([0.1, float("inf"), 0.0], "lower must sum to at most 1, as the weights sum to 1, got the sum inf"),
        ([0.5, 0.5, 0.1], "lower must sum to at most 1, as the weights sum to 1, got the sum 1.1"),
        ([0.1, 0.1], r"lower must hold one number for each of 3 tasks, got the shape \(2,\)"),
        (0.1, r"lower must hold one number for each of 3 tasks, got the shape \(\)"),
        ("many", "lower must hold one number for each of 3 tasks, got 'many'"),
        (None, "lower must hold"),
    ],
)
def test_wrong_bounds_get_a_sentence(lower, words):
    gramian = gram(rows(3, 5))
    for call in (
        lambda: min_norm.solve_bounded(gramian, lower),
        lambda: min_norm.certificate_bounded(gramian, np.full(3, 1 / 3), lower),
        lambda: min_norm.tolerated_gap_bounded(gramian, lower),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_other_wrong_arguments_get_the_sentences_of_the_room():
    gramian, c = gram(rows(3, 5)), np.array([0.2, 0.0, 0.0])
    with pytest.raises(InvalidGramian, match=r"entry \(0, 0\)"):
        min_norm.solve_bounded(-gramian, c)
    with pytest.raises(ValueError, match="unknown algorithm 'active'"):
        min_norm.solve_bounded(gramian, c, "active")
    with pytest.raises(ValueError, match="tolerance must be"):
        min_norm.solve_bounded(gramian, c, tolerance=-1.0)
    with pytest.raises(ValueError, match="max_iterations must be"):
        min_norm.solve_bounded(gramian, c, max_iterations=0)
    with pytest.raises(ValueError, match="no option 'momentum'"):
        min_norm.solve_bounded(gramian, c, momentum=1)
    with pytest.raises(ValueError, match=r"weights must not be below lower: weight 0 is 0\.1, its lower bound 0\.2"):
        min_norm.certificate_bounded(gramian, [0.1, 0.4, 0.5], c)
    before = gramian.copy(), c.copy()
    min_norm.solve_bounded(gramian, c)
    np.testing.assert_array_equal(gramian, before[0])
    np.testing.assert_array_equal(c, before[1])
