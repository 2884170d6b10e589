"""Bargaining weights: closed forms, equivariance, promises, hard problems, and points without a solution."""

from __future__ import annotations

import subprocess
import sys

import cvxpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlbench.referee.families import FAMILIES, draw
from mtlbench.solvers import InvalidGramian, NoSolution, SolverFailed, bargaining, min_norm

EPS = 2.0**-52
ALPHAS = (0.1, 0.5, 1.0, 2.0, 30.0)


def gram(rows: np.ndarray) -> np.ndarray:
    product = rows @ rows.T
    return (product + product.T) / 2


def gaussian(size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, size]).standard_normal((size, 2 * size))


def nearly_opposed(rows: np.ndarray, angle: float) -> np.ndarray:
    """The second row is −3 times the first, turned by ``angle``."""
    rows = rows.copy()
    side = np.random.default_rng(5).standard_normal(rows.shape[1])
    side -= (side @ rows[0]) / (rows[0] @ rows[0]) * rows[0]
    rows[1] = -3 * (rows[0] + angle * np.linalg.norm(rows[0]) * side / np.linalg.norm(side))
    return rows


def one_row_times(rows: np.ndarray, factor: float) -> np.ndarray:
    return np.vstack([factor * rows[:1], rows[1:]])


def spread(rows: np.ndarray) -> np.ndarray:
    norms = np.random.default_rng(len(rows)).permutation(np.geomspace(1, 1e6, len(rows)))
    return rows * norms[:, None]


HARD = {
    "norms 1 to 1e6": spread,
    "one norm of 1e-8": lambda j: one_row_times(j, 1e-8),
    "one norm of 1e8": lambda j: one_row_times(j, 1e8),
    "collinear to 1e-5": lambda j: j[0] + 1e-5 * j,
    "collinear to 1e-8": lambda j: j[0] + 1e-8 * j,
    "collinear, norms 1 to 1e6": lambda j: spread(j[0] + 1e-4 * j),
    "duplicates, norms 1 to 1e6": lambda j: np.repeat(spread(j), 2, axis=0)[: len(j)],
    "opposed to 1e-2": lambda j: nearly_opposed(j, 1e-2),
    "opposed to 1e-4": lambda j: nearly_opposed(j, 1e-4),
    "opposed to 1e-5": lambda j: nearly_opposed(j, 1e-5),
    "near stationary": lambda j: j - j.mean(axis=0) + 0.1 * j[0],
    "near stationary to 1e-4": lambda j: j - j.mean(axis=0) + 1e-4 * j[0],
}
SIZES = (2, 3, 5, 8, 16, 32)


def residuals(gramian: np.ndarray, weights: np.ndarray, alpha: float = 1.0, preference=1.0) -> np.ndarray:
    """r_i, by another formula than the room's."""
    w = weights.astype(np.longdouble)
    wanted = (np.asarray(preference, dtype=np.longdouble) / w) ** (1 / np.longdouble(alpha))
    return np.abs(gramian.astype(np.longdouble) @ w / wanted - 1)


def rounding(gramian: np.ndarray, weights: np.ndarray, alpha: float = 1.0, preference=1.0) -> np.ndarray:
    wanted = (np.asarray(preference) / np.maximum(weights, 1e-308)) ** (1 / alpha)
    return EPS * (np.abs(gramian) @ weights / wanted + 1 / alpha)


def stationary(gramian: np.ndarray) -> bool:
    """The rule: wᵀGw <= 64 K eps (Σ w_i d_i)² at the min-norm w; a zero row has no solution either."""
    w = min_norm.solve(gramian).weights.astype(np.longdouble)
    square = w @ gramian.astype(np.longdouble) @ w
    return bool(square <= 64 * len(w) * EPS * (w @ np.sqrt(gramian.diagonal())) ** 2)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 16, 32])
