"""The referee lets honest solvers pass and catches each planted lie; its files are whole and reproducible."""

import csv
import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from mtlbench import gramians
from mtlbench.errors import InputError
from mtlbench.referee import measure, problems, theory, validate, verdict
from mtlbench.referee.candidate import candidate
from mtlbench.referee.families import FAMILIES, draw
from mtlbench.referee.judge import Bench, judge
from mtlbench.referee.ledger import Ledger
from mtlbench.referee.problems import COLLECTION, Settings
from mtlbench.solvers import min_norm

pytestmark = pytest.mark.xdist_group("verdict")

SETTINGS = Settings(sizes=(1, 2, 5), per_size=1, iterations=60)
COUNT = (len(FAMILIES) + 2) * len(SETTINGS.sizes)  # of the collection two for every size


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("solvers")
    problems.build(folder, SETTINGS)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, validate.validate(folder, SETTINGS, environment={"python": "3"})


def broken(folder, solver):
    """The promises that the referee finds broken, each with its sentences."""
    part, _ = validate.judge_all(folder, solver)
    found = {}
    for entry in part["promises"]:
        assert entry["checked"] >= entry["broken"]
        assert bool(entry["detail"]) == bool(entry["broken"])
        if entry["broken"]:
            found.setdefault(entry["promise"], []).append(entry["detail"])
    return found


def altered(solver, **promises):
    """``solver`` with other promises than its author made."""
    names = ("iterative", "monotone", "bound", "reach")
    stated = {name: getattr(solver.promises, name) for name in names} | promises
    return replace(
        solver, promises=type("Stated", (), {k: staticmethod(v) if callable(v) else v for k, v in stated.items()})
    )


def lying(solver, **said):
    """``solver`` whose solutions say something else than they are."""

    def solve(gramian, **options):
        solution = solver.solve(gramian, **options)
        return solution._replace(**{key: value(solution) for key, value in said.items()})

    return replace(solver, solve=solve)


# ---- honest solvers -------------------------------------------------------------------------------------------


def test_every_algorithm_of_the_project_keeps_its_promises(whole):
    _, result = whole
    assert result.broken() == []
    assert result.passed
    assert tuple(result.algorithms) == min_norm.ALGORITHMS
    assert result.sentence().startswith("every promise is kept")


def test_the_referee_and_the_solvers_compute_the_same_certificate():
    rng = np.random.default_rng(0)
    for family, size in itertools.product(FAMILIES, (2, 7, 32)):
        gramian = draw(family, size)
        weights = rng.dirichlet(np.ones(size), 3)
        found = measure.measure(gramian, weights)
        for i in range(3):
            gap, objective = min_norm.certificate(gramian, weights[i]), min_norm.objective(gramian, weights[i])
            assert abs(found.gap[i] - gap) <= found.certainty[i] + 1e-15 * gap
            assert abs(found.objective[i] - objective) <= 1e-15 * objective


# ---- planted lies ---------------------------------------------------------------------------------------------


def test_claiming_convergence_outside_the_tolerance_is_caught(folder):
    found = broken(folder, lying(candidate("smooth_min"), converged=lambda _: True))
    assert "converged only within the tolerance" in found
    sentence = found["converged only within the tolerance"][0]
    assert sentence.startswith("gaussian, 5 tasks, problem 0 (seed 0): said to have converged at a gap of ")


def test_a_wrong_gap_is_caught(folder):
    found = broken(folder, lying(candidate("frank_wolfe"), gap=lambda s: 0.5 * s.gap))
    assert "reported gap is the certificate" in found


@pytest.mark.parametrize(
    ("place", "promise"), [(2, "reported objective is true"), (3, "reported gap is the certificate")]
)
def test_a_figure_that_is_wrong_in_the_trace_only_is_caught(folder, place, promise):
    honest = candidate("frank_wolfe")

    def trace(gramian, **options):
        for entry in honest.trace(gramian, **options):
            yield tuple(value * (1 + 1e-6) if i == place else value for i, value in enumerate(entry))

    assert set(broken(folder, replace(honest, trace=trace))) == {promise}


def test_a_violated_theory_bound_is_caught_though_no_convergence_is_claimed(folder):
    honest = candidate("frank_wolfe")

    def standing(gramian, max_iterations):
        weights = np.full(len(gramian), 1 / len(gramian))
        gap, objective = min_norm.certificate(gramian, weights), min_norm.objective(gramian, weights)
        return ((k, weights, objective, gap, 0.0) for k in range(max_iterations + 1))

    found = broken(folder, altered(replace(honest, trace=standing), reach={}))
    assert set(found) == {"theory bound"}
    assert "above the bound" in found["theory bound"][0]
    found = broken(folder, altered(replace(honest, trace=standing), reach={}, bound=None))
    assert set(found) == {"theory bound", "states the known bound"}


