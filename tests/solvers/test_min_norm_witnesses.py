"""Small problems whose answer is known by hand, and the equations that each algorithm stands for."""

from __future__ import annotations

from itertools import pairwise
from math import log

import numpy as np
import pytest

from mtlbench.solvers import min_norm
from mtlbench.solvers.min_norm import accelerated, exponentiated_gradient, smooth_min_entropic

EPS = 2.0**-52


def rows(size: int, dimension: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, size]).standard_normal((size, dimension))


def test_unit_gradients_conflict_for_three_tasks_where_min_norm_does_not():
    angles = np.deg2rad([0.0, 150.0, 150.0])
    j = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert (j @ j.sum(axis=0)).min() == pytest.approx(1 + 2 * np.cos(angles[1]))
    assert (j @ j.sum(axis=0)).min() < -0.73
    solution = min_norm.solve(j @ j.T)
    smallest = (j @ (j.T @ solution.weights)).min()
    assert smallest == pytest.approx((1 + np.cos(angles[1])) / 2)
    assert solution.non_conflicting
    assert solution.weights[1] + solution.weights[2] == pytest.approx(0.5)


def test_weights_from_the_representation_can_ascend_for_a_task():
    z = np.array([[1, 1], [1, -1]])
    encoder = np.array([[1, 0], [-2, 1]])
    g = z @ encoder
    np.testing.assert_array_equal(g, [[-1, 1], [3, -1]])
    bound = min_norm.solve(z @ z.T).weights
    np.testing.assert_allclose(bound, [0.5, 0.5], rtol=1e-15)
    np.testing.assert_allclose(g @ (g.T @ bound), [-1, 3], rtol=1e-15)
    assert not min_norm.certificate(g @ g.T, bound) <= 2 * min_norm.objective(g @ g.T, bound)
    exact = min_norm.solve(g @ g.T).weights
    np.testing.assert_allclose(exact, [0.7, 0.3], rtol=1e-15)
    np.testing.assert_allclose(g @ (g.T @ exact), [0.2, 0.2], rtol=1e-14)


def test_orthogonal_gradients_are_weighted_by_their_inverse_squares():
    squares = np.array([1.0, 4.0, 25.0, 1e6])
    expected = (1 / squares) / (1 / squares).sum()
    for name in ("active_set", "exact", "smooth_min_entropic"):
        np.testing.assert_allclose(min_norm.solve(np.diag(squares), name).weights, expected, rtol=1e-9)
    np.testing.assert_allclose(min_norm.solve(np.diag(squares)).weights, expected, rtol=4 * EPS)


def test_the_products_of_the_support_are_equal_and_no_other_is_smaller():
    j = rows(9, 12, seed=5)
    weights = min_norm.solve(j @ j.T).weights
    products = j @ (j.T @ weights)
    square = np.sum((j.T @ weights) ** 2)
    assert 1 < np.count_nonzero(weights) < 9
    np.testing.assert_allclose(products[weights > 0], square, rtol=1e-12)
    assert (products[weights == 0] > square).all()


def test_averaging_is_frank_wolfe_with_the_step_one_over_k_plus_one():
    j = rows(6, 12)
    u = j.mean(axis=0)
    w = np.full(6, 1 / 6)
    steps = min_norm.trace(j @ j.T, "smooth_min", 60)
    for k, weights, objective, _, _ in steps:
        np.testing.assert_allclose(weights, w, atol=1e-14)
        np.testing.assert_allclose(j.T @ weights, u, atol=1e-12)
        assert objective == pytest.approx(0.5 * u @ u)
        # u ← (k u + g_τ)/(k + 1), and the same in weights as w + γ (e_τ − w) with γ = 1/(k + 1).
        worst = int(np.argmin(j @ u))
        u = (k * u + j[worst]) / (k + 1)
        w = w + (np.eye(6)[worst] - w) / (k + 1)


def test_following_the_smallest_product_alone_oscillates_and_averaging_does_not():
    gramian = np.array([[1.0, -0.5], [-0.5, 1.0]])
    tasks, w = [], np.full(2, 0.5)
    for _ in range(10):
        tasks.append(int(np.argmin(gramian @ w)))
        w = np.eye(2)[tasks[-1]]
    assert tasks == [0, 1] * 5
    *_, (_, averaged, *_) = min_norm.trace(gramian, "smooth_min", 10)
    np.testing.assert_allclose(averaged, [0.5, 0.5])


