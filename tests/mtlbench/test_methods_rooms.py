"""The methods that rest on the solver rooms: numbers worked out by hand, the referee's answers, equivalences."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from mtlbench import methods
from mtlbench.errors import InputError
from mtlbench.methods.method import UndefinedLoss
from mtlbench.solvers import ball, bargaining, dual_cone, min_norm
from mtlbench.training.audit import Audit, Changes, Measured
from mtlbench.training.inner import relative_gap

ROOMS = tuple(name for name in methods.names() if methods.get(name).inner_problem)
# Su's example: three auxiliaries of which the greedy iteration pushes too far.
GREEDY = np.array([[1.0, -1, 0], [-1, 2, 0], [0, -1, 1], [-1, 0, 1]])


def gradients(seed, tasks=4, dimension=12, spread=0.0, common=0.0):
    rng = np.random.default_rng([seed, tasks])
    rows = rng.normal(size=(tasks, dimension)) + common * rng.normal(size=dimension)
    return 10 ** rng.uniform(-spread, spread, tasks)[:, None] * rows


def step(name, rows, losses=None, **options):
    method = methods.get(name, **options)
    rows = np.asarray(rows, dtype=float)
    losses = np.ones(len(rows)) if losses is None else losses
    return method, method.weights(gramian=rows @ rows.T, losses=losses)


def direction(name, rows, losses=None, **options):
    return np.asarray(rows, dtype=float).T @ step(name, rows, losses, **options)[1]


def conflicting(count=6, **settings):
    """Gradients of which some pairs conflict and the mean conflicts with a task."""
    found = []
    for seed in range(200):
        rows = gradients(seed, dimension=5, **settings)
        if (rows @ rows.mean(axis=0)).min() < 0:
            found.append(rows)
        if len(found) == count:
            return found
    raise AssertionError("too few conflicts")


# ---- every room -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROOMS)
def test_every_step_is_judged_by_its_room(name):
    """The certificate is small where the method solves its problem, and not where it does not."""
    heuristic = name in ("pe_ltr_relaxed", "greedy_primary_auxiliary")
    gaps = []
    for rows in (*conflicting(), gradients(0, spread=2.0)):
        method, weights = step(name, rows)
        gaps.append(relative_gap(method, rows @ rows.T, weights))
        if not heuristic:
            assert method.solution.converged
            np.testing.assert_array_equal(method.inner.weights, method.solution.weights)
    assert (max(gaps) < 1e-9) != heuristic
    # It is computed from the weights, whatever the solver says of itself.
    spoilt = method.inner.weights * np.linspace(1, 2, len(rows))
    if method.inner_problem in ("min_norm", "ball"):
        spoilt /= spoilt.sum()
    method.inner = method.inner._replace(weights=spoilt)
    assert relative_gap(method, rows @ rows.T, weights) > 1e-3


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cagrad", {}),
        ("nash_mtl", {}),
        ("fairgrad", {"alpha": 5.0}),
        ("pivrg", {"update_every": 1, "references": [1.0, 2.0, 0.5]}),
        ("upgrad", {}),
        ("dualproj", {"reduction": "sum"}),
        ("primary_auxiliary", {"primary": 2}),
        ("gem", {"margin": 0.5}),
        ("pe_ltr", {"lower": [0.3, 0.1, 0.0]}),
        ("mgda", {"normalisation": "loss+"}),
    ],
)
def test_the_referee_finds_the_same_direction(name, options):
    for rows in conflicting(2, tasks=3, spread=0.5):
        losses = np.array([0.5, 1.0, 2.0])
        found = {}
        for solver in (methods.get(name).solver, "exact"):
            method = methods.get(name, solver=solver, **options)
            for _ in range(2):  # the second step of pivrg has scores
                weights = method.weights(gramian=rows @ rows.T, losses=losses)
            found[solver] = rows.T @ weights
        ours, referee = found.values()
        np.testing.assert_allclose(ours, referee, rtol=0, atol=1e-7 * np.linalg.norm(referee))


@pytest.mark.parametrize("name", ["mgda", "upgrad", "dualproj", "nash_mtl", "primary_auxiliary"])
def test_unequal_norms_break_no_promise(name):
    for seed in range(20):
        rows = gradients(seed, dimension=4, common=0.3)
        rows *= (10.0 ** np.linspace(-3, 3, 4))[:, None] / np.linalg.norm(rows, axis=1)[:, None]
        update = direction(name, rows)
        cosines = rows @ update / (np.linalg.norm(rows, axis=1) * np.linalg.norm(update))
        assert cosines.min() >= -1e-9


@pytest.mark.parametrize("name", [*ROOMS, "agem"])
@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_extreme_units_change_nothing_but_the_unit(name, unit):
    rows = gradients(3, tasks=3)
    degree = methods.get(name).promises.common_scale
    np.testing.assert_allclose(direction(name, unit * rows), unit ** (degree + 1) * direction(name, rows), rtol=1e-6)


@pytest.mark.parametrize("name", [*ROOMS, "agem"])
def test_one_task_is_followed(name):
    update = direction(name, [[3.0, 4.0]])
    np.testing.assert_allclose(update / np.linalg.norm(update), [0.6, 0.8])


# ---- mgda, normalised -------------------------------------------------------------------------------------------


def test_normalised_mgda_by_hand():
    rows, losses = np.diag([1.0, 2.0]), np.array([4.0, 1.0])
    half = {"none": [0.8, 0.2], "l2": [0.5, 0.25], "loss": [64 / 65 / 4, 1 / 65], "loss+": [16 / 17 / 4, 1 / 17 / 2]}
    for normalisation, expected in half.items():
        _, weights = step("mgda", rows, losses, normalisation=normalisation)
        np.testing.assert_allclose(weights, expected, rtol=1e-12)
    # As published, the weights of the normalised gradients are those of the plain ones.
    for normalisation, expected in {"l2": [0.5, 0.5], "loss": [64 / 65, 1 / 65], "loss+": [16 / 17, 1 / 17]}.items():
        _, weights = step("mgda", rows, losses, normalisation=normalisation, combine="plain")
        np.testing.assert_allclose(weights, expected, rtol=1e-12)
    np.testing.assert_allclose(
        direction("mgda", rows, normalisation="l2"), direction("unit_gradient", rows, reduction="mean")
    )


def test_normalised_mgda_refuses_losses_it_cannot_divide_by():
    for losses in ([1.0, 0.0], [1.0, -0.1]):
        with pytest.raises(UndefinedLoss, match="needs positive losses, but that of task"):
            step("mgda", np.eye(2), losses, normalisation="loss")
    with pytest.raises(InputError, match="needs the losses"):
        methods.get("mgda", normalisation="loss+").weights(gramian=np.eye(2))
    # A zero gradient that is kept has no length to divide by: it is the shortest vector.
    _, weights = step("mgda", [[1, 0], [0, 0]], normalisation="l2", zero_task="keep")
    assert weights.tolist() == [0, 1]


# ---- cagrad -----------------------------------------------------------------------------------------------------


def test_cagrad_is_the_best_of_its_ball():
    for rows in conflicting():
        mean = rows.mean(axis=0)
        best = direction("cagrad", rows, rescale="none")
        np.testing.assert_allclose(np.linalg.norm(best - mean), 0.4 * np.linalg.norm(mean), rtol=1e-9)
        rng = np.random.default_rng(0)
        around = rng.normal(size=(300, rows.shape[1]))
        around *= 0.4 * np.linalg.norm(mean) / np.linalg.norm(around, axis=1)[:, None]
        assert (rows @ best).min() >= ((mean + around) @ rows.T).min(axis=1).max()
        np.testing.assert_allclose(direction("cagrad", rows), best / 1.16)
        np.testing.assert_allclose(direction("cagrad", rows, rescale="1/(1+c)", reduction="sum"), 4 * best / 1.4)
    np.testing.assert_allclose(direction("cagrad", rows, radius=0.0), mean)


def test_cagrad_where_its_direction_is_open():
    assert not direction("cagrad", [[1, 2], [-1, -2]]).any()  # g0 = 0
    rows = [[1.0, 0], [-3, 0]]  # 0 is in the hull, and g0 = (−1, 0) lies along it: the way to 0 ends at the ball
    np.testing.assert_allclose(direction("cagrad", rows, rescale="none"), [-0.6, 0])
    assert not direction("cagrad", rows, radius=1.0).any()


# ---- bargaining -------------------------------------------------------------------------------------------------


def test_bargaining_by_hand():
    rows = np.diag([1.0, 2.0])
    np.testing.assert_allclose(step("nash_mtl", rows, max_norm=0.0)[1], [1, 0.5])
    np.testing.assert_allclose(step("nash_mtl", rows)[1], np.array([1, 0.5]) / math.sqrt(2))
    np.testing.assert_allclose(step("fairgrad", rows)[1], [1, 4 ** (-2 / 3)])  # 4 w = w^(−1/2)


def test_nash_has_the_length_of_the_square_root_of_k():
    for rows in conflicting(common=1.0):
        assert np.linalg.norm(direction("nash_mtl", rows, max_norm=0.0)) == pytest.approx(2)
        assert np.linalg.norm(direction("nash_mtl", rows)) == pytest.approx(1)
        assert np.linalg.norm(direction("nash_mtl", rows, max_norm=5.0)) == pytest.approx(2)


def test_fairgrad_leads_from_equal_weights_through_nash_to_mgda():
    rows = np.abs(gradients(0))  # the mean conflicts with nobody
    distances = [np.abs(step("fairgrad", rows, alpha=alpha)[1] - 1).max() for alpha in (1e-1, 1e-2, 1e-3)]
    assert distances[2] < 0.01
    assert distances[0] > 5 * distances[1] > 25 * distances[2]
    for rows in conflicting(common=1.0):
        nash = step("nash_mtl", rows, max_norm=0.0)[1]
        np.testing.assert_allclose(step("fairgrad", rows, alpha=1.0)[1], nash, rtol=1e-12)
        target = direction("mgda", rows)
        cosines = [
            update @ target / np.linalg.norm(update) / np.linalg.norm(target)
            for update in (direction("fairgrad", rows, alpha=alpha) for alpha in (2.0, 100.0, 1e4))
        ]
        assert cosines[2] > 1 - 1e-6
        assert cosines[0] < cosines[1] < cosines[2]


@pytest.mark.parametrize("name", ["nash_mtl", "fairgrad", "pivrg"])
def test_at_a_stationary_point_bargaining_stands_still_and_counts(name):
    method = methods.get(name)
    stationary, other = np.array([[1.0, 2], [-2, -4], [1, 0]]), np.eye(3)
    for rows, events in ((other, 0), (stationary, 1), (stationary, 2), (other, 2)):
        weights = method.weights(gramian=rows @ rows.T, losses=np.ones(3))
        assert method.stationary_events == method.state_dict()["stationary_events"] == events
        assert weights.any() == (rows is other)
        assert (method.solution is None) == (rows is stationary)
        assert math.isnan(relative_gap(method, rows @ rows.T, weights)) == (rows is stationary)
    # A task without a gradient is another event; kept, it leaves no solution.
    zero = np.diag([1.0, 0, 1])
    assert method.weights(gramian=zero, losses=np.ones(3)).tolist()[1] == 0
    assert (method.stationary_events, method.zero_task_events) == (2, 1)
    kept = methods.get(name, zero_task="keep")
    assert not kept.weights(gramian=zero, losses=np.ones(3)).any()
    assert kept.stationary_events == 1


def test_nash_keeps_its_weights_between_two_problems_and_clips_anew():
    method = methods.get("nash_mtl", update_every=3)
    first, second = np.diag([1.0, 4.0]), np.diag([1.0, 100.0])
    np.testing.assert_allclose(method.weights(gramian=first), np.array([1, 0.5]) / math.sqrt(2))
    for _ in range(2):
        np.testing.assert_allclose(method.weights(gramian=second), np.array([1, 0.5]) / math.sqrt(26))
    np.testing.assert_allclose(method.weights(gramian=second), np.array([1, 0.1]) / math.sqrt(2))
    # A task may lose its gradient in between; a stationary point is not kept.
    np.testing.assert_allclose(method.weights(gramian=np.diag([0.0, 100.0])), [0, 0.1])
    method = methods.get("nash_mtl", update_every=3)
    assert not method.weights(gramian=np.array([[1.0, -1], [-1, 1]])).any()
    assert method.weights(gramian=second).any()


def test_pivrg_prefers_the_tasks_that_lag_behind_their_references():
    rows, losses = np.diag([1.0, 2.0]), np.array([1.5, 2.0])
    method = methods.get("pivrg", references=[1.0, 2.0], update_every=2)
    plain = step("fairgrad", rows)[1]
    for _ in range(2):  # no scores yet
        np.testing.assert_allclose(method.weights(gramian=rows @ rows.T, losses=losses), plain)
    assert method.scores.tolist() == [50, 0]
    # T = 50/log 2: p_1 is twice p_2, and of G = diag(1, 4) w = (p/G²)^(1/3).
    weights = method.weights(gramian=rows @ rows.T, losses=losses)
    np.testing.assert_allclose(weights, np.cbrt(np.array([4 / 3, 2 / 3]) / [1, 16]))
    # A spread below T_0 log b is not blown up to the bound.
    method.scores = np.array([1.0, 0.0])
    assert method.preference(2)[0] / method.preference(2)[1] == pytest.approx(math.exp(0.1))
    # Without references the scores are relative to the task's own first period; a dropped task keeps its place.
    method = methods.get("pivrg", update_every=1)
    for values in ([2.0, -4.0, 0.0], [1.0, -5.0, 3.0]):
        method.weights(gramian=np.eye(3), losses=values)
    assert method.scores.tolist() == [-50, -25, 0]
    weights = method.weights(gramian=np.diag([0.0, 1, 1]), losses=values)
    np.testing.assert_allclose(weights, np.cbrt([0, *method.preference(3)[1:]]) * [0, 1, 1])


def test_preferences_are_a_scaling_of_the_rows():
    """(Gx)_i = √(p_i/x_i) is FairGrad's equation for g_i/p_i, x_i = y_i/p_i."""
    for seed in range(10):
        rows = gradients(seed)
        p = np.random.default_rng(seed).uniform(0.2, 5, 4)
        x = bargaining.solve(rows @ rows.T, alpha=2.0, preference=p).weights
        np.testing.assert_allclose(rows @ rows.T @ x, np.sqrt(p / x), rtol=1e-9)
        scaled = rows / p[:, None]
        np.testing.assert_allclose(x, bargaining.solve(scaled @ scaled.T, alpha=2.0).weights / p, rtol=1e-9)