@pytest.mark.parametrize(
    "name", ["smooth_min", "frank_wolfe", "frank_wolfe_away", "exponentiated_gradient", "accelerated"]
)
def test_a_known_bound_that_is_stated_too_loosely_or_not_at_all_is_caught(folder, name):
    honest = candidate(name)

    def loose(gramian, iterations):
        return 1000 * honest.promises.bound(gramian, iterations)

    for bound in (loose, lambda *_: np.inf, None):
        found = broken(folder, altered(honest, bound=bound))
        assert set(found) == {"states the known bound"}
        assert "tasks, problem 0 (seed 0): the bound " in found["states the known bound"][0]


@pytest.mark.parametrize("name", sorted(theory.MONOTONE))
def test_a_known_decrease_that_is_not_stated_is_caught(folder, name):
    assert set(broken(folder, altered(candidate(name), monotone=False))) == {"states the known decrease"}


def test_a_known_decrease_is_checked_though_it_is_not_stated(folder):
    rising = replace(candidate("smooth_min"), name="softmax_beta")
    assert set(broken(folder, altered(rising))) == {"states the known decrease", "monotone decrease"}


def test_the_known_bounds_are_the_formulas_of_the_mathematics():
    gramian = np.diag([1.0, 4.0])  # D² = 5, R² = 4
    k = np.array([0, 1, 3])
    np.testing.assert_allclose(theory.bounds("frank_wolfe", gramian, k), [5, 10 / 3, 2])
    np.testing.assert_allclose(theory.bounds("smooth_min", gramian, k), [np.inf, 2.5, 5 * (11 / 6) / 6])
    entropy = 4 * np.log(2)
    np.testing.assert_allclose(theory.bounds("exponentiated_gradient", gramian, k), [np.inf, entropy, entropy / 3])
    np.testing.assert_allclose(theory.bounds("frank_wolfe_away", gramian, k), [2.5, 2, 10 / 6])
    # Orthogonal gradients: L = 1, and R² − 1/Σ d_i⁻² = 4 − 4/5.
    np.testing.assert_allclose(theory.bounds("accelerated", gramian, k), [np.inf, 6.4 / 4, 6.4 / 6])
    for name in ("a_solver_of_mine", "frank_wolfe_pairwise"):
        assert np.isposinf(theory.bounds(name, gramian, k)).all()
    assert np.isposinf(theory.bounds("accelerated", np.diag([0.0, 4.0]), k)).all()


@pytest.mark.parametrize("name", [name for name in min_norm.ALGORITHMS if min_norm.algorithm(name).bound])
def test_stated_bounds_of_many_iterations_are_those_of_each(name):
    bound, gramian = min_norm.algorithm(name).bound, draw("norms_1_to_1e3", 5)
    k = np.array([0, 1, 2, 7, 1000])
    np.testing.assert_array_equal(bound(gramian, k), [bound(gramian, int(i)) for i in k])


def test_a_reference_that_is_not_the_optimum_is_caught(folder):
    problem = next(p for p in problems.load(folder).problems if p.size == 5)
    ledger = Ledger()
    bench = Bench(replace(problem, reference=np.eye(5)[0]), ledger)
    judge(bench, candidate("active_set"), limit=10, length=10)
    found = {entry["promise"]: entry["detail"] for entry in ledger.entries() if entry["broken"]}
    assert "the gap of the reference is" in found["reference optimum is certified"]


def test_a_gap_said_to_be_larger_allows_no_distance_from_the_optimum(folder):
    far = lying(candidate("exact"), gap=lambda _: 1e9, weights=lambda s: np.eye(len(s.weights))[0])
    agreement = {"agrees with cvxpy on the direction", "agrees with cvxpy on the objective"}
    worst = {e["promise"]: e["worst"] for e in validate.judge_all(folder, far)[0]["promises"]}
    assert all(0.01 < worst[promise] <= 1 for promise in agreement)


def test_a_bound_that_is_too_good_is_caught(folder):
    honest = candidate("smooth_min")

    def bound(gramian, iterations):
        return honest.promises.bound(gramian, iterations) / 50

    assert set(broken(folder, altered(honest, bound=bound))) == {"theory bound"}