@pytest.mark.parametrize("family", FAMILIES)
def test_newton_and_cvxpy_agree_or_both_find_no_solution(family, size, alpha):
    gramian = draw(family, size)
    preference = np.random.default_rng(size).uniform(0.2, 5.0, size) if size % 2 else None
    if stationary(gramian):
        for name in bargaining.ALGORITHMS:
            with pytest.raises(NoSolution):
                bargaining.solve(gramian, alpha, preference, name)
        return
    first, second = (bargaining.solve(gramian, alpha, preference, name) for name in ("newton", "exact"))
    assert first.converged
    assert second.converged
    # Both have residuals of 1e-11; the Jacobian of their logarithms has an inverse of at most α.
    np.testing.assert_allclose(first.weights, second.weights, rtol=1e-10 * max(1.0, alpha))


@pytest.mark.parametrize("kind", HARD)
@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 100.0])
def test_newton_is_certified_on_everything_that_is_not_stationary(kind, alpha):
    for size in SIZES:
        gramian = gram(HARD[kind](gaussian(size)))
        assert not stationary(gramian)
        solution = bargaining.solve(gramian, alpha)
        assert solution.converged
        assert solution.non_conflicting
        normal = solution.weights >= 2.0**-1022  # those of long gradients underflow where alpha is large
        assert normal.all() or alpha > 2
        allowed = 1.01e-11 + rounding(gramian, solution.weights, alpha)
        assert (residuals(gramian, solution.weights, alpha) <= allowed)[normal].all()
        assert solution.iterations <= 100


@pytest.mark.parametrize("kind", ["norms 1 to 1e6", "collinear to 1e-5", "opposed to 1e-4"])
def test_newton_works_at_256_tasks(kind):
    for size in (64, 128, 256):
        assert bargaining.solve(gram(HARD[kind](gaussian(size)))).converged


def test_exact_is_certified_where_gradients_nearly_oppose_each_other():
    for kind in ("norms 1 to 1e6", "opposed to 1e-4", "near stationary to 1e-4"):
        for size in (2, 5, 16):
            assert bargaining.solve(gram(HARD[kind](gaussian(size))), algorithm="exact").converged


@pytest.mark.parametrize("alpha", [1e-3, 0.3, 1.0, 2.0, 7.5, 1e3, 1e4])
def test_one_task_has_the_closed_form(alpha):
    for g, p in ((7.0, 1.0), (1e-6, 3.0), (4e10, 0.2)):
        for name in bargaining.ALGORITHMS:
            solution = bargaining.solve([[g]], alpha, [p], name)
            assert solution.converged
            expected = np.exp((np.log(p) - alpha * np.log(g)) / (1 + alpha))
            assert solution.weights[0] == pytest.approx(expected, rel=1e-13)


def test_two_tasks_at_alpha_1_have_the_closed_form():
    for a, b, c in ((1.0, 4.0, -1.5), (1.0, 1.0, 0.5), (1e-6, 1e6, 0.2)):
        d = np.sqrt([a, b])
        expected = 1 / (d * np.sqrt(1 + c / (d[0] * d[1])))
        np.testing.assert_allclose(bargaining.solve([[a, c], [c, b]]).weights, expected, rtol=1e-12)


def test_orthogonal_tasks_have_their_own_solutions():
    squares, p = np.array([1.0, 100.0, 1e-4]), np.array([1.0, 2.0, 0.5])
    for alpha in ALPHAS:
        expected = (p / squares**alpha) ** (1 / (1 + alpha))
        np.testing.assert_allclose(bargaining.solve(np.diag(squares), alpha, p).weights, expected, rtol=1e-11)


@pytest.mark.parametrize("kind", ["norms 1 to 1e6", "one norm of 1e-8", "collinear to 1e-5"])
def test_at_alpha_1_the_squared_length_of_the_direction_is_the_number_of_tasks(kind):
    for size in SIZES:
        gramian = gram(HARD[kind](gaussian(size)))
        w = bargaining.solve(gramian).weights.astype(np.longdouble)
        assert float(w @ gramian.astype(np.longdouble) @ w) == pytest.approx(size, rel=1e-10)