# ---- the dual cone ----------------------------------------------------------------------------------------------


def test_one_auxiliary_has_a_closed_form():
    np.testing.assert_allclose(step("primary_auxiliary", [[1, 0], [-1, 1]])[1], [1, 0.5])
    np.testing.assert_allclose(step("primary_auxiliary", [[1, 0], [-1, 1]], primary=1)[1], [1, 1])
    np.testing.assert_allclose(step("primary_auxiliary", [[1, 0], [1, 1]])[1], [1, 0])


def test_upgrad_is_the_mean_over_all_primary_tasks():
    for rows in conflicting():
        parts = [direction("primary_auxiliary", rows, primary=task) for task in range(len(rows))]
        np.testing.assert_allclose(direction("upgrad", rows), np.mean(parts, axis=0), atol=1e-9)
        np.testing.assert_allclose(direction("upgrad", rows, reduction="sum"), np.sum(parts, axis=0), atol=1e-9)


def test_dualproj_is_the_projection_of_the_mean():
    for rows in conflicting():
        mean, update = rows.mean(axis=0), direction("dualproj", rows)
        # Nearer to the mean than other points of the cone, and the obtuse-angle condition of a projection.
        for other in (direction("upgrad", rows), direction("mgda", rows), 2 * update, 0 * update):
            assert (mean - update) @ (other - update) <= 1e-9
        # The mean as a task of its own, primary: its own constraint never binds.
        primary = direction("primary_auxiliary", np.vstack([mean, rows]))
        np.testing.assert_allclose(update, primary, atol=1e-9)
    rows = np.abs(rows)
    np.testing.assert_allclose(direction("dualproj", rows), rows.mean(axis=0))


