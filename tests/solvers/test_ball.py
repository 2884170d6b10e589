"""The room ball: CAGrad's inner problem, its certificate, its policies, and agreement with independent models."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlbench.referee.families import FAMILIES, draw
from mtlbench.solvers import InvalidGramian, ball, min_norm

RADII = (0.0, 0.1, 0.4, 0.5, 0.9, 1.0, 2.0)
FINITE = ("exact", "reduction")
EPS = 2.0**-52


def gram(rows: np.ndarray) -> np.ndarray:
    product = rows @ rows.T
    return (product + product.T) / 2


def normal_rows(size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, size]).standard_normal((size, 2 * size))


def best_of_the_primal(rows: np.ndarray, radius: float) -> float:
    """max_d min_i <g_i, d> over the ball, as it is written: no Gramian, no dual."""
    import cvxpy

    mean = rows.mean(axis=0)
    d, least = cvxpy.Variable(rows.shape[1]), cvxpy.Variable()
    inside = cvxpy.norm(d - mean) <= radius * np.linalg.norm(mean)
    model = cvxpy.Problem(cvxpy.Maximize(least), [rows @ d >= least, inside])
    return float(model.solve(solver=cvxpy.CLARABEL))


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_the_direction_is_the_best_of_the_ball(size, radius):
    for seed in range(3):
        rows = normal_rows(size, seed)
        gramian, mean = gram(rows), rows.mean(axis=0)
        solution = ball.solve(gramian, radius)
        assert solution.converged
        d = rows.T @ ball.direction_weights(gramian, solution.weights, radius)
        length = np.linalg.norm(mean)
        np.testing.assert_allclose(np.linalg.norm(d - mean), radius * length, atol=1e-12 * length)
        value = (rows @ d).min()
        np.testing.assert_allclose(value, best_of_the_primal(rows, radius), atol=1e-6 * length**2)
        np.testing.assert_allclose(value, ball.objective(gramian, solution.weights, radius), atol=1e-10 * length**2)


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("family", FAMILIES)
def test_reduction_and_exact_agree_on_the_families(family, radius):
    for size in (1, 2, 3, 5, 17, 32):
        gramian = draw(family, size, 5)
        ours, reference = ball.solve(gramian, radius), ball.solve(gramian, radius, "exact")
        assert ours.converged
        assert reference.converged
        square = gramian.mean()
        difference = ball.objective(gramian, ours.weights, radius) - ball.objective(gramian, reference.weights, radius)
        assert abs(difference) <= (ours.gap + reference.gap + 64 * EPS) * max(square, 0.0) + 1e-7 * EPS * gramian.max()


@pytest.mark.parametrize("name", FINITE)
@pytest.mark.parametrize("radius", [0.1, 0.4, 0.9, 1.0, 2.0])
def test_unequal_norms_are_solved(name, radius):
    for size in (2, 3, 6):
        rows = normal_rows(size)
        spread = rows * np.geomspace(1, 1e6, size)[:, None]
        assert ball.solve(gram(spread), radius, name).converged
        for factor in (1e-8, 1e-3, 1e3, 1e8):
            scaled = rows.copy()
            scaled[-1] *= factor
            assert ball.solve(gram(scaled), radius, name).converged


@pytest.mark.parametrize("name", FINITE)
def test_two_equally_long_gradients_share(name):
    solution = ball.solve([[1.0, 0.3], [0.3, 1.0]], 0.4, name)
    np.testing.assert_allclose(solution.weights, [0.5, 0.5], atol=1e-12)
    # u = g0, so d = (1 + c) g0.
    direction = ball.direction_weights([[1.0, 0.3], [0.3, 1.0]], solution.weights, 0.4)
    np.testing.assert_allclose(direction, [0.7, 0.7], rtol=1e-12)


@pytest.mark.parametrize("name", FINITE)
def test_opposed_gradients_have_the_closed_form(name):
    # In one dimension: g = (1, −1/2), g0 = 1/4, d in [0.15, 0.35]; the second task wants d small.
    gramian = [[1.0, -0.5], [-0.5, 0.25]]
    solution = ball.solve(gramian, 0.4, name)
    assert solution.converged
    assert not solution.non_conflicting
    np.testing.assert_allclose(solution.weights, [0.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(ball.objective(gramian, solution.weights, 0.4), -0.075, rtol=1e-12)
    # From radius 1 on the ball holds 0, and no d is better.
    solution = ball.solve(gramian, 1.5, name)
    assert solution.converged
    assert solution.non_conflicting
    assert abs(ball.objective(gramian, solution.weights, 1.5)) <= 1e-12


@pytest.mark.parametrize("radius", [0.0, 0.4, 0.999])
def test_below_radius_one_the_mean_loss_goes_down(radius):
    for seed in range(5):
        gramian = gram(normal_rows(4, seed))
        v = ball.direction_weights(gramian, ball.solve(gramian, radius).weights, radius)
        along, square = gramian.mean(axis=0) @ v, gramian.mean()
        assert along >= (1 - radius) * square - 1e-12


def test_from_radius_one_on_the_mean_loss_may_go_up():
    # The second task wants to go left, the mean of both points right.
    gramian = gram(np.array([[4.0, 0.1], [-1.0, 0.1]]))
    v = ball.direction_weights(gramian, ball.solve(gramian, 20.0).weights, 20.0)
    assert gramian.mean(axis=0) @ ball.direction_weights(gramian, [0.0, 1.0], 20.0) < 0
    assert ball.solve(gramian, 20.0).converged
    assert (gramian @ v).min() > 0


@pytest.mark.parametrize("name", ball.ALGORITHMS)
class TestPolicies:
    def test_radius_zero_is_the_mean_at_the_vertex_of_the_smallest_product(self, name):
        gramian = np.array([[4.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        solution = ball.solve(gramian, 0.0, name)
        np.testing.assert_array_equal(solution.weights, [0, 1, 0])
        assert solution[1:4] == (0.0, 0, True)
        np.testing.assert_allclose(ball.direction_weights(gramian, solution.weights, 0.0), np.full(3, 1 / 3))

    @pytest.mark.parametrize("radius", [0.4, 1.0, 3.0])
    def test_no_mean_gradient_means_no_direction(self, name, radius):
        rows = normal_rows(5)
        for case in (rows - rows.mean(axis=0), np.array([[1.0], [-1.0]]), np.zeros((3, 4))):
            solution = ball.solve(gram(case), radius, name)
            np.testing.assert_allclose(solution.weights, 1 / len(case))
            assert solution[1:] == (0.0, 0, True, True)
            np.testing.assert_array_equal(ball.direction_weights(gram(case), solution.weights, radius), 0.0)
            assert ball.objective(gram(case), solution.weights, radius) == 0

    def test_one_task_follows_its_gradient(self, name):
        solution = ball.solve([[3.0]], 0.4, name)
        assert solution.weights == [1.0]
        assert solution[1:] == (0.0, 0, True, True)
        np.testing.assert_allclose(ball.direction_weights([[3.0]], solution.weights), [1.4])

    def test_a_zero_row_takes_the_weight_and_leaves_the_direction_to_the_others(self, name):
        rows = normal_rows(4)
        padded = np.insert(rows, 2, 0.0, axis=0)
        alone = ball.solve(gram(rows), 0.4, name, max_iterations=500)
        assert ball.objective(gram(rows), alone.weights) > 0
        solution = ball.solve(gram(padded), 0.4, name, max_iterations=500)
        assert solution.converged
        assert solution.gap < 1e-15
        assert solution.weights[2] == 1.0
        np.testing.assert_array_equal(np.delete(solution.weights, 2), alone.weights * 2.0**-60)
        ours = ball.direction_weights(gram(padded), solution.weights)
        np.testing.assert_allclose(np.delete(ours, 2), 0.8 * ball.direction_weights(gram(rows), alone.weights))

    def test_a_zero_row_has_no_weight_beside_conflicting_tasks(self, name):
        gramian = gram(np.array([[1.0, 0.0], [-0.5, 0.0], [0.0, 0.0]]))
        solution = ball.solve(gramian, 0.4, name)
        assert solution.converged
        np.testing.assert_allclose(solution.weights, [0, 1, 0], atol=1e-9)

    def test_the_scale_does_not_matter(self, name):
        gramian = gram(normal_rows(4) * np.array([1, 3, 10, 0.1])[:, None])
        solution = ball.solve(gramian, 0.4, name, max_iterations=50)
        for power in (-660, 7, 660):
            scaled = ball.solve(np.ldexp(gramian, power), 0.4, name, max_iterations=50)
            np.testing.assert_array_equal(scaled.weights, solution.weights)
            assert scaled[1:] == solution[1:]
        for scale in (1e-200, 0.3, 1e200):
            scaled = ball.solve(scale * gramian, 0.4, name, max_iterations=50)
            np.testing.assert_allclose(scaled.weights, solution.weights, atol=1e-7)
            assert scaled.converged == solution.converged

    def test_permuting_the_tasks_permutes_the_weights(self, name):
        gramian = gram(normal_rows(6))
        order = np.random.default_rng(1).permutation(6)
        solution = ball.solve(gramian, 0.4, name, max_iterations=200)
        permuted = ball.solve(gramian[np.ix_(order, order)], 0.4, name, max_iterations=200)
        np.testing.assert_allclose(permuted.weights, solution.weights[order], atol=1e-7)

    def test_a_trace_speaks_of_the_whole_problem(self, name):
        gramian = gram(np.insert(normal_rows(3), 0, 0.0, axis=0))
        for _, weights, objective, gap, seconds in ball.trace(gramian, name, 5, radius=0.7):
            assert objective == ball.objective(gramian, weights, 0.7)
            assert gap == ball.certificate(gramian, weights, 0.7)
            assert seconds >= 0

    @pytest.mark.parametrize("radius", [-0.1, float("nan"), float("inf"), None, "0.4", True])
    def test_a_wrong_radius_gets_a_sentence(self, name, radius):
        gramian = gram(normal_rows(2))
        for call in (
            lambda: ball.solve(gramian, radius, name),
            lambda: ball.solve_batch([gramian], radius, name),
            lambda: ball.trace(gramian, name, 3, radius),
            lambda: ball.certificate(gramian, [0.5, 0.5], radius),
            lambda: ball.objective(gramian, [0.5, 0.5], radius),
            lambda: ball.direction_weights(gramian, [0.5, 0.5], radius),
            lambda: ball.tolerated_gap(gramian, 1e-9, radius),
        ):
            with pytest.raises(ValueError, match="radius must be a finite number >= 0"):
                call()


@pytest.mark.parametrize("radius", [0.4, 0.9, 1.0, 2.0])
def test_copies_of_a_task_have_one_direction(radius):
    rows = normal_rows(3)[[0, 1, 2, 0, 1, 2]]
    gramian = gram(rows)
    directions = [
        rows.T @ ball.direction_weights(gramian, ball.solve(gramian, radius, name).weights, radius) for name in FINITE
    ]
    np.testing.assert_allclose(directions[0], directions[1], atol=1e-7)


def test_an_opposed_pair_is_left_alone_and_the_third_task_helped():
    rows = np.array([[1.0, 0.0], [-1.0, 0.0], [0.1, 1.0]])
    gramian = gram(rows)
    solution = ball.solve(gramian, 0.4)
    assert solution.converged
    assert solution.non_conflicting
    d = rows.T @ ball.direction_weights(gramian, solution.weights, 0.4)
    np.testing.assert_allclose(d, [0.0, 1 / 3], atol=1e-12)
    # Outside the ball it is pulled back into it, and the gap says what that costs: <g_1, d> is not 0 any more.
    d = rows.T @ ball.direction_weights(gramian, [0.5, 0.5, 0.0], 0.05)
    np.testing.assert_allclose(np.linalg.norm(d - rows.mean(axis=0)), 0.05 * np.linalg.norm(rows.mean(axis=0)))
    assert ball.certificate(gramian, [0.5, 0.5, 0.0], 0.05) > 1e-3
    assert ball.solve(gramian, 0.05).converged


def test_where_zero_is_in_the_hull_a_ball_that_holds_zero_has_no_better_direction():
    gramian = draw("zero_in_hull", 6)
    solution = ball.solve(gramian, 1.5)
    assert solution.converged
    np.testing.assert_array_equal(ball.direction_weights(gramian, solution.weights, 1.5), 0.0)
    np.testing.assert_allclose(solution.weights, min_norm.solve(gramian).weights, atol=1e-9)
    below = ball.solve(gramian, 0.9)
    assert below.converged
    assert ball.objective(gramian, below.weights, 0.9) < 0
    assert not below.non_conflicting


def test_the_gap_of_weights_that_are_not_optimal_bounds_what_they_lack():
    rng = np.random.default_rng(5)
    for size in (2, 4, 9):
        gramian = gram(normal_rows(size))
        best = ball.objective(gramian, ball.solve(gramian, 0.4).weights, 0.4)
        for _ in range(20):
            w = rng.dirichlet(np.ones(size))
            gap, square = ball.certificate(gramian, w, 0.4), gramian.mean()
            worst = (gramian @ ball.direction_weights(gramian, w, 0.4)).min()
            value = ball.objective(gramian, w, 0.4)
            np.testing.assert_allclose(gap, (value - worst) / square, rtol=1e-9)
            assert worst <= best + 1e-12
            assert value >= best - 1e-12


def test_frank_wolfe_never_rises_and_comes_near():
    for size in (2, 5, 12):
        gramian = gram(normal_rows(size))
        entries = list(ball.trace(gramian, "frank_wolfe", 300))
        values = [entry[2] for entry in entries]
        assert max(np.diff(values), default=0.0) <= 16 * EPS * gramian.max()
        assert entries[-1][3] <= 1e-2
        assert values[-1] - ball.objective(gramian, ball.solve(gramian).weights) <= 1e-2 * gramian.mean()


def test_the_tolerated_gap_knows_a_mean_that_nearly_cancels():
    rows = normal_rows(5)
    assert ball.tolerated_gap(gram(rows)) == pytest.approx(1e-11, rel=0.01)
    rows = rows - rows.mean(axis=0) * (1 - 1e-4)
    gramian = gram(rows)
    assert ball.tolerated_gap(gramian) > 1e-10
    for radius in (0.4, 0.9, 1.0, 2.0):
        assert ball.solve(gramian, radius).converged
    assert ball.tolerated_gap(np.zeros((2, 2)), 1e-9) == 1e-9


def test_malformed_arguments_are_refused():
    with pytest.raises(InvalidGramian, match=r"entry \(0, 1\)"):
        ball.solve([[1.0, 9.0], [9.0, 1.0]])
    with pytest.raises(ValueError, match="weights must be non-negative and sum to 1"):
        ball.certificate(np.eye(2), [0.7, 0.7])
    with pytest.raises(ValueError, match=r"2 tasks have weights of shape \(2,\)"):
        ball.direction_weights(np.eye(2), [1.0])


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 8),
    rank=st.integers(1, 10),
    seed=st.integers(0, 2**32 - 1),
    spread=st.floats(0.0, 3.0),
    radius=st.sampled_from(RADII),
)
def test_random_problems_are_certified(size, rank, seed, spread, radius):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((size, rank)) * 10.0 ** rng.uniform(-spread, spread, (size, 1))
    gramian = gram(rows)
    solution = ball.solve(gramian, radius)
    assert solution.converged
    assert solution.iterations <= 30
    assert solution.weights.min() >= 0
    assert abs(solution.weights.sum() - 1) <= 4 * size * EPS
    # No other point of the simplex has a smaller dual value.
    scale = np.sqrt(gramian.max() * gramian.mean())
    for w in (*np.eye(size), np.full(size, 1 / size), rng.dirichlet(np.ones(size))):
        lowest = ball.objective(gramian, solution.weights, radius)
        assert ball.objective(gramian, w, radius) >= lowest - 1e-10 * scale - 1e-10 * gramian.mean()