def test_a_rising_objective_is_caught(folder):
    found = broken(folder, altered(candidate("smooth_min"), monotone=True))
    assert set(found) == {"monotone decrease"}
    assert "f rose by" in found["monotone decrease"][0]


def test_a_reach_that_is_not_reached_is_caught(folder):
    stated = {"gaussian": {1e-8: (5, 1.0), 1e6: (5, 1.0)}}
    found = broken(folder, altered(candidate("smooth_min"), reach=stated))
    assert set(found) == {"reach of relative gap 1e-08"}
    assert "1 of 3 problems reached within 5 iterations" in found["reach of relative gap 1e-08"][0]


def test_a_reach_is_judged_beyond_the_length_of_the_traces(folder):
    stated = {"duplicated_rows": {1e-8: (SETTINGS.iterations * 20, 1.0)}}
    assert broken(folder, altered(candidate("frank_wolfe"), reach=stated)) == {}


def test_a_share_counts_whole_problems(folder):
    # 1 of 3 problems (K = 1) is reached: a stated third is kept, a stated half asks for ⌈1.5⌉ = 2.
    for share, kept in ((1 / 3, True), (0.34, False), (0.5, False), (2 / 3, False)):
        solver = altered(candidate("smooth_min"), reach={"gaussian": {1e-8: (5, share)}})
        assert (broken(folder, solver) == {}) == kept


def test_a_share_of_zero_states_nothing(folder):
    solver = altered(candidate("smooth_min"), reach={"gaussian": {1e-8: (10**9, 0.0)}})
    part, _ = validate.judge_all(folder, solver)
    assert not any(entry["promise"].startswith("reach") for entry in part["promises"])


def test_an_exact_solver_that_is_not_exact_is_caught(folder):
    inexact = candidate("smooth_min")
    solver = altered(inexact, iterative=False)
    solver = replace(solver, solve=lambda gramian, **_: inexact.solve(gramian, max_iterations=20))
    found = broken(folder, solver)
    assert set(found) == {"default tolerance met"}
    assert "converged is False" in found["default tolerance met"][0]


def test_weights_outside_the_simplex_are_caught(folder):
    for weights in (lambda s: 1.01 * s.weights, lambda s: s.weights + 1e-9 * (np.arange(len(s.weights)) - 1)):
        assert "weights in the simplex" in broken(folder, lying(candidate("frank_wolfe"), weights=weights))


def test_weights_that_are_not_numbers_or_not_there_are_caught(folder):
    found = broken(folder, lying(candidate("frank_wolfe"), weights=lambda s: np.nan * s.weights))
    assert {"weights in the simplex", "reported gap is the certificate"} <= set(found)
    found = broken(folder, lying(candidate("frank_wolfe"), weights=lambda s: s.weights[:0]))
    assert set(found) == {"answers"}


def test_the_iteration_limit_and_the_descent_flag_are_checked(folder):
    found = broken(folder, lying(candidate("frank_wolfe"), iterations=lambda s: s.iterations + 1000))
    assert set(found) == {"keeps the iteration limit"}
    for value in (True, False):
        found = broken(folder, lying(candidate("frank_wolfe"), non_conflicting=lambda _, v=value: v))
        assert set(found) == {"non_conflicting is true"}


def test_a_bias_beyond_the_smoothing_is_caught(folder):
    def solve(gramian, max_iterations, smoothing=None):
        return honest.solve(gramian, max_iterations=1)

    honest = candidate("smooth_min")
    found = broken(folder, replace(honest, smoothed=True, solve=solve))
    assert set(found) == {"bias of the smoothing"}
    assert "log K / λ allows" in found["bias of the smoothing"][0]


def test_a_solver_that_raises_is_a_finding_and_the_referee_goes_on(folder):
    honest = candidate("frank_wolfe")

    def solve(gramian, **options):
        if len(gramian) == 5:
            raise ZeroDivisionError("step of length 0")
        return honest.solve(gramian, **options)

    found = broken(folder, replace(honest, solve=solve))
    assert set(found) == {"answers"}
    assert found["answers"][0] == "gaussian, 5 tasks, problem 0 (seed 0): raised ZeroDivisionError: step of length 0"


def test_a_trace_without_end_is_cut_off(folder):
    honest = candidate("frank_wolfe")
    endless = replace(honest, trace=lambda gramian, **_: honest.trace(gramian, max_iterations=10**9))
    assert broken(folder, endless) == {}