def test_at_alpha_1_scaling_the_rows_divides_the_weights():
    rows = gaussian(6)
    factors = np.geomspace(1e-6, 1e6, 6)
    weights = bargaining.solve(gram(rows)).weights
    scaled = bargaining.solve(gram(rows) * factors[:, None] * factors).weights
    np.testing.assert_allclose(scaled * factors, weights, rtol=1e-10)


def test_pivrg_is_alpha_2_with_its_preference():
    gramian, p = gram(gaussian(5)), 5 * np.exp([0.1, -0.3, 0.5, 0.0, 1.0]) / np.exp([0.1, -0.3, 0.5, 0.0, 1.0]).sum()
    x = bargaining.solve(gramian, alpha=2.0, preference=p).weights
    np.testing.assert_allclose(gramian @ x, np.sqrt(p / x), rtol=1e-10)


def test_a_small_alpha_tends_to_the_preference_itself():
    # No conflict among these, whatever their weights.
    gramian = gram(np.abs(gaussian(5)))
    preference = np.array([1.0, 2.0, 0.5, 1.0, 3.0])
    for alpha, error in ((1e-1, 0.5), (1e-2, 6e-2), (1e-3, 6e-3)):
        solution = bargaining.solve(gramian, alpha, preference)
        assert solution.converged
        assert abs(solution.weights / preference - 1).max() < error


def test_a_small_alpha_with_conflicts_tends_to_weights_of_at_least_the_preference():
    # The second task conflicts with the sum of both; it gets the weight that makes its product 0, 0.9/0.7.
    solution = bargaining.solve([[1.31, -0.9], [-0.9, 0.7]], 0.005)
    assert solution.converged
    np.testing.assert_allclose(solution.weights, [1.0, 9 / 7], rtol=2e-2)


@pytest.mark.parametrize("size", [3, 8])
def test_a_large_alpha_tends_to_the_min_norm_direction(size):
    for seed in range(3):
        gramian = gram(gaussian(size, seed))
        best = min_norm.solve(gramian).weights
        for alpha, angle in ((100.0, 0.1), (1e4, 1e-3)):
            solution = bargaining.solve(gramian, alpha)
            assert solution.converged
            w = solution.weights
            cosine = w @ gramian @ best / np.sqrt((w @ gramian @ w) * (best @ gramian @ best))
            assert cosine >= np.cos(angle)


def test_weights_that_underflow_are_positive_and_certified():
    gramian = gram(np.array([[1.0, 0.0], [3.0, 0.1]]))
    for scale in (1e-200, 1.0, 1e200):
        solution = bargaining.solve(scale * gramian, 1e3)
        assert solution.converged
        assert solution.weights.min() > 0
        assert solution.weights[1] < 1e-120 * solution.weights[0]


@pytest.mark.parametrize("name", bargaining.ALGORITHMS)
@pytest.mark.parametrize("alpha", [0.01, 1.0, 2.0, 50.0])
def test_the_scale_of_the_gramian_is_a_power_in_the_weights(name, alpha):
    gramian = gram(spread(gaussian(4)) if alpha >= 1 else np.abs(gaussian(4)))
    base = bargaining.solve(gramian, alpha, algorithm=name)
    for c in (1e-200, 1e-77, 0.3, 2.0, 1e120, 1e200):
        scaled = bargaining.solve(c * gramian, alpha, algorithm=name)
        assert scaled.converged
        exponent = np.longdouble(-alpha) / (1 + np.longdouble(alpha))
        expected = base.weights * np.exp(np.log(np.longdouble(c)) * exponent)
        np.testing.assert_allclose(scaled.weights, np.maximum(expected.astype(float), 2.0**-1074), rtol=1e-9)


