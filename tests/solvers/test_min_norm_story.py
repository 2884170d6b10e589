"""The story of the articles on task gradients, told by small experiments: what holds, and what only seems to.

J. Su, kexue.fm/archives/8896 and 8968. The equations of each algorithm are in ``test_min_norm_witnesses.py``, where
the oscillation of the undamped iteration, its cure by averaging, and averaging as Frank-Wolfe are too.
"""

from __future__ import annotations

from math import comb, log, sqrt

import cvxpy
import numpy as np
import pytest

from mtlbench.solvers import min_norm
from mtlbench.solvers.gramian import unit_diagonal

VANISHING = np.array([[1.0, 0.0, 1.2], [0.0, 1.0, 1.2], [1.2, 1.2, 4.0]])
"""The third weight is 0 at the optimum."""


def rows(size: int, dimension: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, size, dimension]).standard_normal((size, dimension))


def nearest(j: np.ndarray) -> np.ndarray:
    """u*, the point of the hull of the rows that is nearest to 0."""
    return j.T @ min_norm.solve(j @ j.T).weights


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max())
    return e / e.sum()


# ---- the direction --------------------------------------------------------------------------------------------


def test_without_a_charge_for_length_the_worst_product_is_unbounded_and_at_a_stationary_point_never_positive():
    j = rows(4, 6)
    u = nearest(j)
    for length in (1.0, 1e3, 1e6):
        assert (j @ (length * u)).min() == pytest.approx(length * (u @ u))
    stationary = j - j.mean(axis=0)
    directions = np.random.default_rng(1).standard_normal((500, 6))
    assert (directions @ stationary.T).min(axis=1).max() < 0


def test_the_charged_problem_and_the_min_norm_problem_have_one_value():
    for seed in range(4):
        j = rows(5, 7, seed)
        u = cvxpy.Variable(7)
        primal = cvxpy.Problem(cvxpy.Maximize(cvxpy.min(j @ u) - cvxpy.sum_squares(u) / 2))
        primal.solve(solver=cvxpy.CLARABEL)
        assert primal.value == pytest.approx(min_norm.objective(j @ j.T, min_norm.solve(j @ j.T).weights), rel=1e-6)
        np.testing.assert_allclose(u.value, nearest(j), atol=1e-4)


@pytest.mark.parametrize(("size", "dimension"), [(2, 1), (3, 2), (4, 2), (6, 3), (8, 4), (10, 4), (9, 7), (5, 8)])
def test_random_gradients_have_a_common_descent_direction_as_often_as_wendel_says(size, dimension):
    # J. Wendel (1962): K symmetric random vectors lie in one half-space with probability 2^(1−K) Σ_{k<d} C(K−1, k).
    exact = sum(comb(size - 1, k) for k in range(dimension)) / 2 ** (size - 1)
    trials = 400
    found = 0
    for trial in range(trials):
        gramian = unit_diagonal((j := rows(size, dimension, trial)) @ j.T)[0]
        found += 2 * min_norm.objective(gramian, min_norm.solve(gramian).weights) > 1e-12
    if size <= dimension:
        assert exact == 1
        assert found == trials
    else:
        assert abs(found / trials - exact) < 4 * sqrt(exact * (1 - exact) / trials)


def test_more_parameters_than_tasks_do_not_help_once_the_gradients_depend_on_each_other():
    j = rows(3, 1000)
    assert np.linalg.norm(nearest(j)) > 1
    for dependent in (np.vstack([j, -0.5 * j[0]]), np.vstack([j, 0 * j[0]]), j - j.mean(axis=0)):
        assert np.linalg.norm(nearest(dependent)) < 1e-12


# ---- the smoothed minimum -------------------------------------------------------------------------------------


def test_the_smoothed_fixed_point_iterates_without_damping_for_small_lambda_only():
    gramian = rows(5, 9) @ rows(5, 9).T
    largest = np.linalg.eigvalsh(gramian)[-1]

    def last_move(smoothing: float) -> float:
        w = np.full(5, 0.2)
        for _ in range(300):
            before, w = w, softmax(-smoothing * gramian @ w)
        return float(np.abs(w - before).max())

    assert last_move(1 / largest) < 1e-12
    assert last_move(50 / largest) > 0.1


def test_growing_lambda_leads_to_the_optimum_and_the_bias_keeps_its_bound():
    gramian = rows(6, 9) @ rows(6, 9).T
    lowest = min_norm.objective(gramian, min_norm.solve(gramian).weights)
    biases = []
    for smoothing in (0.1, 1.0, 10.0, 100.0, 1000.0):
        weights = min_norm.solve(gramian, "smooth_min_entropic", smoothing=smoothing).weights
        biases.append(min_norm.objective(gramian, weights) - lowest)
        assert 0 <= biases[-1] <= log(6) / smoothing
    assert (np.diff(biases) < 0).all()
    # Beyond the order of the bound: with all weights positive at the optimum the bias falls like 1/λ².
    assert biases[-1] < 1e-3 * biases[0]