def test_gem_is_primary_auxiliary():
    for rows in (*conflicting(), GREEDY):
        for primary in (0, 2):
            expected = step("primary_auxiliary", rows, primary=primary)[1]
            np.testing.assert_array_equal(step("gem", rows, primary=primary)[1], expected)


def test_the_margin_of_gem():
    np.testing.assert_allclose(step("gem", [[1, 0], [-1, 1]], margin=2.0)[1], [1, 2])
    np.testing.assert_allclose(step("gem", [[1, 0], [-1, 1]], margin=0.25)[1], [1, 0.5])
    assert step("gem", [[1, 0], [1, 1]], margin=2.0)[1].tolist() == [1, 0]  # nothing conflicts
    assert step("gem", [[1, 0], [-1, 0]], margin=1.0)[1].tolist() == [1, 1]  # g0 + γ g1 = 0
    for rows in conflicting():
        rows[0] -= rows[1:].sum(axis=0)  # every memory conflicts with the current task
        method, weights = step("gem", rows, margin=0.7)
        products = (rows @ rows.T @ weights)[1:]
        # The conditions of min ½‖g0 + Σ λ g‖² over λ >= γ.
        assert weights[0] == pytest.approx(1)
        assert (weights[1:] >= 0.7 - 1e-12).all()
        assert (products >= -1e-9).all()
        assert abs(products @ (weights[1:] - 0.7)) < 1e-9
    assert not method.promises.non_conflicting


