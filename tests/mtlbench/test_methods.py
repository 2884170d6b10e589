"""What each method computes, and what a wrong name or option is answered."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import mtlbench
from mtlbench import methods
from mtlbench.errors import InputError
from mtlbench.solvers import min_norm


def gramian(*rows):
    matrix = np.array(rows, dtype=float)
    return matrix @ matrix.T


def test_equal_is_the_mean():
    assert methods.get("equal").weights(losses=[3.0, 1.0, 7.0, 2.0]).tolist() == [0.25] * 4


def test_static_keeps_its_weights_in_their_places():
    method = methods.get("static", weights=[2, 0, 0.5])
    assert method.weights(losses=[3.0, 1.0, 7.0]).tolist() == [2.0, 0.0, 0.5]
    # Another order of the tasks is another problem for it: it promises no equivariance.
    assert method.weights(losses=[7.0, 1.0, 3.0]).tolist() == [2.0, 0.0, 0.5]
    assert not method.promises.permutation
    assert methods.get("static").weights(losses=[1.0, 9.0]).tolist() == [0.5, 0.5]
    assert method.options() == {"weights": [2.0, 0.0, 0.5], "head_weights": "same"}


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ([1.0, -0.5], r"weights\[1\] of static must be a finite number of at least 0, got -0.5"),
        ([1.0, float("nan")], r"weights\[1\] of static must be a finite number of at least 0, got nan"),
        ([1.0, "2"], r"weights\[1\] of static must be a finite number of at least 0, got '2'"),
        ([0, 0], "at least one positive entry"),
        ([], "at least one positive entry"),
        ("12", "must be a list with one number per task, got '12'"),
        (3, "must be a list with one number per task, got 3"),
    ],
)
def test_static_refuses_other_weights(weights, sentence):
    with pytest.raises(InputError, match=sentence):
        methods.get("static", weights=weights)


def test_static_knows_how_many_tasks_it_is_for():
    method = methods.get("static", weights=[1, 2])
    method.check_tasks(2)
    with pytest.raises(InputError, match="2 given for 3 tasks"):
        method.check_tasks(3)
    with pytest.raises(InputError, match="2 given for 3 tasks"):
        method.weights(losses=[1.0, 1.0, 1.0])


def test_unit_gradient_weights_are_inverse_norms():
    matrix = gramian([3, 4], [0, 2], [0, 0])
    method = methods.get("unit_gradient")
    assert method.weights(gramian=matrix).tolist() == [0.2, 0.5, 0.0]
    assert method.zero_task_events == 1
    assert methods.get("unit_gradient", reduction="mean").weights(gramian=matrix).tolist() == [0.1, 0.25, 0.0]


def test_two_unit_gradients_never_conflict_and_three_can():
    angles = np.radians(np.arange(0, 181, 15))
    for angle in angles:
        matrix = gramian([3, 0], [0.1 * np.cos(angle), 0.1 * np.sin(angle)])
        products = matrix @ methods.get("unit_gradient").weights(gramian=matrix)
        np.testing.assert_allclose(products, np.array([3, 0.1]) * (1 + np.cos(angle)), atol=1e-12)
    # Two tasks side by side at 150 degrees from the third outvote it; the min-norm direction serves all three.
    c, s = np.cos(np.radians(150)), np.sin(np.radians(150))
    matrix = gramian([1, 0], [c, s], [c, s])
    products = matrix @ methods.get("unit_gradient").weights(gramian=matrix)
    np.testing.assert_allclose(products[0], [1 + 2 * c, -0.7320508], rtol=1e-7)
    assert (matrix @ methods.get("mgda").weights(gramian=matrix)).min() == pytest.approx(0.0669873)


def test_mgda_of_orthogonal_gradients_weights_by_inverse_squares():
    weights = methods.get("mgda").weights(gramian=np.diag([1.0, 4.0, 16.0]))
    np.testing.assert_allclose(weights, np.array([16, 4, 1]) / 21, rtol=1e-14)


def test_mgda_leaves_its_certificate():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(5, 20))
    method = methods.get("mgda")
    weights = method.weights(gramian=rows @ rows.T)
    assert method.solution.converged
    assert method.solution.gap <= min_norm.tolerated_gap(rows @ rows.T)
    np.testing.assert_array_equal(method.solution.weights, weights)
    assert method.inner_problem == "min_norm"


def test_the_zero_task_of_mgda_is_dropped_or_kept():
    matrix = gramian([1, 0], [0, 0], [0, 2])
    np.testing.assert_allclose(methods.get("mgda").weights(gramian=matrix), [0.8, 0, 0.2], rtol=1e-14)
    kept = methods.get("mgda", zero_task="keep")
    assert kept.weights(gramian=matrix).tolist() == [0, 1, 0]
    assert kept.zero_task_events == 1
    assert methods.get("mgda").weights(gramian=np.zeros((2, 2))).tolist() == [0, 0]


def test_small_gradients_are_not_zero():
    method = methods.get("mgda")
    np.testing.assert_allclose(method.weights(gramian=np.diag([1e-180, 4e-180])), [0.8, 0.2], rtol=1e-14)
    assert method.zero_task_events == 0


def test_opposed_and_identical_tasks():
    opposed, same = gramian([1, 2], [-2, -4]), gramian([1, 2], [1, 2], [1, 2])
    np.testing.assert_allclose(methods.get("mgda").weights(gramian=opposed), [2 / 3, 1 / 3], rtol=1e-12)
    weights = methods.get("mgda").weights(gramian=same)
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(same @ weights, [5, 5, 5])
    np.testing.assert_allclose(opposed @ methods.get("unit_gradient").weights(gramian=opposed), 0, atol=1e-12)


@pytest.mark.parametrize("solver", min_norm.ALGORITHMS)
def test_mgda_takes_every_solver(solver):
    rows = np.random.default_rng(1).normal(size=(4, 30))
    matrix = rows @ rows.T
    method = methods.get("mgda", solver=solver, max_iterations=500)
    weights = method.weights(gramian=matrix)
    exact = methods.get("mgda").weights(gramian=matrix)
    difference = (weights - exact) @ matrix @ (weights - exact)
    assert difference <= max(method.solution.gap, 1e-12 * np.trace(matrix))
    assert method.promises.non_conflicting == (not min_norm.algorithm(solver).iterative)
    assert method.options()["solver"] == solver


def test_the_limit_of_iterations_reaches_the_solver():
    rows = np.random.default_rng(2).normal(size=(6, 10))
    method = methods.get("mgda", solver="frank_wolfe", max_iterations=3)
    method.weights(gramian=rows @ rows.T)
    assert method.solution.iterations == 3
    assert not method.solution.converged


def test_mgda_ub_is_mgda_at_the_representation():
    ub, general = methods.get("mgda_ub"), methods.get("mgda", level="representation")
    assert (ub.level, ub.promises, ub.cost(10)) == (general.level, general.promises, general.cost(10))
    assert not ub.promises.non_conflicting
    assert (ub.cost(10), methods.get("mgda").cost(10), methods.get("equal").cost(10)) == (1, 10, 1)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("mdga", {}, "unknown method 'mdga': did you mean 'mgda'"),
        ("mgda", {"solvr": "exact"}, "unknown option of mgda 'solvr': did you mean 'solver'"),
        ("mgda", {"solver": "franc_wolfe"}, "unknown solver of mgda 'franc_wolfe': did you mean 'frank_wolfe'"),
        ("mgda", {"solver": 3}, "unknown solver of mgda '3'"),
        ("mgda", {"level": "representations"}, "did you mean 'representation'"),
        ("mgda", {"zero_task": "dropp"}, "did you mean 'drop'"),
        ("mgda", {"tolerance": -1e-3}, "tolerance of mgda must be a finite number of at least 0, got -0.001"),
        ("mgda", {"tolerance": "small"}, "tolerance of mgda must be a finite number of at least 0, got 'small'"),
        ("mgda", {"max_iterations": 0}, "max_iterations of mgda must be an integer of at least 1, got 0"),
        ("mgda", {"max_iterations": 2.5}, "max_iterations of mgda must be an integer of at least 1, got 2.5"),
        ("mgda", {"max_iterations": True}, "max_iterations of mgda must be an integer of at least 1, got True"),
        ("mgda_ub", {"level": "shared"}, "unknown level of mgda_ub 'shared': valid: representation"),
        ("equal", {"weights": [1]}, "unknown option of equal 'weights'"),
        ("equal", {"head_weights": "some"}, "unknown head_weights of equal 'some': did you mean 'same'"),
        ("unit_gradient", {"reduction": "avg"}, "unknown reduction of unit_gradient 'avg'"),
    ],
)
def test_wrong_names_and_options(name, options, sentence):
    with pytest.raises(InputError, match=sentence):
        methods.get(name, **options)


@pytest.mark.parametrize(
    ("name", "inputs", "sentence"),
    [
        ("mgda", {"losses": [1.0]}, "pass gramian="),
        ("equal", {"gramian": [[1.0]]}, "pass losses="),
        ("mgda", {"gramian": [[1.0, 0.0]]}, r"square matrix, got shape \(1, 2\)"),
        ("mgda", {"gramian": np.zeros((0, 0))}, "square matrix"),
        ("mgda", {"gramian": np.eye(2), "losses": [1.0]}, "1 losses do not fit"),
        ("equal", {"losses": 1.0}, r"vector with one entry per task, got shape \(\)"),
    ],
)
def test_wrong_inputs(name, inputs, sentence):
    with pytest.raises(InputError, match=sentence):
        methods.get(name).weights(**inputs)


def test_a_stochastic_method_resumes_its_generator():
    class Dice(methods.LossMethod):
        name = "dice"

        def __init__(self, *, seed=0):
            super().__init__()
            self.seed, self.random = seed, methods.method.generator(self.name, seed)

        def loss_weights(self, losses):
            return self.random.dirichlet(np.ones(len(losses)))

    first, second = Dice(), Dice(seed=1)
    assert Dice().weights(losses=[1.0, 1.0]).tolist() == first.weights(losses=[1.0, 1.0]).tolist()
    second.load_state_dict(first.state_dict())
    assert second.weights(losses=[1.0, 1.0]).tolist() == first.weights(losses=[1.0, 1.0]).tolist()
    with pytest.raises(InputError, match="seed of dice must be an integer of at least 0"):
        Dice(seed=-1)


def test_nothing_here_imports_torch():
    code = (
        "import sys, mtlbench; from mtlbench import methods\n"
        "for name in methods.names(): methods.get(name)\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not hasattr(mtlbench, "forward")