def test_a_lie_inside_the_solvers_room_reaches_the_verdict(tmp_path, monkeypatch):
    honest = min_norm.solve

    def solve(gramian, algorithm="active_set", **options):
        solution = honest(gramian, algorithm=algorithm, **options)
        return solution._replace(converged=True) if algorithm == "smooth_min" else solution

    monkeypatch.setattr(min_norm, "solve", solve)
    result = validate.validate(tmp_path, Settings(sizes=(3,), per_size=1, iterations=20), algorithms=["smooth_min"])
    assert not result.passed
    assert "promises are broken" in result.sentence()
    assert "smooth_min: converged only within the tolerance" in result.sentence()
    assert json.loads((tmp_path / "verdict.json").read_text())["passed"] is False


# ---- files ----------------------------------------------------------------------------------------------------


def test_verdict_json_and_accuracy_csv_have_their_documented_form(whole):
    folder, _ = whole
    content = json.loads((folder / "verdict.json").read_text())
    assert list(content) == ["passed", "algorithms", "families", "environment"]
    assert content["environment"] == {"python": "3"}
    assert set(content["families"]) == {*FAMILIES, COLLECTION}
    for name, judged in content["algorithms"].items():
        assert list(judged) == ["passed", "problems", "promises"]
        assert judged["problems"] == COUNT
        assert {"weights in the simplex", "reported gap is the certificate"} <= {
            entry["promise"] for entry in judged["promises"]
        }, name
        for entry in judged["promises"]:
            assert list(entry) == ["promise", "family", "checked", "broken", "worst", "detail"]
    with (folder / "accuracy.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(verdict.ACCURACY)
    assert len(rows) == len(min_norm.ALGORITHMS) * COUNT
    exact = [row for row in rows if row["algorithm"] in ("exact", "active_set")]
    assert all(row["converged"] == "True" and float(row["relative_gap"]) < 1e-10 for row in exact)


def test_a_second_validation_writes_the_same_bytes(whole, tmp_path):
    folder, _ = whole
    validate.validate(tmp_path, SETTINGS, environment={"python": "3"})
    for name in ("problems.npz", "accuracy.csv", "traces.csv", "verdict.json"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_a_problem_named_in_a_verdict_can_be_drawn_again(folder):
    collected = {record.name: record.gramian for record in gramians.load()}
    for problem in problems.load(folder).problems:
        if problem.family == COLLECTION:
            again = collected[problem.origin]
            assert (again == gramians.load()[problem.number].gramian).all()
        else:
            again = draw(problem.family, problem.size, problem.number, SETTINGS.seed)
        assert (problem.gramian == again).all()


# ---- bad input ------------------------------------------------------------------------------------------------


def test_an_unknown_algorithm_is_named_before_any_work(tmp_path):
    with pytest.raises(InputError, match="unknown solver 'frank_wolf': did you mean 'frank_wolfe'"):
        validate.validate(tmp_path, SETTINGS, algorithms=["active_set", "frank_wolf"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"sizes": ()}, "sizes must be numbers from 1 to 256"),
        ({"sizes": (2, 257)}, "sizes must be numbers from 1 to 256"),
        ({"per_size": 0}, "per_size must be at least 1"),
        ({"iterations": 0}, "iterations must be at least 1"),
        ({"seed": -1}, "seed must not be negative"),
    ],
)
def test_settings_that_judge_nothing_are_refused(wrong, words):
    with pytest.raises(InputError, match=words):
        Settings(**wrong)


def test_missing_cut_and_foreign_parts_are_named(folder, tmp_path):
    with pytest.raises(InputError, match=r"problems\.npz does not exist: build the problems first"):
        validate.run_algorithm(tmp_path, "exact")
    (tmp_path / "problems.npz").write_bytes((folder / "problems.npz").read_bytes()[:500])
    with pytest.raises(InputError, match="is not a whole problem file"):
        validate.run_algorithm(tmp_path, "exact")
    problems.build(tmp_path, Settings(sizes=(2,), per_size=1))
    with pytest.raises(InputError, match=r"exact\.json does not exist: judge 'exact' first"):
        verdict.merge(tmp_path, algorithms=["exact"])
    validate.run_algorithm(tmp_path, "exact")
    problems.build(tmp_path, Settings(sizes=(3,), per_size=1))
    with pytest.raises(InputError, match="was made on other problems"):
        verdict.merge(tmp_path, algorithms=["exact"])