def test_agem_protects_the_mean_of_the_memories():
    assert step("agem", [[1, 0], [-1, 0], [2, 1]])[1].tolist() == [1, 0, 0]  # and lets the first one down
    np.testing.assert_allclose(step("agem", [[1, 0], [-2, 1], [0, 1]])[1], [1, 0.25, 0.25])
    for rows in conflicting():
        mean = rows[1:].mean(axis=0)
        update = direction("agem", rows)
        np.testing.assert_allclose(update, direction("primary_auxiliary", [rows[0], mean]), atol=1e-9)
        assert mean @ update >= -1e-12
    assert step("agem", [[1, 0], [-3, 1], [3, -1]])[1].tolist() == [1, 0, 0]  # memories that cancel protect nothing
    assert step("agem", [[1, 0], [-1e-5, 1], [-1e-5, -1]])[1][1] > 1e4  # a short mean is not zero


def test_the_greedy_iteration_ends_elsewhere():
    exact, greedy = step("primary_auxiliary", GREEDY)[1], step("greedy_primary_auxiliary", GREEDY)[1]
    np.testing.assert_allclose(exact, np.array([9, 5, 0, 2]) / 9)
    np.testing.assert_allclose(GREEDY.T @ exact, np.array([2, 1, 2]) / 9)
    np.testing.assert_allclose(greedy, [1, 0.6, 0, 0.2], atol=1e-9)
    np.testing.assert_allclose(GREEDY.T @ greedy, [0.2, 0.2, 0.2], atol=1e-9)
    assert (GREEDY @ GREEDY.T @ greedy >= -1e-9).all()