def test_a_power_of_two_scales_the_weights_exactly():
    gramian = gram(spread(gaussian(7)))
    base = bargaining.solve(gramian)
    for power in (-600, -2, 4, 640):
        np.testing.assert_array_equal(
            bargaining.solve(np.ldexp(gramian, power)).weights, np.ldexp(base.weights, -power // 2)
        )


def test_the_scale_of_the_preference_is_a_power_in_the_weights():
    gramian, p = gram(gaussian(4)), np.array([1.0, 2.0, 3.0, 0.1])
    for alpha in ALPHAS:
        base = bargaining.solve(gramian, alpha, p).weights
        for c in (1e-150, 7.0, 1e150):
            scaled = bargaining.solve(gramian, alpha, c * p)
            assert scaled.converged
            np.testing.assert_allclose(scaled.weights, base * c ** (1 / (1 + alpha)), rtol=1e-9)


@pytest.mark.parametrize("name", bargaining.ALGORITHMS)
def test_permuting_the_tasks_permutes_the_weights(name):
    gramian, p = gram(spread(gaussian(6))), np.arange(1.0, 7.0)
    order = np.random.default_rng(1).permutation(6)
    for alpha in (0.5, 1.0, 2.0):
        weights = bargaining.solve(gramian, alpha, p, name).weights
        permuted = bargaining.solve(gramian[np.ix_(order, order)], alpha, p[order], name).weights
        np.testing.assert_allclose(permuted, weights[order], rtol=1e-9)


def test_copies_of_a_task_share_its_weight():
    # In the ratio of their preferences, and together as one task with the sum of these.
    gramian, preference = gram(gaussian(3)), np.array([1.0, 3.0, 2.0, 2.0, 0.5, 0.1])
    for alpha in ALPHAS:
        twice = bargaining.solve(np.kron(gramian, np.ones((2, 2))), alpha, preference).weights
        np.testing.assert_allclose(twice[::2] * preference[1::2], twice[1::2] * preference[::2], rtol=1e-9)
        merged = bargaining.solve(gramian, alpha, preference[::2] + preference[1::2]).weights
        np.testing.assert_allclose(twice[::2] + twice[1::2], merged, rtol=1e-9)


def test_no_task_conflicts_at_norms_1_to_1e6():
    for size in SIZES:
        rows = spread(gaussian(size))
        u = rows.T @ bargaining.solve(gram(rows)).weights
        cosines = (rows @ u) / (np.linalg.norm(rows, axis=1) * np.linalg.norm(u))
        assert cosines.min() >= -1e-9


@pytest.mark.parametrize("name", bargaining.ALGORITHMS)
def test_a_zero_row_has_no_solution_and_its_vertex_shows_it(name):
    gramian = gram(gaussian(4))
    gramian[2, :] = gramian[:, 2] = 0.0
    with pytest.raises(NoSolution, match="the gradient of task 2 is zero") as caught:
        bargaining.solve(gramian, algorithm=name)
    np.testing.assert_array_equal(caught.value.weights, np.eye(4)[2])
    assert isinstance(caught.value, ValueError)
    with pytest.raises(NoSolution):
        bargaining.trace(gramian, name, 3)


@pytest.mark.parametrize("name", bargaining.ALGORITHMS)
@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 100.0])
def test_a_stationary_point_has_no_solution_and_the_min_norm_weights_show_it(name, alpha):
    for gramian in (
        np.array([[1.0, -2.0], [-2.0, 4.0]]),
        gram(gaussian(5) - gaussian(5).mean(axis=0)),
        gram(spread(np.vstack([gaussian(3), -gaussian(3)]))),
        draw("zero_in_hull", 16),
    ):
        with pytest.raises(NoSolution, match="Pareto stationary") as caught:
            bargaining.solve(gramian, alpha, algorithm=name)
        weights = caught.value.weights
        np.testing.assert_array_equal(weights, min_norm.solve(gramian).weights)
        assert (
            abs(weights @ gramian @ weights) <= 64 * len(weights) * EPS * (weights @ np.sqrt(gramian.diagonal())) ** 2
        )


