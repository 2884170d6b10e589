"""Methods with a closed form on the Gramian: IMTL-G, ConFIG, Aligned-MTL, PCGrad, GradVac, ConicGrad."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mtlbench import methods
from mtlbench.errors import InputError
from mtlbench.methods.pcgrad import orders
from mtlbench.solvers import dual_cone


def weights(name, rows, **options):
    rows = np.array(rows, dtype=float)
    return methods.get(name, **options).weights(gramian=rows @ rows.T, losses=np.ones(len(rows)))


def update(name, rows, **options):
    return np.array(rows, dtype=float).T @ weights(name, rows, **options)


def random_rows(seed, tasks, dimensions=12, spread=0.5):
    rng = np.random.default_rng([seed, tasks])
    return 10 ** rng.uniform(-spread, spread, (tasks, 1)) * rng.normal(size=(tasks, dimensions))


def cosines(rows, u):
    return rows @ u / (np.linalg.norm(rows, axis=1) * np.linalg.norm(u))


UPHILL = np.array([[1, 0, 0], [2, 2, -1], [2, -1, 2]])


def test_imtl_g_has_equal_cosines_and_weights_of_sum_one():
    for seed in range(5):
        rows = random_rows(seed, 4)
        w = weights("imtl_g", rows)
        assert w.sum() == pytest.approx(1)
        found = cosines(rows, rows.T @ w)
        np.testing.assert_allclose(found, found[0], rtol=1e-12)
        lengths = np.linalg.norm(rows, axis=1)
        published = np.linalg.solve(rows @ rows.T, lengths)
        np.testing.assert_allclose(w, published / published.sum(), rtol=1e-9)


def test_imtl_g_may_go_uphill_for_every_task_and_config_is_its_line_with_the_sign_fixed():
    np.testing.assert_allclose(weights("imtl_g", UPHILL), [3, -1, -1], rtol=1e-12)
    np.testing.assert_allclose(UPHILL @ update("imtl_g", UPHILL), [-1, -3, -3], rtol=1e-12)
    # v = (1, 1, 1)/√3, and the products with it add up to (1 + 3 + 3)/√3.
    np.testing.assert_allclose(update("config", UPHILL), np.full(3, 7 / 3), rtol=1e-12)
    for seed in range(20):
        rows = random_rows(seed, 3, dimensions=3)
        u, v = update("imtl_g", rows), update("config", rows)
        sign = np.sign(rows[0] @ u)
        np.testing.assert_allclose(sign * u / np.linalg.norm(u), v / np.linalg.norm(v), rtol=1e-6, atol=1e-6)
        assert (rows @ v > 0).all()


def test_imtl_g_of_two_tasks_is_the_direction_of_unit_gradients():
    for seed in range(5):
        rows = random_rows(seed, 2)
        w, unit = weights("imtl_g", rows), weights("unit_gradient", rows)
        np.testing.assert_allclose(w, unit / unit.sum(), rtol=1e-12)


def test_imtl_g_of_dependent_gradients():
    # Opposed: the sum of the unit gradients vanishes, and no combination of sum one has the length to be scaled.
    assert weights("imtl_g", [[1, 2], [-2, -4]]).tolist() == [0, 0]
    # Twice the same task and an orthogonal one: the two share what one would have.
    np.testing.assert_allclose(weights("imtl_g", [[1, 0], [1, 0], [0, 1]]), [0.25, 0.25, 0.5], rtol=1e-12)
    # Three in the plane: no direction is as close to all of them; the formula still answers.
    angles = np.radians([0, 60, 150])
    rows = np.array([np.cos(angles), np.sin(angles)]).T
    assert np.ptp(cosines(rows, update("imtl_g", rows))) > 0.1


def test_config_is_the_published_formula_on_vectors():
    for seed, dimensions in ((0, 12), (1, 4), (2, 3), (3, 2)):
        rows = random_rows(seed, 4, dimensions)
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        v = np.linalg.pinv(unit) @ np.ones(4)
        v /= np.linalg.norm(v)
        np.testing.assert_allclose(update("config", rows), (rows @ v).sum() * v, rtol=1e-9, atol=1e-12)


def test_config_loses_its_guarantee_with_the_rank():
    # One dimension: U⁺1 points to the two, the sum of products to the long one.
    assert update("config", [[1], [1], [-10]]) == pytest.approx(-8)
    assert weights("config", [[3, 4], [-6, -8]]).tolist() == [0, 0]
    assert weights("config", [[3, 4], [0, 0]]) == pytest.approx([1, 0])
    assert weights("config", [[3, 4], [0, 0]], zero_task="keep") == pytest.approx([1, 0])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [1, 0.5, 0.25]),
        ({"scale": "median"}, [2, 1, 0.5]),
        ({"scale": "rmse"}, math.sqrt(7) * np.array([1, 0.5, 0.25])),
        ({"reduction": "mean"}, np.array([1, 0.5, 0.25]) / 3),
    ],
)
def test_aligned_mtl_of_orthogonal_gradients(options, expected):
    np.testing.assert_allclose(weights("aligned_mtl", np.diag([1, 2, 4]), **options), expected, rtol=1e-12)


def test_aligned_mtl_has_the_length_that_its_certificate_says():
    for rank in (4, 2):
        rng = np.random.default_rng(rank)
        rows = rng.normal(size=(4, rank)) @ rng.normal(size=(rank, 9))
        gramian = rows @ rows.T
        values, vectors = np.linalg.eigh(gramian)
        least = values[4 - rank]
        u = rows.T @ weights("aligned_mtl", rows)
        inside = vectors[:, 4 - rank :]
        # ‖Jᵀ B 1‖² = 1ᵀ B G B 1 = λ ‖P 1‖².
        assert u @ u == pytest.approx(least * (inside.T @ np.ones(4)) @ (inside.T @ np.ones(4)))


def test_aligned_mtl_jumps_where_the_rank_does():
    def of(difference, **options):
        gramian = np.array([[1, 1], [1, 1 + difference]])
        return methods.get("aligned_mtl", reduction="mean", **options).weights(gramian=gramian)

    np.testing.assert_allclose(of(0.0), [0.5, 0.5], rtol=1e-12)
    tolerance = 2.0**-23
    # λ_max = 2 and λ_min = difference/2: the second one counts from 8 tolerances on.
    np.testing.assert_allclose(of(7 * tolerance), [0.5, 0.5], rtol=1e-5)
    np.testing.assert_allclose(of(9 * tolerance), np.full(2, math.sqrt(9 * tolerance) / 4), rtol=1e-2)
    np.testing.assert_allclose(of(1e-9), [0.5, 0.5], rtol=1e-5)
    np.testing.assert_allclose(of(1e-9, rank_tolerance=2.0**-52), [7.9e-6, 7.9e-6], rtol=1e-2)


def pcgrad_on_vectors(rows, order):
    total = np.zeros(rows.shape[1])
    for i, others in enumerate(order):
        g = rows[i].copy()
        for j in others:
            if j != i and g @ rows[j] < 0:
                g -= (g @ rows[j]) / (rows[j] @ rows[j]) * rows[j]
        total += g
    return total


def test_pcgrad_is_the_algorithm_on_vectors():
    np.testing.assert_allclose(weights("pcgrad", [[1, 0], [-1, 1]]), [2, 1.5], rtol=1e-15)
    for seed in range(5):
        rows = random_rows(seed, 6, dimensions=4)
        order = orders(np.random.default_rng(seed), 6)
        assert sorted(order[3]) == list(range(6))
        expected = pcgrad_on_vectors(rows, order)
        np.testing.assert_allclose(update("pcgrad", rows, seed=seed), expected, rtol=1e-11, atol=1e-12)
        mean = update("pcgrad", rows, seed=seed, reduction="mean")
        np.testing.assert_allclose(mean, expected / 6, rtol=1e-11, atol=1e-12)


def test_pcgrad_draws_a_new_order_at_every_step():
    rows = np.array([[1, 0], [-1, 1], [-1, -2]])
    method, gramian = methods.get("pcgrad"), rows @ rows.T
    drawn = {method.weights(gramian=gramian).tobytes() for _ in range(30)}
    assert len(drawn) > 1


def test_pcgrad_of_two_tasks_is_twice_upgrad():
    for seed in range(5):
        rows = random_rows(seed, 2, dimensions=2)
        upgrad = dual_cone.solve(rows @ rows.T, preference=np.eye(2) / 2).weights.sum(axis=0)
        np.testing.assert_allclose(weights("pcgrad", rows), 2 * upgrad, rtol=1e-11)


def test_gradvac_begins_as_pcgrad():
    rows = random_rows(0, 5, dimensions=4)
    np.testing.assert_allclose(weights("gradvac", rows, seed=3), weights("pcgrad", rows, seed=3), rtol=1e-12)


@pytest.mark.parametrize("update_rule", ["always", "corrected"])
def test_gradvac_is_the_algorithm_on_vectors(update_rule):
    tasks, beta, steps = 4, 0.3, 6
    method, random = methods.get("gradvac", beta=beta, update=update_rule, seed=5), np.random.default_rng(5)
    targets, corrections = np.zeros((tasks, tasks)), 0
    for step in range(steps):
        rows = random_rows(step, tasks, dimensions=5) + 0.4
        expected = np.zeros(5)
        for i, others in enumerate(orders(random, tasks)):
            g = rows[i].copy()
            for j in others[others != i]:
                cosine = g @ rows[j] / np.linalg.norm(g) / np.linalg.norm(rows[j])
                t, low = targets[i, j], cosine < targets[i, j]
                if low:
                    other = np.linalg.norm(rows[j]) * math.sqrt(1 - t**2)
                    factor = np.linalg.norm(g) * (t * math.sqrt(1 - cosine**2) - cosine * math.sqrt(1 - t**2)) / other
                    g = g + factor * rows[j]
                    assert g @ rows[j] / np.linalg.norm(g) / np.linalg.norm(rows[j]) == pytest.approx(t)
                    corrections += t > 0
                if low or update_rule == "always":
                    targets[i, j] = (1 - beta) * t + beta * cosine
            expected += g
        found = rows.T @ method.weights(gramian=rows @ rows.T)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(method.targets, targets, atol=1e-12)
    assert corrections > 0 or update_rule == "corrected"


def test_gradvac_learns_nothing_from_a_task_without_a_gradient():
    method = methods.get("gradvac", beta=0.5)
    method.weights(gramian=np.array([[1, 0.5, 0.5], [0.5, 1, 0.5], [0.5, 0.5, 1]]))
    before = method.targets.copy()
    np.testing.assert_allclose(before[0, 2], 0.25)
    method.weights(gramian=np.diag([1.0, 0, 1]))
    np.testing.assert_allclose(method.targets[0], [0, 0.25, 0.125])
    np.testing.assert_array_equal(method.targets[1], before[1])


def test_gradvac_of_opposed_and_of_identical_tasks():
    opposed = methods.get("gradvac", beta=0.5)
    for _ in range(3):
        assert opposed.weights(gramian=np.array([[1.0, -2], [-2, 4]])) == pytest.approx([3, 1.5])
    identical = methods.get("gradvac", beta=1.0)
    for _ in range(3):
        identical.weights(gramian=np.ones((2, 2)))
    assert identical.targets[0, 1] == 1
    # The target of 1 cannot be met by adding to g_1 any multiple of another direction.
    assert identical.weights(gramian=np.eye(2)).tolist() == [1, 1]


def test_conicgrad_is_the_min_norm_direction_inside_the_cone_and_its_edge_outside():
    # g0 = (1, 1); the min-norm direction of (2, 0), (0, 2) is g0 itself.
    np.testing.assert_allclose(update("conicgrad", [[2, 0], [0, 2]]), [1, 1], rtol=1e-12)
    rows = np.array([[1, 0], [-1, 9]])  # The best direction, (9, 2), is 65° away from g0 = (0, 4.5).
    np.testing.assert_allclose(update("conicgrad", rows, cosine=0.2), [4.5 * 9 / math.sqrt(85), 9 / math.sqrt(85)])
    edge = 4.5 * np.array([math.sin(math.pi / 3), math.cos(math.pi / 3)])
    np.testing.assert_allclose(update("conicgrad", rows, cosine=0.5), edge, rtol=1e-9)
    np.testing.assert_allclose(update("conicgrad", rows, cosine=0.999999), [0, 4.5], atol=1e-2)


@pytest.mark.parametrize("cosine", [0.0, 0.4, 0.9])
def test_conicgrad_leaves_no_better_direction_in_the_plane(cosine):
    angles = np.linspace(0, 2 * np.pi, 200_001)
    circle = np.array([np.cos(angles), np.sin(angles)])
    worsening = stationary = 0
    for seed in range(12):
        rows = random_rows(seed, 2 + seed % 4, dimensions=2)
        mean = rows.mean(axis=0)
        method = methods.get("conicgrad", cosine=cosine)
        u = rows.T @ method.weights(gramian=rows @ rows.T)
        length = np.linalg.norm(mean)
        if (rows @ circle).min(axis=0).max() < 0:
            # No direction serves all of them: the axis of the cone.
            np.testing.assert_allclose(u, mean, rtol=1e-12)
            stationary += 1
            continue
        assert np.linalg.norm(u) == pytest.approx(length)
        assert u @ mean >= (cosine - 1e-9) * length**2
        inside = circle[:, mean @ circle >= cosine * length]
        best = (rows @ inside).min(axis=0).max()
        assert (rows @ u).min() / length >= best - 1e-6 * abs(rows).max()
        assert method.solution.converged
        assert method.solution.non_conflicting == (best > 0)
        worsening += best < 0
    assert stationary
    assert worsening or cosine < 0.9


def test_conicgrad_against_cvxpy():
    cp = pytest.importorskip("cvxpy")
    for seed, cosine in ((0, 0.3), (1, 0.8), (2, 0.95)):
        rows = random_rows(seed, 5, dimensions=6)
        mean, d, t = rows.mean(axis=0), cp.Variable(6), cp.Variable()
        length = np.linalg.norm(mean)
        cone = [rows @ d >= t, mean @ d >= cosine * length * cp.norm(d), cp.norm(d) <= length]
        best = cp.Problem(cp.Maximize(t), cone).solve(solver="CLARABEL")
        u = update("conicgrad", rows, cosine=cosine)
        assert (rows @ u).min() == pytest.approx(best, rel=1e-6)
        np.testing.assert_allclose(u, d.value, atol=1e-4 * length)


def test_conicgrad_without_a_mean_does_not_move():
    method = methods.get("conicgrad")
    assert method.weights(gramian=np.array([[5, -5], [-5, 5]])).tolist() == [0.5, 0.5]
    assert method.stationary_events == 1
    assert weights("conicgrad", [[3, 4]]) == pytest.approx([1])


@pytest.mark.parametrize("name", ["imtl_g", "config", "aligned_mtl", "pcgrad", "gradvac", "conicgrad", "gradnorm"])
def test_norms_from_1e_minus_8_to_1e8(name):
    rng = np.random.default_rng(0)
    rows = np.array([[1e-8], [1.0], [1e3], [1e8]]) * rng.normal(size=(4, 8))
    w = weights(name, rows)
    assert np.isfinite(w).all()
    assert w.any()
    if name in ("imtl_g", "config"):
        np.testing.assert_allclose(cosines(rows, rows.T @ w), cosines(rows, rows.T @ w)[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("aligned_mtl", {"scale": "mean"}, "unknown scale of aligned_mtl 'mean'"),
        ("aligned_mtl", {"rank_tolerance": 0.5}, "rank_tolerance of aligned_mtl must be .* and at most 0.1, got 0.5"),
        ("pcgrad", {"reduction": "sun"}, "unknown reduction of pcgrad 'sun': did you mean 'sum'"),
        ("pcgrad", {"seed": 1.5}, "seed of pcgrad must be an integer"),
        ("gradvac", {"beta": 2}, "beta of gradvac must be a finite number of at least 0 and at most 1, got 2"),
        ("conicgrad", {"cosine": 1}, "cosine of conicgrad must be .* at most 0.999999, got 1"),
    ],
)
def test_wrong_options(name, options, sentence):
    with pytest.raises(InputError, match=sentence):
        methods.get(name, **options)


def test_conicgrad_has_an_answer_where_the_mean_cancels():
    rng = np.random.default_rng(1)
    for _ in range(200):
        tasks, size = rng.integers(3, 5), rng.integers(2, 5)
        rows = rng.normal(size=(tasks, size)) * 10.0 ** rng.uniform(-9, 3, size=(tasks, 1))
        rows[-1] = -rows[:-1].sum(axis=0) + 10.0 ** rng.uniform(-12, 0) * abs(rng.normal(size=size))
        assert np.isfinite(methods.get("conicgrad").weights(gramian=rows @ rows.T)).all()