@pytest.mark.parametrize("name", ["primary_auxiliary", "gem", "agem", "greedy_primary_auxiliary"])
def test_the_primary_task_keeps_its_place(name):
    rows = np.vstack([np.zeros(3), GREEDY])
    weights = step(name, rows, primary=1)[1]
    np.testing.assert_array_equal(weights[1:], step(name, GREEDY)[1])
    assert not step(name, rows, primary=0)[1].any()  # its gradient is zero: there is nothing to follow
    with pytest.raises(InputError, match=f"primary of {name} is 5, but the last of 5 tasks is 4"):
        step(name, rows, primary=5)


# ---- lower bounds -----------------------------------------------------------------------------------------------


def test_pe_ltr_leads_from_mgda_to_fixed_weights():
    for rows in conflicting():
        np.testing.assert_allclose(step("pe_ltr", rows)[1], step("mgda", rows)[1], atol=1e-9)
        assert (step("pe_ltr", rows, lower=0.2)[1] >= 0.2).all()
        fixed = [0.4, 0.1, 0.2, 0.3]
        np.testing.assert_allclose(step("pe_ltr", rows, lower=fixed)[1], fixed)
    np.testing.assert_allclose(step("pe_ltr", np.diag([1.0, 2.0]), lower=[0, 0.5])[1], [0.5, 0.5])
    # The bound of a task without a gradient goes with it.
    np.testing.assert_allclose(step("pe_ltr", [[0, 0], [1, 0], [0, 2]], lower=[0.5, 0, 0.5])[1], [0, 0.5, 0.5])


