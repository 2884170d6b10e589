"""`active_set` and `exact` where others give up, and what they say when they cannot answer."""

from __future__ import annotations

import subprocess
import sys
import warnings

import cvxpy
import numpy as np
import pytest

from mtlbench.solvers import SolverFailed, min_norm
from mtlbench.solvers.min_norm import active_set

SIZES = (1, 2, 3, 5, 8, 16, 32, 64)


def rows(size: int, kind: str) -> np.ndarray:
    rng = np.random.default_rng([len(kind), size])
    j = rng.standard_normal((size, 2 * size))
    line = rng.standard_normal(2 * size)
    norms = rng.permutation(np.geomspace(1, 1e6, size))[:, None]
    return KINDS[kind](j, line, norms)


def opposed_pairs(j, line, norms):
    half = len(j) // 2
    return np.vstack([j[: len(j) - half], -j[:half] * (0.1 + np.arange(half))[:, None]])


KINDS = {
    "gaussian": lambda j, line, norms: j,
    "norms 1 to 1e6": lambda j, line, norms: j * norms,
    "one norm of 1e-8": lambda j, line, norms: np.vstack([1e-8 * j[:1], j[1:]]),
    "collinear to 1e-5": lambda j, line, norms: line + 1e-5 * j,
    "collinear to 1e-8": lambda j, line, norms: line + 1e-8 * j,
    "collinear, norms 1 to 1e6": lambda j, line, norms: (line + 1e-4 * j) * norms,
    "duplicates, norms 1 to 1e6": lambda j, line, norms: np.repeat(j * norms, 2, axis=0)[: len(j)],
    "zero in the hull, norms 1 to 1e6": lambda j, line, norms: (j - j.mean(axis=0)) * norms,
    "opposed pairs": opposed_pairs,
    "rank 3": lambda j, line, norms: j[:, :3] + [2.0, 0.0, 0.0][: j.shape[1]],
    "small integers": lambda j, line, norms: np.round(j[:, : len(j)]) + np.eye(len(j)),
    "every task in the support": lambda j, line, norms: np.hstack([j, 20 * np.eye(len(j))]),
}


def gramian(size: int, kind: str) -> np.ndarray:
    j = rows(size, kind)
    product = j @ j.T
    return (product + product.T) / 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [*SIZES, 128])
def test_active_set_meets_the_default_tolerance(kind, size):
    problem = gramian(size, kind)
    solution = min_norm.solve(problem, "active_set")
    assert solution.converged
    # One step may cost K of these; more would be a search through the supports.
    assert solution.iterations <= 2 * size


@pytest.mark.parametrize("kind", KINDS)
def test_exact_meets_the_default_tolerance(kind):
    for size in SIZES:
        assert min_norm.solve(gramian(size, kind), "exact").converged


def test_active_set_promises_no_conflict_at_norms_1_to_1e6():
    for size in SIZES:
        j = rows(size, "norms 1 to 1e6")
        weights = min_norm.solve(gramian(size, "norms 1 to 1e6")).weights
        u = j.T @ weights
        cosines = (j @ u) / (np.linalg.norm(j, axis=1) * np.linalg.norm(u))
        assert cosines.min() >= -1e-9


def test_active_set_works_at_256_tasks():
    for kind in ("gaussian", "norms 1 to 1e6", "every task in the support"):
        assert min_norm.solve(gramian(256, kind)).converged


def test_a_single_precision_gramian_with_negative_eigenvalues_is_solved():
    rng = np.random.default_rng(3)
    line = rng.standard_normal(3000)
    for size in (3, 10, 40):
        j = (line + 1e-3 * rng.standard_normal((size, 3000))).astype(np.float32)
        for name in ("active_set", "exact"):
            assert min_norm.solve(j @ j.T, name).converged