def test_a_small_gradient_is_not_a_zero_one():
    for small in (1e-300, 1e-30):
        solution = bargaining.solve(np.diag([small, 1.0, 1.0]))
        assert solution.converged
        np.testing.assert_allclose(solution.weights, [small**-0.5, 1.0, 1.0], rtol=1e-12)


def test_the_rule_of_stationarity_decides_near_its_edge():
    # u = angle/2 for two unit vectors: stationary up to angle² / 4 = 128 eps.
    outcomes = []
    for angle in np.sqrt(4 * 128 * EPS) * np.array([0.5, 0.9, 1.1, 2.0]):
        gramian = gram(nearly_opposed(np.array([[1.0, 0.0], [0.0, 1.0]]), angle))
        rule = stationary(gramian)
        try:
            assert bargaining.solve(gramian).converged
            outcomes.append(False)
        except NoSolution:
            outcomes.append(True)
        assert outcomes[-1] is rule
    assert outcomes[0]
    assert not outcomes[-1]


def test_the_certificate_is_the_largest_residual_of_any_weights():
    rng = np.random.default_rng(2)
    for alpha in (0.3, 1.0, 2.0, 9.0):
        gramian, w, p = gram(gaussian(6)), rng.uniform(0.1, 2.0, 6), rng.uniform(0.1, 2.0, 6)
        expected = float(residuals(gramian, w, alpha, p).max())
        assert bargaining.certificate(gramian, w, alpha, p) == pytest.approx(expected, rel=1e-12)


def test_the_gradient_of_the_objective_is_the_equation():
    gramian, p, h = gram(gaussian(4)), np.array([1.0, 2.0, 0.5, 3.0]), 1e-5
    for alpha in (0.5, 1.0, 2.0):
        w = np.array([0.5, 1.0, 0.3, 2.0])
        for i in range(4):
            above, below = w + h * np.eye(4)[i], w - h * np.eye(4)[i]
            slope = bargaining.objective(gramian, above, alpha, p) - bargaining.objective(gramian, below, alpha, p)
            equation = gramian[i] @ w - (p[i] / w[i]) ** (1 / alpha)
            assert slope / (2 * h) == pytest.approx(equation, rel=1e-6, abs=1e-6)


def test_what_is_tolerated_excuses_no_other_task():
    # The opposed pair's products are rounding; the third task's are not, and its weight is wrong.
    gramian = np.zeros((3, 3))
    gramian[:2, :2] = gram(nearly_opposed(np.array([[1.0, 0.0], [0.0, 1.0]]), 2e-6))
    gramian[2, 2] = 1.0
    right = bargaining.solve(gramian)
    assert right.converged
    floor = bargaining.tolerated_gap(gramian, weights=right.weights)
    assert floor > 1e-5
    wrong = right.weights * [1, 1, 1 + floor / 10]
    assert bargaining.certificate(gramian, wrong) > bargaining.tolerated_gap(gramian, weights=wrong)
    assert bargaining.tolerated_gap(gramian, 1e-3) == 1e-3 + 2 * EPS


def test_a_trace_descends_to_the_solution_in_the_unit_of_the_gramian():
    gramian = 1e80 * gram(spread(gaussian(8)))
    for alpha in (0.1, 1.0, 2.0, 300.0):
        steps = list(bargaining.trace(gramian, "newton", 60, alpha))
        solution = bargaining.solve(gramian, alpha)
        assert [step[0] for step in steps] == list(range(len(steps)))
        assert steps[solution.iterations][3] == solution.gap
        np.testing.assert_array_equal(steps[solution.iterations][1], solution.weights)
        assert all(step[2] == bargaining.objective(gramian, step[1], alpha) for step in steps)
        lowest = steps[solution.iterations][2]
        assert all(step[2] >= lowest - 1e-12 * abs(lowest) for step in steps)