def test_solving_without_the_bounds_and_then_projecting_is_not_solving():
    rows = np.array([[1.0, 1], [1, -1], [2, 1]])  # v̂ = (3, 1, −2)/2, where Jᵀv̂ = 0
    np.testing.assert_allclose(step("pe_ltr_relaxed", rows)[1], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(step("pe_ltr", rows)[1], [0.5, 0.5, 0], atol=1e-12)
    worse = 0
    for seed in range(40):
        rows = gradients(seed, tasks=3)
        gaps = []
        for name in ("pe_ltr", "pe_ltr_relaxed"):
            method, weights = step(name, rows, lower=0.1)
            assert (weights >= 0.1).all()
            assert weights.sum() == pytest.approx(1)
            gaps.append(relative_gap(method, rows @ rows.T, weights))
        assert gaps[0] < 1e-9
        # Where the relaxed solution is admissible it is the solution.
        assert gaps[1] < 1e-9 or weights.min() < 0.1 + 1e-12
        worse += gaps[1] > 1e-2
    assert 0 < worse < 40


def test_the_relaxed_solver_by_its_own_system():
    rows, lower = gradients(1, tasks=3), np.array([0.2, 0.1, 0.0])
    system = np.block([[rows @ rows.T, np.ones((3, 1))], [np.ones((1, 3)), np.zeros((1, 1))]])
    free = np.linalg.solve(system, np.append(-rows @ rows.T @ lower, 0.7))[:3]
    assert (free > 0).all()  # nothing to project
    np.testing.assert_allclose(step("pe_ltr_relaxed", rows, lower=lower.tolist())[1], lower + free)
    same = step("pe_ltr_relaxed", [[1, 2], [1, 2], [1, 2]])[1]
    np.testing.assert_allclose(same, [1 / 3] * 3)


# ---- options ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "tasks", "sentence"),
    [
        ("pe_ltr", {"lower": 0.6}, 2, "lower of pe_ltr: the bounds of 2 tasks sum to 1.2, the weights to 1"),
        ("pe_ltr", {"lower": [0.1]}, 2, "lower of pe_ltr: 1 given for 2 tasks"),
        ("pe_ltr_relaxed", {"lower": [0.1, -0.1]}, 2, r"lower\[1\] of pe_ltr_relaxed must be a finite number"),
        ("pe_ltr", {"lower": "0.1"}, 2, "lower of pe_ltr must be a finite number of at least 0, got '0.1'"),
        ("pivrg", {"references": [1.0]}, 2, "references of pivrg: 1 given for 2 tasks"),
        ("pivrg", {"references": [1.0, 0.0]}, 2, r"references\[1\] of pivrg must not be 0"),
        ("pivrg", {"bound": 1}, 2, "bound of pivrg must be above 1"),
        ("fairgrad", {"alpha": 1e5}, 2, "alpha of fairgrad must be at most 10000"),
        ("fairgrad", {"alpha": 0}, 2, "alpha of fairgrad must be a finite number of at least 0.001"),
        ("cagrad", {"rescale": "1/(1+c2)"}, 2, "unknown rescale of cagrad"),
        ("greedy_primary_auxiliary", {"solver": "exact"}, 2, "unknown solver of greedy_primary_auxiliary 'exact'"),
        ("upgrad", {"solver": "activeset"}, 2, "did you mean 'active_set'"),
        ("primary_auxiliary", {"primary": 1.5}, 2, "primary of primary_auxiliary must be an integer"),
    ],
)
def test_wrong_options(name, options, tasks, sentence):
    with pytest.raises(InputError, match=sentence):
        methods.get(name, **options).check_tasks(tasks)
    with pytest.raises(InputError, match=sentence):
        step(name, np.eye(tasks), **options)