def test_an_indefinite_matrix_ends_and_is_judged():
    rng = np.random.default_rng(0)
    for size in (3, 6, 20):
        matrix = rng.uniform(-1, 1, (size, size))
        matrix = (matrix + matrix.T) / 2
        np.fill_diagonal(matrix, 1.0)
        solution = min_norm.solve(matrix, max_iterations=200)
        assert solution.iterations <= 200
        assert solution.gap == min_norm.certificate(matrix, solution.weights)
        assert solution.converged is (solution.gap <= min_norm.tolerated_gap(matrix))


def test_no_support_of_active_set_returns():
    for kind in KINDS:
        problem = gramian(20, kind)
        objectives = [step[2] for step in min_norm.trace(problem, "active_set", 100)]
        assert len(objectives) < 100
        assert (np.diff(objectives) <= 1e-15 * problem.max()).all()


def test_the_rescue_by_extended_precision_is_used_and_right():
    # Three tasks that nearly depend on each other: float64 pivots are noise.
    basis = np.random.default_rng(1).standard_normal((2, 8))
    j = np.vstack([basis, 0.5 * basis.sum(axis=0) + 1e-7 * np.random.default_rng(2).standard_normal(8)])
    system = active_set.scaled_system(j @ j.T)
    factor, failed = active_set.cholesky(system, np.arange(3))
    assert failed is None
    assert factor.dtype == np.longdouble
    x = active_set.solved(system, np.arange(3), factor, system.exact_v)
    assert np.abs(system.exact_matrix @ x - system.exact_v).max() < 1e-16 * np.abs(x).max()
    assert min_norm.solve(j @ j.T).converged


def test_exact_is_silent_and_counts_the_iterations_of_the_package():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hurried = min_norm.solve(gramian(16, "gaussian"), "exact", max_iterations=2)
        whole = min_norm.solve(gramian(16, "gaussian"), "exact")
        min_norm.solve(gramian(16, "opposed pairs"), "exact")
    assert hurried.iterations <= 2
    assert not hurried.converged
    assert whole.converged
    assert 2 < whole.iterations < 60


def test_exact_fails_with_a_sentence_and_never_falls_back(monkeypatch):
    def fails(*_, **__):
        raise cvxpy.error.SolverError("numbers ran out")

    monkeypatch.setattr(cvxpy.Problem, "solve", fails)
    with pytest.raises(SolverFailed, match="exact: CLARABEL gave no solution for 5 tasks: numbers ran out"):
        min_norm.solve(gramian(5, "gaussian"), "exact")
    monkeypatch.setattr(cvxpy.Problem, "solve", lambda *_, **__: None)
    with pytest.raises(SolverFailed, match="its status is None"):
        min_norm.solve(gramian(2, "gaussian"), "exact")


def test_the_default_needs_neither_torch_nor_cvxpy():
    code = (
        "import sys; from mtlbench.solvers import min_norm; "
        "assert min_norm.solve([[2.0, 0.1, 0.2], [0.1, 1.0, 0.3], [0.2, 0.3, 4.0]]).converged; "
        "assert not {'torch', 'cvxpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_algorithm_calls_another(monkeypatch):
    problem = gramian(6, "gaussian")
    records = {name: min_norm.algorithm(name) for name in min_norm.ALGORITHMS}
    for name in records:
        for other, record in records.items():
            if other != name:
                module = sys.modules[f"mtlbench.solvers.min_norm.{record.name}"]
                for function in ("start", "step", "direct"):
                    if hasattr(module, function):
                        monkeypatch.setattr(module, function, forbidden)
        assert min_norm.solve(problem, name, max_iterations=30).weights.sum() == pytest.approx(1)
        monkeypatch.undo()


def forbidden(*_, **__):
    raise AssertionError("an algorithm called another one")


def test_the_zero_in_the_hull_is_found():
    for size in (2, 3, 10, 40):
        j = rows(size, "gaussian")
        share = np.arange(1, size + 1) / (size * (size + 1) / 2)
        j = j - share @ j
        for name in ("active_set", "exact"):
            solution = min_norm.solve(j @ j.T, name)
            assert solution.converged
            np.testing.assert_allclose(solution.weights, share, rtol=1e-8)