def test_a_stationary_trace_grows_and_ends():
    gramian = np.array([[1.0, -2.0], [-2.0, 4.0]])
    steps = list(bargaining.trace(gramian, "newton", 10_000))
    assert len(steps) <= 1001
    assert steps[-1][1].min() > 1e3 * steps[0][1].max()


def test_a_single_precision_gramian_with_negative_eigenvalues_ends_and_is_judged():
    rng = np.random.default_rng(3)
    line = rng.standard_normal(3000)
    for size in (3, 10, 40):
        j = (line + 1e-3 * rng.standard_normal((size, 3000))).astype(np.float32)
        assert bargaining.solve(j @ j.T).converged


def test_an_indefinite_matrix_ends_and_is_judged():
    rng = np.random.default_rng(0)
    for size in (3, 6, 20):
        matrix = rng.uniform(-1, 1, (size, size))
        matrix = (matrix + matrix.T) / 2
        np.fill_diagonal(matrix, 1.0)
        try:
            solution = bargaining.solve(matrix, max_iterations=200)
        except NoSolution:
            continue
        assert solution.gap == bargaining.certificate(matrix, solution.weights)
        assert solution.converged is (solution.gap <= bargaining.tolerated_gap(matrix, weights=solution.weights))


def test_a_solution_that_is_not_reached_is_not_converged():
    solution = bargaining.solve(gram(nearly_opposed(gaussian(6), 1e-4)), max_iterations=3)
    assert not solution.converged
    assert solution.iterations == 3


@pytest.mark.parametrize("alpha", [0.0, -1.0, 9e-4, 2e4, float("nan"), float("inf"), "1", None, True])
def test_a_wrong_alpha_gets_a_sentence(alpha):
    with pytest.raises(ValueError, match=r"alpha must be a number from 0.001 to 10000, got"):
        bargaining.solve(np.eye(2), alpha)
    with pytest.raises(ValueError, match=r"alpha must be a number from 0.001 to 10000, got"):
        bargaining.certificate(np.eye(2), [1.0, 1.0], alpha)


def test_a_wrong_preference_or_wrong_weights_get_a_sentence():
    for p in ([1.0, 0.0], [1.0, -1.0], [1.0, float("nan")], [1.0, float("inf")]):
        with pytest.raises(ValueError, match="a preference must be positive and finite"):
            bargaining.solve(np.eye(2), preference=p)
        with pytest.raises(ValueError, match="weights must be positive and finite"):
            bargaining.certificate(np.eye(2), p)
    with pytest.raises(ValueError, match=r"2 tasks have a preference of shape \(2,\), got \(3,\)"):
        bargaining.solve(np.eye(2), preference=np.ones(3))
    with pytest.raises(ValueError, match=r"2 tasks have weights of shape \(2,\), got \(1,\)"):
        bargaining.objective(np.eye(2), [1.0])
    with pytest.raises(InvalidGramian, match="square"):
        bargaining.solve(np.ones((2, 3)))
    with pytest.raises(InvalidGramian, match="negative"):
        bargaining.solve([[-1.0]])


def test_nothing_is_written_to():
    gramian, p = gram(gaussian(4)), np.ones(4)
    gramian.flags.writeable = False
    p.flags.writeable = False
    assert bargaining.solve(gramian, preference=p).converged


def test_a_batch_names_the_point_without_a_solution():
    with pytest.raises(NoSolution, match="Gramian 1 of the batch: the point is Pareto stationary") as caught:
        bargaining.solve_batch([np.eye(2), [[1.0, -1.0], [-1.0, 1.0]]])
    np.testing.assert_allclose(caught.value.weights, [0.5, 0.5])