def test_the_line_search_of_frank_wolfe_cannot_be_improved():
    j = rows(7, 14, seed=2)
    gramian = j @ j.T
    steps = list(min_norm.trace(gramian, "frank_wolfe", 30))
    for (_, before, *_), (_, after, objective, *_) in pairwise(steps):
        towards = np.eye(7)[np.argmin(gramian @ before)]
        for length in np.linspace(0, 1, 21):
            other = (1 - length) * before + length * towards
            assert objective <= min_norm.objective(gramian, other / other.sum()) + 1e-12
        assert after.sum() == pytest.approx(1)


def test_frank_wolfe_solves_two_tasks_in_one_line_search():
    gramian = np.array([[1.0, -0.3], [-0.3, 5.0]])
    *_, (_, weights, _, gap, _) = min_norm.trace(gramian, "frank_wolfe", 1)
    np.testing.assert_allclose(weights, min_norm.solve(gramian).weights, rtol=1e-14)
    assert gap < 1e-14


def test_away_and_pairwise_steps_end_the_zigzag_of_frank_wolfe():
    j = rows(10, 14)
    gap = {}
    for name in ("frank_wolfe", "frank_wolfe_away", "frank_wolfe_pairwise"):
        gap[name] = [entry[3] / (j @ j.T).diagonal().min() for entry in min_norm.trace(j @ j.T, name, 200)]
    assert min(gap["frank_wolfe"]) > 1e-5
    for name in ("frank_wolfe_away", "frank_wolfe_pairwise"):
        assert gap[name][-1] < 1e-9
        # Linear: as many digits in each half of the steps.
        digits = -np.log10(gap[name][20::90][:3])
        assert (np.diff(digits) > 2).all()


@pytest.mark.parametrize("name", ["frank_wolfe_away", "frank_wolfe_pairwise"])
def test_steps_that_end_at_their_limit_leave_exact_zeros(name):
    j = rows(9, 12, seed=13)
    best = min_norm.solve(j @ j.T).weights
    traced = [weights for _, weights, *_ in min_norm.trace(j @ j.T, name, 200)]
    # Some task came and went, and in the end the support is that of the optimum, to the bit.
    assert any(((before > 0) & (after == 0)).any() for before, after in pairwise(traced))
    np.testing.assert_array_equal(traced[-1] > 0, best > 0)
    np.testing.assert_allclose(traced[-1], best, atol=1e-6)


def test_an_away_step_is_taken_where_it_is_steeper_and_cannot_be_improved():
    gramian = rows(7, 10) @ rows(7, 10).T
    away = 0
    for (_, w, *_), (_, after, objective, *_) in pairwise(min_norm.trace(gramian, "frank_wolfe_away", 30)):
        products = gramian @ w
        s, a = int(products.argmin()), int(np.where(w > 0, products, -np.inf).argmax())
        steeper = products[a] - w @ products > w @ products - products[s]
        away += steeper
        direction = w - np.eye(7)[a] if steeper else np.eye(7)[s] - w
        longest = w[a] / (1 - w[a]) if steeper else 1.0
        for length in np.linspace(0, longest, 21):
            other = np.maximum(w + length * direction, 0.0)
            assert objective <= min_norm.objective(gramian, other / other.sum()) + 1e-12
        moved = after - w
        np.testing.assert_allclose(moved, (moved @ direction) / (direction @ direction) * direction, atol=1e-12)
    assert away > 3


def test_a_pairwise_step_moves_two_weights_and_makes_their_products_equal():
    gramian = rows(7, 10) @ rows(7, 10).T
    equal = 0
    for (_, w, *_), (_, after, *_) in pairwise(min_norm.trace(gramian, "frank_wolfe_pairwise", 30)):
        moved = np.flatnonzero(np.abs(after - w) > 1e-14)
        assert len(moved) == 2
        products = gramian @ after
        if after[moved].min() > 0:
            assert products[moved[0]] == pytest.approx(products[moved[1]], rel=1e-9)
            equal += 1
    assert equal > 10


def test_the_projection_of_the_accelerated_steps_is_the_nearest_point():
    rng = np.random.default_rng(0)
    for size in (1, 2, 5, 20):
        for _ in range(20):
            v = 10.0 ** rng.uniform(-3, 0, size)
            z = rng.standard_normal(size) * 10.0 ** rng.uniform(-2, 3)
            y = accelerated.projected(z, v)
            assert (y >= 0).all()
            assert v @ y == pytest.approx(1, rel=1e-12)
            # Optimal: (z − y) is θ v on the support and at most that elsewhere.
            theta = (z - y)[y > 0] / v[y > 0]
            assert np.ptp(theta) <= 1e-9 * np.abs(z / v).max()
            assert (z[y == 0] / v[y == 0] <= theta.max() + 1e-9 * np.abs(z / v).max()).all()
    # However far away z is.
    np.testing.assert_allclose(accelerated.projected(1e17 * np.array([1.0, 1.0]), np.ones(2)), [0.5, 0.5])