def test_at_the_optimum_the_products_never_differ_by_more_than_one_over_lambda():
    # The softened minimum is read as "one product is smaller than the others by much more than 1/λ, so the softmax is
    # nearly one-hot". The fixed point is where that fails: products of the support are equal, λ times what they
    # differ by tends to log(w_i / w_j), and no λ makes the softmax one-hot.
    gramian = rows(4, 9) @ rows(4, 9).T
    best = min_norm.solve(gramian).weights
    assert best.min() > 0.01
    for smoothing in (1e2, 1e4, 1e6):
        weights = min_norm.solve(gramian, "smooth_min_entropic", smoothing=smoothing).weights
        products = gramian @ weights
        assert smoothing * np.ptp(products) < 2 * log(best.max() / best.min())
        assert softmax(-smoothing * products).max() < 0.99
        # Anywhere else the reading is right.
        assert smoothing * np.ptp(gramian @ np.full(4, 0.25)) > 20
        assert softmax(-smoothing * gramian @ np.full(4, 0.25)).max() > 0.999


# ---- softmax of beta, and exponentiated gradient --------------------------------------------------------------


@pytest.mark.parametrize("step_size", [0.05, 0.2, 0.8, 1.6])
def test_no_learning_rate_cures_the_tail_of_softmax_beta(step_size):
    # A vanishing weight obeys dw/dt = −c η w²: doubling the steps halves it, whatever η is.
    weight = {k: w[2] for k, w, *_ in min_norm.trace(VANISHING, "softmax_beta", 8000, step_size=step_size)}
    for k in (1000, 2000, 4000):
        assert weight[k] / weight[2 * k] == pytest.approx(2, rel=0.1)
    excess = float((VANISHING @ min_norm.solve(VANISHING).weights)[2]) - 0.5
    # β_3 falls by η w (s_3 − ‖u‖²) a step, and the two others share as much of a rise: c = 3/2 (s_3 − ‖u‖²).
    assert weight[8000] == pytest.approx(1 / (1.5 * excess * step_size * 8000), rel=0.05)


@pytest.mark.parametrize("step_size", [0.05, 0.2])
def test_exponentiated_gradient_with_the_same_learning_rate_has_no_such_tail(step_size):
    w = np.full(3, 1 / 3)
    for _ in range(2000):
        w = w * np.exp(-step_size * (VANISHING @ w))
        w /= w.sum()
    excess = float((VANISHING @ min_norm.solve(VANISHING).weights)[2]) - 0.5
    assert log(w[2]) == pytest.approx(-step_size * excess * 2000, rel=0.05)


# ---- gradients of the representation --------------------------------------------------------------------------


def test_an_angle_does_not_survive_a_positive_definite_matrix():
    # The step of the proof that fails: xᵀy >= 0 and xᵀMy >= 0 would have to be the same for every positive M.
    x, y, m = np.array([1, -2]), np.array([1, 1]), np.diag([3, 1])
    assert x @ y == -1
    assert x @ m @ y == 1


def test_the_norm_of_the_encoder_bounds_the_direction():
    for seed in range(50):
        z, encoder = rows(4, 6, seed), rows(6, 10, seed)
        w = np.random.default_rng(seed).dirichlet(np.ones(4))
        length = np.linalg.norm((z @ encoder).T @ w)
        assert length <= np.linalg.norm(encoder, 2) * np.linalg.norm(z.T @ w) * (1 + 1e-12)
        # Not a loose constant: it is attained where Zᵀw is the leading left singular vector.
    left = np.linalg.svd(encoder)[0][:, :1].T
    assert np.linalg.norm(left @ encoder) == pytest.approx(np.linalg.norm(encoder, 2))


def test_with_one_label_a_sample_the_bound_knows_nothing_of_how_tasks_interact():
    # Each sample belongs to one task, so the z_i have disjoint supports.
    z = np.zeros((3, 12))
    for i in range(3):
        z[i, 4 * i : 4 * i + 4] = rows(3, 4)[i]
    squares = (z**2).sum(axis=1)
    weights = min_norm.solve(z @ z.T).weights
    np.testing.assert_allclose(weights, (1 / squares) / (1 / squares).sum(), rtol=1e-12)
    others = [min_norm.solve((g := z @ rows(12, 20, seed)) @ g.T).weights for seed in range(3)]
    assert max(np.abs(other - weights).max() for other in others) > 0.05


def test_with_full_rank_the_stationary_points_agree_and_the_descent_is_lost():
    lost = 0
    for seed in range(60):
        z, encoder = rows(3, 6, seed), rows(6, 8, seed) * np.geomspace(1, 30, 6)[:, None]
        g = z @ encoder
        bound, exact = (min_norm.solve(x @ x.T).weights for x in (z, g))
        assert (g @ (g.T @ exact)).min() > 0
        lost += (g @ (g.T @ bound)).min() < 0
        centred = z - z.mean(axis=0)
        for stationary in (centred, centred @ encoder):
            weights = min_norm.solve(stationary @ stationary.T).weights
            np.testing.assert_allclose(weights, 1 / 3, rtol=1e-8)
            assert np.linalg.norm(stationary.T @ weights) < 1e-12 * np.linalg.norm(stationary)
    assert lost >= 10
    # Without full rank even the stationary points differ: the encoder cannot move along the direction that is left.
    z, encoder = np.array([[1.0, 1.0], [-1.0, 1.0]]), np.array([[1.0, 2.0], [0.0, 0.0]])
    assert np.linalg.norm(nearest(z)) == pytest.approx(1)
    assert np.linalg.norm(nearest(z @ encoder)) == 0
