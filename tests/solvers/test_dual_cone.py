"""The dual cone room: witnesses, agreement with the referee, degenerate cases, hard Gramians, wrong arguments."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction

import cvxpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlbench.referee.families import FAMILIES, draw
from mtlbench.solvers import InvalidGramian, SolverFailed, dual_cone
from mtlbench.solvers.dual_cone import active_set, pivoting
from mtlbench.solvers.dual_cone.problem import Problem, unscaled

EPS = 2.0**-52
SOLVERS = ("active_set", "exact", "hildreth")
WITNESS = np.array([[1.0, -1, 0], [-1, 2, 0], [0, -1, 1], [-1, 0, 1]])
"""g_0 and three auxiliaries: every method of the room can be followed by hand."""


def rows(size: int, seed: int = 0, dimension: int | None = None) -> np.ndarray:
    return np.random.default_rng([seed, size]).standard_normal((size, dimension or 2 * size))


def gram(j: np.ndarray) -> np.ndarray:
    product = j @ j.T
    return (product + product.T) / 2


def norms(size: int, largest: float) -> np.ndarray:
    return np.random.default_rng(size).permutation(np.geomspace(1, largest, size))[:, None]


def primary(size: int) -> np.ndarray:
    return np.eye(size)[0]


def opposed(size: int) -> np.ndarray:
    j = rows(size)
    half = size // 2
    return np.vstack([j[: size - half], -j[:half] * (0.1 + np.arange(half))[:, None]])


def single(j: np.ndarray) -> np.ndarray:
    """The Gramian as single precision computes it."""
    product = (j.astype(np.float32) @ j.T.astype(np.float32)).astype(np.float64)
    return (product + product.T) / 2


HARD = {
    "norms 1 to 1e6": lambda k: gram(rows(k) * norms(k, 1e6)),
    "one row by 1e-8": lambda k: gram(np.vstack([1e-8 * rows(k)[:1], rows(k)[1:]])),
    "one row by 1e8": lambda k: gram(np.vstack([1e8 * rows(k)[:1], rows(k)[1:]])),
    "zero in the hull, norms 1 to 1e6": lambda k: gram((rows(k) - rows(k).mean(axis=0)) * norms(k, 1e6)),
    "duplicates, norms 1 to 1e6": lambda k: gram(np.repeat(rows(k) * norms(k, 1e6), 2, axis=0)[:k]),
    "opposed pairs": lambda k: gram(opposed(k)),
    "opposed pairs, norms 1 to 1e6": lambda k: gram(opposed(k) * norms(k, 1e6)),
    "rank 3": lambda k: gram(rows(k, dimension=3)),
    "rank 3, norms 1 to 1e6": lambda k: gram(rows(k, dimension=3) * norms(k, 1e6)),
    "small integers": lambda k: gram(np.round(rows(k, dimension=k))),
    "two lines, opposed to 1e-5": lambda k: gram(
        (rows(1, 5, 2 * k) + 1e-5 * rows(k)) * (-1.0) ** np.arange(k)[:, None]
    ),
    "two lines, opposed to 1e-7": lambda k: gram(
        (rows(1, 5, 2 * k) + 1e-7 * rows(k)) * (-1.0) ** np.arange(k)[:, None]
    ),
    "single precision": lambda k: single(rows(k)),
    "single precision, rank 3": lambda k: single(rows(k, dimension=3)),
    "single precision, zero in the hull": lambda k: single(rows(k) - rows(k).mean(axis=0)),
    "single precision, one line": lambda k: single(rows(1, 5, 900) + 1e-3 * rows(k, dimension=900)),
}


def preferences(size: int) -> dict[str, np.ndarray]:
    signs = np.random.default_rng(size).standard_normal(size)
    return {"mean": np.full(size, 1 / size), "primary": primary(size), "every": np.eye(size) / size, "signed": signs}


def test_the_integer_witness():
    gramian, p = gram(WITNESS), primary(4)
    for name in SOLVERS:
        weights = dual_cone.solve(gramian, p, name).weights
        np.testing.assert_allclose(weights, [1, 5 / 9, 0, 2 / 9], atol=1e-10)
        np.testing.assert_allclose(WITNESS.T @ weights, np.array([2, 1, 2]) / 9, atol=1e-10)
    greedy = dual_cone.solve(gramian, p, "greedy")
    np.testing.assert_allclose(greedy.weights, [1, 0.6, 0, 0.2], atol=1e-15)
    np.testing.assert_allclose(WITNESS.T @ greedy.weights, [0.2, 0.2, 0.2], atol=1e-15)
    assert greedy.non_conflicting
    assert not greedy.converged
    assert dual_cone.algorithm("greedy").summary.startswith("not a solver")


def test_greedy_ends_feasible_and_often_off_the_optimum():
    off = 0
    for seed in range(100):
        gramian = gram(rows(5, seed, 6))
        best = dual_cone.solve(gramian, primary(5))
        greedy = dual_cone.solve(gramian, primary(5), "greedy", max_iterations=5000)
        products = gramian @ greedy.weights
        assert products.min() >= -1e-9 * gramian.max()
        value, least = (dual_cone.objective(gramian, s.weights, primary(5)) for s in (greedy, best))
        assert value >= least * (1 - 1e-9)
        off += value > least * 1.001
    assert 10 <= off <= 90


def test_one_conflict_has_the_closed_form_of_a_gem():
    for seed in range(20):
        gramian = gram(rows(2, seed))
        weights = dual_cone.solve(gramian, [1.0, 0.0]).weights
        np.testing.assert_allclose(weights, [1, max(0, -gramian[0, 1]) / gramian[1, 1]], atol=1e-14)
        # A-GEM is GEM with the auxiliaries' mean as the only one; the mean is then in no conflict, one of them may be.
        j = rows(4, seed)
        averaged = np.vstack([j[0], j[1:].mean(axis=0)])
        multiplier = dual_cone.solve(gram(averaged), [1.0, 0.0]).weights[1]
        u = averaged.T @ [1, multiplier]
        assert averaged[1] @ u >= -1e-12
        assert np.linalg.norm(u) >= np.linalg.norm(j.T @ dual_cone.solve(gram(j), primary(4)).weights) - 1e-12


def test_a_primary_task_with_auxiliaries_is_gem():
    for seed in range(10):
        j = rows(5, seed, 6)
        u = cvxpy.Variable(6)
        cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(u - j[0])), [j[1:] @ u >= 0]).solve(solver=cvxpy.CLARABEL)
        weights = dual_cone.solve(gram(j), primary(5)).weights
        assert weights[0] == 1
        np.testing.assert_allclose(j.T @ weights, u.value, atol=1e-6)


def test_upgrad_of_two_tasks_is_twice_what_pcgrad_sums():
    gramian = gram(rows(2, 3))
    if gramian[0, 1] > 0:
        gramian[0, 1] = gramian[1, 0] = -gramian[0, 1]
    both = dual_cone.solve(gramian, np.eye(2)).weights.sum(axis=0)
    pcgrad = 1 - gramian[0, 1] / gramian.diagonal()
    np.testing.assert_allclose(both, pcgrad, rtol=1e-14)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_solvers_agree_with_the_referee(family):
    for size in (1, 2, 3, 5, 8, 16, 32):
        gramian = draw(family, size)
        for kind, p in preferences(size).items():
            if kind == "every" and size > 8:
                continue
            exact = dual_cone.solve(gramian, p, "exact")
            ours = dual_cone.solve(gramian, p)
            assert exact.converged
            assert ours.converged
            assert ours.non_conflicting
            difference = np.atleast_2d(exact.weights - ours.weights)
            scale = (np.abs(np.atleast_2d(p)) @ np.sqrt(gramian.diagonal())).max() or 1.0
            assert (
                np.sqrt(np.maximum(np.einsum("ri,ij,rj->r", difference, gramian, difference), 0)).max() <= 1e-5 * scale
            )


@pytest.mark.parametrize("kind", HARD)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 16, 32, 64])
def test_the_default_is_converged_on_hard_gramians(kind, size):
    gramian = HARD[kind](size)
    for p in preferences(size).values():
        solution = dual_cone.solve(gramian, p)
        assert solution.converged
        assert (solution.weights >= p).all()
        assert solution.gap == dual_cone.certificate(gramian, solution.weights, p)
        assert solution.gap <= dual_cone.tolerated_gap(gramian, 1e-11, p, solution.weights)


@pytest.mark.parametrize("kind", HARD)
def test_the_referee_is_converged_on_hard_gramians(kind):
    for size in (2, 5, 12):
        for name, p in preferences(size).items():
            assert dual_cone.solve(HARD[kind](size), p[:2] if name == "every" else p, "exact").converged


def test_the_default_works_at_128_and_256_tasks():
    for size in (128, 256):
        for kind in ("norms 1 to 1e6", "rank 3", "opposed pairs"):
            assert dual_cone.solve(HARD[kind](size)).converged
    assert dual_cone.solve(HARD["norms 1 to 1e6"](128), np.eye(128)).converged


def test_no_conflict_is_promised_at_norms_1_to_1e6():
    for size in (2, 3, 5, 10, 32, 64):
        j = rows(size) * norms(size, 1e6)
        weights = {
            "upgrad": dual_cone.solve(gram(j), np.eye(size) / size).weights.sum(axis=0),
            "dualproj": dual_cone.solve(gram(j)).weights,
            "primary": dual_cone.solve(gram(j), primary(size)).weights,
        }
        for w in weights.values():
            u = j.T @ w
            assert ((j @ u) / (np.linalg.norm(j, axis=1) * np.linalg.norm(u))).min() >= -1e-9


def test_a_matrix_of_rows_is_its_rows_one_by_one():
    gramian = gram(rows(6, 4))
    p = np.vstack([np.eye(6), np.full(6, 1 / 6), -np.eye(6)[:1]])
    for name in dual_cone.ALGORITHMS:
        whole = dual_cone.solve(gramian, p, name, max_iterations=300)
        alone = [dual_cone.solve(gramian, row, name, max_iterations=300) for row in p]
        assert whole.weights.shape == p.shape
        np.testing.assert_allclose(whole.weights, [s.weights for s in alone], atol=1e-9)
        assert whole.gap == dual_cone.certificate(gramian, whole.weights, p)
        assert whole.converged is all(s.converged for s in alone)
        if name != "active_set":  # its rows start from one another
            assert whole.iterations == sum(s.iterations for s in alone)


def test_one_row_out_of_tolerance_is_enough():
    gramian = gram(rows(4, 1))
    p = np.eye(4)
    weights = dual_cone.solve(gramian, p).weights
    problem = Problem(gramian, 1e-11, p)
    assert problem.judged(weights, 0).converged
    weights[2] += 1e-6
    assert not problem.judged(weights, 0).converged


def test_the_certificate_against_rational_arithmetic():
    gramian = gram(rows(5, 2) * norms(5, 1e4))
    p = np.array([0.3, -0.1, 0.2, 0.0, 0.4])
    v = p + np.array([0.1, 0.0, 1e-3, 2.0, -1e-4])

    def form(x, y):
        return sum(
            Fraction(a) * Fraction(g) * Fraction(b)
            for a, r in zip(x, gramian, strict=True)
            for g, b in zip(r, y, strict=True)
        )

    square = float(form(p.tolist(), p.tolist()))
    unit = np.eye(5).tolist()
    products = np.array([float(form(e, v.tolist())) for e in unit])
    multipliers = [Fraction(a) - Fraction(b) for a, b in zip(v.tolist(), p.tolist(), strict=True)]
    slackness = float(sum(m * form(e, v.tolist()) for m, e in zip(multipliers, unit, strict=True)))
    expected = max(
        (p - v).max() / max(1, np.abs(v).max()),
        (-products / np.sqrt(gramian.diagonal())).max() / np.sqrt(square),
        abs(slackness) / square,
    )
    assert dual_cone.certificate(gramian, v, p) == pytest.approx(expected, rel=1e-13)
    assert dual_cone.objective(gramian, v, p) == pytest.approx(float(form(v.tolist(), v.tolist())) / 2, rel=1e-14)


@pytest.mark.parametrize("violation", ["v below p", "conflict", "slackness"])
def test_each_condition_is_seen(violation):
    gramian = np.array([[1.0, -0.5], [-0.5, 4.0]])
    right = dual_cone.solve(gramian, [1.0, 0.0]).weights
    np.testing.assert_allclose(right, [1, 0.125])
    wrong = {"v below p": [0.9, 0.125], "conflict": [1.0, 0.1], "slackness": [1.0, 0.3]}[violation]
    assert dual_cone.certificate(gramian, right, [1.0, 0.0]) < 1e-15
    assert dual_cone.certificate(gramian, wrong, [1.0, 0.0]) > 0.01


@pytest.mark.parametrize("name", dual_cone.ALGORITHMS)
def test_policies_for_degenerate_inputs(name):
    # No conflict: v = p. A zero row: no multiplier. Jᵀp = 0: v = p, gap 0.
    np.testing.assert_array_equal(dual_cone.solve(np.eye(3), None, "active_set").weights, np.full(3, 1 / 3))
    gramian = gram(rows(5, 6))
    gramian[2] = gramian[:, 2] = 0.0
    p = np.array([0.5, 0.1, 0.7, 0.0, -0.3])
    solution = dual_cone.solve(gramian, p, name, max_iterations=2000)
    assert solution.weights[2] == 0.7
    assert np.isfinite(solution.weights).all()
    for matrix, v in [
        (np.zeros((3, 3)), p[:3]),
        (gramian, 9.0 * np.eye(5)[2]),
        (np.array([[1.0, -1], [-1, 1]]), [2.0, 2.0]),
    ]:
        stationary = dual_cone.solve(matrix, v, name)
        np.testing.assert_array_equal(stationary.weights, v)
        assert stationary[1:4] == (0.0, 0, True)


def test_where_the_projection_is_of_zero_another_v_is_measured_by_its_direction():
    gramian = np.array([[1.0, -1.0], [-1.0, 1.0]])
    assert dual_cone.certificate(gramian, [2.0, 2.0], [1.0, 1.0]) == 0
    assert dual_cone.certificate(gramian, [2.0, 1.0], [1.0, 1.0]) == pytest.approx(1 / 3)


def test_a_task_that_the_preference_pushes_uphill_is_pushed_back():
    # K = 1: the only directions without a conflict from −g are 0.
    assert dual_cone.solve([[4.0]], [-1.0]).weights.tolist() == [0.0]
    assert dual_cone.solve([[4.0]], [3.0]).weights.tolist() == [3.0]
    gramian = gram(rows(4, 8))
    for name in SOLVERS:
        solution = dual_cone.solve(gramian, [1.0, -2.0, 0.5, -0.1], name)
        assert solution.converged
        assert (gramian @ solution.weights).min() >= -1e-9 * gramian.max()


def test_opposed_gradients_leave_nothing():
    gramian = np.array([[1.0, -3.0], [-3.0, 9.0]])
    for name in SOLVERS:
        solution = dual_cone.solve(gramian, np.eye(2), name)
        assert solution.converged
        np.testing.assert_allclose(solution.weights, [[1, 1 / 3], [3, 1]], atol=1e-9)


@pytest.mark.parametrize("name", dual_cone.ALGORITHMS)
def test_weights_do_not_depend_on_the_scale(name):
    gramian, p = gram(rows(5, 9)), primary(5)
    solution = dual_cone.solve(gramian, p, name, max_iterations=40)
    for power in (-600, -1, 7, 600):
        scaled = dual_cone.solve(np.ldexp(gramian, power), p, name, max_iterations=40)
        np.testing.assert_array_equal(scaled.weights, solution.weights)
        assert scaled[1:] == solution[1:]
    for scale in (1e-200, 0.3, 1e200):
        scaled = dual_cone.solve(scale * gramian, p, name, max_iterations=40)
        np.testing.assert_allclose(scaled.weights, solution.weights, atol=1e-9)
    for scale in (1e-200, 1e200):
        scaled = dual_cone.solve(gramian, scale * p, name, max_iterations=40)
        np.testing.assert_allclose(scaled.weights, scale * solution.weights, rtol=1e-8, atol=1e-9 * scale)


def test_scaling_one_row_scales_its_multiplier():
    j = rows(5, 10)
    weights = dual_cone.solve(gram(j), primary(5)).weights
    for factor in (1e-8, 3.0, 1e8):
        scales = np.array([1, 1, factor, 1, 1])
        scaled = dual_cone.solve(gram(j * scales[:, None]), primary(5))
        assert scaled.converged
        np.testing.assert_allclose(scaled.weights * scales, weights, atol=1e-9)


def test_permuting_the_tasks_permutes_the_weights():
    gramian, order = gram(rows(7, 11)), np.random.default_rng(1).permutation(7)
    for name in SOLVERS:
        weights = dual_cone.solve(gramian, np.eye(7), name).weights
        permuted = dual_cone.solve(gramian[np.ix_(order, order)], np.eye(7), name).weights
        np.testing.assert_allclose(permuted, weights[np.ix_(order, order)], atol=1e-9)


def test_hildreth_and_exponentiated_gradient_never_rise_and_come_down():
    for seed in range(5):
        gramian = gram(rows(6, seed, 7))
        least = dual_cone.objective(gramian, dual_cone.solve(gramian).weights)
        for name, tenth in (("hildreth", 1e-3), ("exponentiated_gradient", 1e-1)):
            entries = list(dual_cone.trace(gramian, name, 300))
            values = np.array([entry[2] for entry in entries])
            assert (np.diff(values) <= 1e-14 * values[0]).all()
            assert values[-1] - least <= tenth * (values[0] - least) + 1e-12 * values[0]
            for _, weights, value, gap, _ in entries[:20]:
                assert value == dual_cone.objective(gramian, weights)
                assert gap == dual_cone.certificate(gramian, weights)


def test_exponentiated_gradient_keeps_its_bound():
    gramian, p = gram(rows(5, 12, 6)), primary(5)
    best = dual_cone.solve(gramian, p).weights
    subject = Problem(gramian, 0.0, p).subject
    least = dual_cone.objective(gramian, best, p)
    lengths = np.sqrt(gramian.diagonal())
    norm = np.sqrt(p @ gramian @ p)
    target = (best - p) * lengths / norm
    divergence = float(np.sum(np.where(target > 0, target * np.log(np.where(target > 0, target, 1)), 0) - target + 1))
    assert subject.squares[0] > 0
    # Every step is at least 1 / (3 max Σ x), Σ x <= K norm here at the start and falling: a weak form of the bound.
    for iteration, _, value, _, _ in dual_cone.trace(gramian, "exponentiated_gradient", 200, p):
        if iteration:
            assert value - least <= 16 * 5 * norm**2 * divergence / iteration


def test_the_iteration_limit_is_counted_and_is_no_success():
    gramian = gram(rows(16, 13, 20))
    for name in dual_cone.ALGORITHMS:
        solution = dual_cone.solve(gramian, primary(16), name, max_iterations=1)
        assert solution.iterations == 1
        assert not solution.converged
        assert (solution.weights >= primary(16)).all()


def test_extended_precision_takes_over_and_is_right(monkeypatch):
    def gives_up(cosines, roots, starts, squares, limit):
        count = len(starts)
        return starts.copy(), np.zeros(count, dtype=np.int64), np.zeros(count, dtype=bool)

    monkeypatch.setattr(active_set, "projected", gives_up)
    for kind in ("norms 1 to 1e6", "rank 3", "opposed pairs", "single precision, rank 3"):
        gramian = HARD[kind](12)
        problem = Problem(gramian, 1e-11, np.eye(12))
        solution = problem.judged(*active_set.direct(problem.subject, 10_000))
        assert solution.converged
        assert solution.iterations > 0
        assert (solution.weights >= np.eye(12)).all()


def test_the_active_set_is_independent_and_its_iterations_few():
    gramian = gram(rows(40, 14, 10))
    subject = Problem(gramian, 0.0, np.eye(40)).subject
    points, moves, solved = pivoting.projected(subject.cosines, subject.roots, subject.starts, subject.squares, 10_000)
    assert solved.all()
    assert ((points > subject.starts).sum(axis=1) <= 10).all()
    assert moves.max() <= 80
    np.testing.assert_array_equal(unscaled(subject, points), dual_cone.solve(gramian, np.eye(40)).weights)


def test_duplicates_and_an_indefinite_matrix_end():
    rng = np.random.default_rng(0)
    for size in (3, 6, 20):
        matrix = rng.uniform(-1, 1, (size, size))
        matrix = (matrix + matrix.T) / 2
        np.fill_diagonal(matrix, 1.0)
        solution = dual_cone.solve(matrix, np.eye(size), max_iterations=200)
        assert np.isfinite(solution.weights).all()
        assert solution.gap == dual_cone.certificate(matrix, solution.weights, np.eye(size))
    with pytest.raises(InvalidGramian, match="smallest eigenvalue"):
        dual_cone.solve(1e7 * np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]]), None, "exact")


@pytest.mark.parametrize(
    ("preference", "sentence"),
    [
        ([1.0, 0.0], r"preference must have the shape \(3,\) or \(R, 3\) with R >= 1, got \(2,\)"),
        (np.zeros((0, 3)), r"got \(0, 3\)"),
        (np.zeros((1, 1, 3)), r"got \(1, 1, 3\)"),
        (2.0, r"got \(\)"),
        ([1.0, np.nan, 0.0], "preference must be finite, got nan"),
        ([1.0, 0.0, -np.inf], "preference must be finite, got -inf"),
        ("mean", "preference must be real numbers"),
        ([[1.0, 0.0, 0.0], [1.0]], "preference must be real numbers"),
    ],
)
def test_a_wrong_preference_gets_a_sentence(preference, sentence):
    for call in (dual_cone.solve, lambda g, p: dual_cone.solve(g, p, "hildreth")):
        with pytest.raises(ValueError, match=sentence):
            call(np.eye(3), preference)
    with pytest.raises(ValueError, match=sentence):
        dual_cone.certificate(np.eye(3), [1.0, 0.0, 0.0], preference)


def test_other_wrong_arguments_get_a_sentence():
    with pytest.raises(ValueError, match=r"weights must have the shape of the preference, \(2, 2\), got \(2,\)"):
        dual_cone.certificate(np.eye(2), [1.0, 0.0], np.eye(2))
    with pytest.raises(ValueError, match="weights must be finite, got nan"):
        dual_cone.objective(np.eye(2), [1.0, np.nan])
    with pytest.raises(ValueError, match=r"trace follows one preference, of shape \(2,\)"):
        dual_cone.trace(np.eye(2), "hildreth", 5, np.eye(2))
    for wrong in (np.ones((2, 3)), [[1.0, 0.0], [0.0, -2.0]], [[1.0, np.nan], [np.nan, 1.0]]):
        with pytest.raises(InvalidGramian):
            dual_cone.solve(wrong)


def test_every_form_of_the_same_numbers_has_the_same_solution():
    torch = pytest.importorskip("torch")
    gramian, p = gram(np.round(4 * rows(4, 15))), np.array([0.5, 0.25, 1.0, -0.5])
    expected = dual_cone.solve(gramian, p)
    read_only = gramian.copy()
    read_only.setflags(write=False)
    for g in (
        gramian.tolist(),
        np.asfortranarray(gramian),
        read_only,
        torch.tensor(gramian),
        gramian.astype(np.float32),
    ):
        for q in (p.tolist(), p.astype(np.float32), torch.tensor(p), np.repeat(p, 2)[::2]):
            solution = dual_cone.solve(g, q)
            np.testing.assert_array_equal(solution.weights, expected.weights)
            assert solution.weights.flags.writeable


def test_inputs_are_never_written_to_nor_handed_back():
    gramian, p = gram(rows(4, 16)), np.eye(4)
    before = gramian.copy(), p.copy()
    for name in dual_cone.ALGORITHMS:
        dual_cone.solve(gramian, p, name, max_iterations=5).weights[:] = 7.0
        dual_cone.solve(np.zeros((4, 4)), p, name).weights[:] = 7.0
        dual_cone.solve(gramian, p[0], name, max_iterations=5).weights[:] = 7.0
    np.testing.assert_array_equal(gramian, before[0])
    np.testing.assert_array_equal(p, before[1])


def test_exact_fails_with_a_sentence_and_never_falls_back(monkeypatch):
    def fails(*_, **__):
        raise cvxpy.error.SolverError("numbers ran out")

    monkeypatch.setattr(cvxpy.Problem, "solve", fails)
    with pytest.raises(SolverFailed, match="exact: CLARABEL gave no solution for 3 tasks: numbers ran out"):
        dual_cone.solve(gram(rows(3)), None, "exact")
    monkeypatch.setattr(cvxpy.Problem, "solve", lambda *_, **__: None)
    with pytest.raises(SolverFailed, match="its status is None"):
        dual_cone.solve(gram(rows(3)), None, "exact")


def test_the_default_needs_neither_torch_nor_cvxpy_and_has_the_same_bits_without_compilation():
    code = (
        "import sys, numpy as np; from mtlbench.solvers import dual_cone;"
        "j = np.random.default_rng(0).standard_normal((6, 7)); g = j @ j.T; g = (g + g.T) / 2;"
        "s = dual_cone.solve(g, np.eye(6)); h = dual_cone.solve(g, None, 'hildreth', max_iterations=20);"
        "print(s.weights.tobytes().hex(), h.weights.tobytes().hex(), s.converged);"
        "assert not {'torch', 'cvxpy'} & set(sys.modules)"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "NUMBA_DISABLE_JIT": flag},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for flag in ("0", "1")
    ]
    assert runs[0] == runs[1]
    assert runs[0].endswith("True\n")


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 9),
    dimension=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
    spread=st.floats(0, 6),
    integers=st.booleans(),
)
def test_any_gramian_and_preference_is_solved_and_certified(size, dimension, seed, spread, integers):
    rng = np.random.default_rng(seed)
    j = rng.standard_normal((size, dimension)) * 10.0 ** rng.uniform(0, spread, (size, 1))
    if integers:
        j = np.round(rng.standard_normal((size, dimension)))
    gramian = gram(j)
    p = rng.standard_normal((3, size)) * (rng.random((3, size)) < 0.7)
    solution = dual_cone.solve(gramian, p)
    assert solution.converged
    assert (solution.weights >= p).all()
    # The projection is never longer than what was projected, and the identity <u, u> = <Jᵀp, u> holds.
    for v, q in zip(solution.weights, p, strict=True):
        u, g = j.T @ v, j.T @ q
        parts = np.linalg.norm(j, axis=1) @ (np.abs(v) + np.abs(q))
        assert np.linalg.norm(u) <= np.linalg.norm(g) + 1e-9 * parts
        assert abs(u @ u - g @ u) <= 1e-9 * parts**2