def test_accelerated_starts_at_the_solution_for_orthogonal_gradients_and_needs_no_step_there():
    squares = np.array([1.0, 4.0, 25.0, 1e6])
    solution = min_norm.solve(np.diag(squares), "accelerated")
    assert solution.iterations == 0
    np.testing.assert_allclose(solution.weights, (1 / squares) / (1 / squares).sum(), rtol=4 * EPS)


def test_accelerated_does_not_feel_unequal_norms_nor_what_all_gradients_share():
    j = rows(12, 30, seed=1)
    for other in (j * np.geomspace(1, 1e6, 12)[:, None], 1e4 * rows(1, 30, seed=2) + j):
        gramian = other @ other.T
        solution = min_norm.solve((gramian + gramian.T) / 2, "accelerated")
        assert solution.converged
        assert solution.iterations < 150


def test_momentum_gains_on_plain_projected_gradient_and_keeps_its_quadratic_bound_until_it_restarts():
    j = rows(24, 12, seed=3) + 1.0
    gramian = j @ j.T
    lowest = min_norm.objective(gramian, min_norm.solve(gramian).weights)
    v, curvature = accelerated.scaling(gramian)
    plain = accelerated.start(gramian, 0)
    for k in range(1, 61):
        plain = accelerated.step(gramian, plain._replace(momentum=1.0), gramian @ plain.weights, k)
    *_, (_, _, objective, *_) = min_norm.trace(gramian, "accelerated", 60)
    assert objective - lowest < 1e-3 * (min_norm.objective(gramian, plain.weights) - lowest)
    # 2A/(n + 1)² while t has not gone back, 2A/(k + 3) always.
    state, best = accelerated.start(gramian, 0), min_norm.solve(gramian).weights
    a = gramian.diagonal().min() * curvature * np.sum((state.y - best / v) ** 2)
    run = restarts = 0
    for k in range(1, 200):
        following = accelerated.step(gramian, state, gramian @ state.weights, k)
        if following is state:
            break
        started = following.momentum <= state.momentum
        restarts += started
        run = 1 if started else run + 1
        error = min_norm.objective(gramian, following.weights) - lowest
        assert error <= 2 * a / (run + 1) ** 2 + 1e-14
        assert error <= 2 * a / (k + 3) + 1e-14
        state = following
    assert restarts > 2


def test_softmax_beta_descends_along_the_gradient_of_f():
    j = rows(5, 7)
    gramian = j @ j.T

    def f(beta):
        w = np.exp(beta) / np.exp(beta).sum()
        return 0.5 * w @ gramian @ w

    size = 0.01
    steps = list(min_norm.trace(gramian, "softmax_beta", 4, step_size=size))
    beta = np.zeros(5)
    for _, weights, objective, *_ in steps:
        np.testing.assert_allclose(weights, np.exp(beta) / np.exp(beta).sum(), rtol=1e-7)
        assert objective == pytest.approx(f(beta))
        h = 1e-6
        gradient = [(f(beta + h * e) - f(beta - h * e)) / (2 * h) for e in np.eye(5)]
        formula = weights * (gramian @ weights - weights @ gramian @ weights)
        np.testing.assert_allclose(gradient, formula, atol=1e-7)
        beta = beta - size * np.array(gradient)


def test_the_step_of_softmax_beta_has_the_unit_of_the_gramian():
    gramian = np.array([[2.0, 0.3, 0.1], [0.3, 1.0, 0.0], [0.1, 0.0, 3.0]])
    first = min_norm.solve(gramian, "softmax_beta", max_iterations=9, step_size=0.05)
    second = min_norm.solve(1e80 * gramian, "softmax_beta", max_iterations=9, step_size=0.05e-80)
    np.testing.assert_allclose(first.weights, second.weights, rtol=1e-12)
    for wrong in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="step_size must be a positive number"):
            min_norm.solve(gramian, "softmax_beta", step_size=wrong)


def test_a_vanishing_weight_decays_fast_under_exponentiated_gradient_and_like_one_over_t_under_softmax_beta():
    gramian = np.array([[1.0, 0.0, 1.2], [0.0, 1.0, 1.2], [1.2, 1.2, 4.0]])
    assert min_norm.solve(gramian).weights[2] == 0
    last = {}
    for name in ("exponentiated_gradient", "softmax_beta"):
        last[name] = {step[0]: step[1][2] for step in min_norm.trace(gramian, name, 2000)}
    assert last["exponentiated_gradient"][500] < 1e-30
    assert last["softmax_beta"][2000] > 1e-4
    assert last["softmax_beta"][1000] / last["softmax_beta"][2000] == pytest.approx(2, rel=0.1)