def test_pivrg_needs_the_losses():
    with pytest.raises(InputError, match="forms its scores from the losses"):
        methods.get("pivrg").weights(gramian=np.eye(2))


def test_a_solver_that_stops_short_promises_nothing():
    assert not methods.get("upgrad", solver="hildreth").promises.non_conflicting
    assert methods.get("upgrad", solver="exact").promises.non_conflicting
    assert not methods.get("pe_ltr", lower=0.1).promises.non_conflicting
    assert not methods.get("pe_ltr", lower=[0.1, 0.2]).promises.permutation


def test_the_audit_knows_the_arguments_of_every_room():
    """With the defaults of the rooms the same weights would be judged wrong."""
    rows = conflicting(1, common=1.0)[0]
    gramian = rows @ rows.T
    for name, options, certificate in (
        ("cagrad", {"radius": 0.7}, ball.certificate),
        ("fairgrad", {"alpha": 3.0}, bargaining.certificate),
        ("primary_auxiliary", {"primary": 1}, dual_cone.certificate),
        ("pe_ltr", {"lower": 0.1}, min_norm.certificate),
    ):
        method, weights = step(name, rows, **options)
        assert relative_gap(method, gramian, weights) < 1e-9
        assert certificate(gramian, method.solution.weights) > 1e-3


NONE = Changes(np.zeros(4), np.zeros(4))


def test_a_projection_that_ends_at_the_edge_of_the_cone_is_no_conflict():
    record, products = Audit(1), []
    for rows in conflicting():
        method, weights = step("dualproj", rows)
        gramian = rows @ rows.T
        products.append((gramian @ weights).min())
        record.add(0, 1, Measured(gramian, gramian), NONE, method, SimpleNamespace(weights=weights, gramian=gramian))
    assert min(products) < 0  # by rounding alone
    assert record.summary(0)["update_conflict_rate"] == 0
    assert record.summary(0)["worst_gap"] < 1e-9
    assert record.summary(0, stationary_events=3)["stationary_events"] == 3


@pytest.mark.parametrize("name", ["nash_mtl", "pivrg"])
def test_a_period_goes_on_where_it_was_left(name):
    method, resumed = methods.get(name, update_every=2), methods.get(name, update_every=2)
    problems = [(rows @ rows.T, np.array([seed + 1.0, 2, 3, 4])) for seed, rows in enumerate(conflicting(common=1.0))]
    for gramian, losses in problems[:3]:
        method.weights(gramian=gramian, losses=losses)
    resumed.load_state_dict(method.state_dict())
    for gramian, losses in problems[3:]:
        expected = method.weights(gramian=gramian, losses=losses)
        assert resumed.weights(gramian=gramian, losses=losses).tobytes() == expected.tobytes()
    assert method.steps != 3  # the period was renewed