def test_exact_fails_with_a_sentence_and_never_falls_back(monkeypatch):
    def fails(*_, **__):
        raise cvxpy.error.SolverError("numbers ran out")

    monkeypatch.setattr(cvxpy.Problem, "solve", fails)
    with pytest.raises(SolverFailed, match="exact: CLARABEL gave no solution for 5 tasks: numbers ran out"):
        bargaining.solve(gram(gaussian(5)), algorithm="exact")
    with pytest.raises(NoSolution):
        bargaining.solve([[1.0, -1.0], [-1.0, 1.0]], algorithm="exact")


def test_no_algorithm_calls_another(monkeypatch):
    def forbidden(*_, **__):
        raise AssertionError("an algorithm called another one")

    for name in bargaining.ALGORITHMS:
        for other in bargaining.ALGORITHMS:
            if other != name:
                module = sys.modules[f"mtlbench.solvers.bargaining.{other}"]
                for function in ("start", "step", "direct", "advance"):
                    if hasattr(module, function):
                        monkeypatch.setattr(module, function, forbidden)
        assert bargaining.solve(gram(gaussian(6)), algorithm=name).converged
        monkeypatch.undo()


def test_the_same_weights_without_compilation_and_without_torch_or_cvxpy():
    code = (
        "import sys; import numpy as np; from mtlbench.solvers import bargaining;"
        "g = np.array([[4.0, -1.5, 0.2], [-1.5, 1.0, 0.3], [0.2, 0.3, 9.0]]);"
        "print([bargaining.solve(g, a).weights.tolist() for a in (0.1, 1.0, 2.0, 40.0)]);"
        "assert not {'torch', 'cvxpy'} & set(sys.modules)"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", code], env={"NUMBA_DISABLE_JIT": flag}, capture_output=True, text=True, check=True
        ).stdout
        for flag in ("0", "1")
    ]
    np.testing.assert_allclose(*(np.array(eval(text)) for text in printed), rtol=1e-14)


@st.composite
def gramians(draw, largest: int = 7, powers: int = 8) -> np.ndarray:
    """J Jᵀ of small integers (exact, rank chosen), rows scaled by powers of two up to 2^±``powers``."""
    size = draw(st.integers(1, largest))
    rank = draw(st.integers(1, size + 2))
    entries = st.integers(-3, 3)
    rows = draw(st.lists(st.lists(entries, min_size=rank, max_size=rank), min_size=size, max_size=size))
    exponents = draw(st.lists(st.integers(-powers, powers), min_size=size, max_size=size))
    scaled = np.array(rows, dtype=np.float64) * np.ldexp(1.0, exponents)[:, None]
    return scaled @ scaled.T


@settings(max_examples=200, deadline=None)
@given(gramians(), st.sampled_from([0.5, 1.0, 2.0, 5.0, 100.0]))
def test_every_point_is_solved_or_stationary(gramian, alpha):
    try:
        solution = bargaining.solve(gramian, alpha)
    except NoSolution as error:
        assert gramian.diagonal().min() == 0 or stationary(gramian)
        np.testing.assert_array_equal(error.weights, min_norm.solve(gramian).weights)
        return
    assert not stationary(gramian)
    assert solution.converged
    assert solution.non_conflicting
    assert solution.weights.min() > 0


@settings(max_examples=40, deadline=None)
@given(gramians(largest=5, powers=3), st.floats(0.2, 8.0), st.integers(0, 1000))
def test_newton_and_exact_agree_for_any_alpha_and_preference(gramian, alpha, seed):
    preference = np.random.default_rng(seed).uniform(0.1, 10.0, len(gramian))
    try:
        first = bargaining.solve(gramian, alpha, preference)
    except NoSolution:
        with pytest.raises(NoSolution):
            bargaining.solve(gramian, alpha, preference, "exact")
        return
    second = bargaining.solve(gramian, alpha, preference, "exact")
    assert first.converged
    assert second.converged
    np.testing.assert_allclose(first.weights, second.weights, rtol=1e-9)