def test_exponentiated_gradient_is_the_multiplicative_update():
    gramian = rows(4, 6) @ rows(4, 6).T
    w = np.full(4, 0.25)
    for _, weights, *_ in min_norm.trace(gramian, "exponentiated_gradient", 20):
        np.testing.assert_allclose(weights, w, rtol=1e-11)
        w = w * np.exp(-gramian @ w / gramian.max())
        w = w / w.sum()


def test_an_underflown_weight_of_exponentiated_gradient_can_come_back():
    gramian = np.eye(2)
    state = exponentiated_gradient.State(np.array([1.0, 0.0]), np.array([0.0, -800.0]), 1.0)
    for iteration in range(1, 1000):
        state = exponentiated_gradient.step(gramian, state, gramian @ state.weights, iteration)
    np.testing.assert_allclose(state.weights, [0.5, 0.5])


@pytest.mark.parametrize("smoothing", [0.01, 1.0, 30.0, 1e3, 1e6])
@pytest.mark.parametrize("size", [2, 3, 8, 24])
def test_the_smoothed_problem_is_solved_at_any_lambda(size, smoothing):
    gramian = rows(size, 2 * size) @ rows(size, 2 * size).T
    gramian /= gramian.max()
    solution = min_norm.solve(gramian, "smooth_min_entropic", smoothing=smoothing)
    logits = -smoothing * (gramian @ solution.weights)
    fixed = np.exp(logits - logits.max())
    np.testing.assert_allclose(solution.weights, fixed / fixed.sum(), atol=1e-5)
    residual = smooth_min_entropic.residual(gramian, solution.weights, smoothing)
    assert residual <= 1e-11
    assert solution.iterations < 100
    bias = min_norm.objective(gramian, solution.weights) - min_norm.objective(gramian, min_norm.solve(gramian).weights)
    bound = min_norm.algorithm("smooth_min_entropic").bound(gramian, 0, smoothing=smoothing)
    assert bound == log(size) / smoothing
    assert -1e-15 <= bias <= bound
    assert solution.gap <= bound + residual / smoothing + 1e-12
    assert solution.converged is (solution.gap <= min_norm.tolerated_gap(gramian))


def test_without_damping_the_smoothed_fixed_point_cycles_at_large_lambda():
    gramian = np.array([[1.0, -0.5], [-0.5, 2.0]])
    smoothing = 50.0
    w, seen = np.array([0.5, 0.5]), []
    for _ in range(50):
        w = np.exp(-smoothing * (gramian @ w - (gramian @ w).min()))
        w = w / w.sum()
        seen.append(w)
    assert np.abs(seen[-1] - seen[-2]).max() > 0.9
    solution = min_norm.solve(gramian, "smooth_min_entropic", smoothing=smoothing)
    assert smooth_min_entropic.residual(gramian, solution.weights, smoothing) <= 1e-11
    assert not solution.converged
    assert smooth_min_entropic.residual(gramian, seen[-1], smoothing) > 1


def test_two_tasks_with_smoothing_are_the_smoothed_problem_not_the_closed_form():
    gramian = np.diag([1.0, 4.0])
    solution = min_norm.solve(gramian, "smooth_min_entropic", smoothing=2.0)
    assert abs(solution.weights[0] - 0.8) > 0.01
    assert log(solution.weights[0] / solution.weights[1]) == pytest.approx(
        -2.0 * (solution.weights[0] - 4 * solution.weights[1]), abs=1e-5
    )


def test_smoothing_has_the_unit_of_the_gramian():
    gramian = rows(5, 9) @ rows(5, 9).T
    first = min_norm.solve(gramian, "smooth_min_entropic", smoothing=3.0)
    for scale in (1e-190, 1e190):
        other = min_norm.solve(scale * gramian, "smooth_min_entropic", smoothing=3.0 / scale)
        np.testing.assert_allclose(other.weights, first.weights, rtol=1e-6)
    for wrong in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="smoothing must be a positive number"):
            min_norm.solve(gramian, "smooth_min_entropic", smoothing=wrong)


def test_a_vertex_start_with_the_usual_stopping_rule_would_conflict_and_the_certificate_says_so():
    # Centred gradients plus a small common part: near stationarity, the plain mean is fine, a vertex is not.
    j = rows(10, 50)
    j = j - j.mean(axis=0) + 0.1 * rows(1, 50, seed=9) / 7
    gramian = j @ j.T
    cheapest = np.eye(10)[np.argmin(gramian.diagonal())]
    assert min_norm.certificate(gramian, cheapest) > 2 * min_norm.objective(gramian, cheapest)
    assert not min_norm.solve(gramian, "frank_wolfe", max_iterations=1).non_conflicting
    assert min_norm.solve(gramian).non_conflicting
