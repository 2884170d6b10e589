"""A user's own solver is judged by its weights alone, each fault by its name; packages are measured and owe nothing."""

import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import torch

from mtlbench.errors import InputError
from mtlbench.referee import outsider, packages, table, validate
from mtlbench.referee.families import FAMILIES
from mtlbench.referee.guest import load
from mtlbench.referee.judge import Bench
from mtlbench.referee.ledger import Ledger
from mtlbench.referee.outsider import Outsider, judge_outsider
from mtlbench.referee.problems import Problem, Settings
from mtlbench.solvers import Solution, min_norm

SETTINGS = Settings(sizes=(2, 5), per_size=1, iterations=20)


def problem(gramian, family="gaussian"):
    g = np.array(gramian, dtype=float)
    return Problem(family, len(g), 0, g, min_norm.solve(g).weights, "seed 0")


PROBLEMS = [
    problem([[1.0, 0.0], [0.0, 4.0]]),
    problem([[4.0, -1.0, 0.5], [-1.0, 1.0, 0.0], [0.5, 0.0, 9.0]]),
    problem([[1.0, -1.0], [-1.0, 1.0]], "zero_in_hull"),
]


def exact(gramian):
    return min_norm.solve(gramian).weights


def judged(function, name="mine:solve"):
    part, times = judge_outsider(Outsider(name, lambda g: lambda: function(g), owes=True), PROBLEMS)
    return part, times, {entry["promise"]: entry["detail"] for entry in part["promises"] if entry["broken"]}


@pytest.mark.parametrize(
    "returned",
    [
        exact,
        lambda g: exact(g).tolist(),
        lambda g: torch.tensor(exact(g), requires_grad=True),
        lambda g: exact(g).astype(np.float32),
        min_norm.solve,
        lambda g: min_norm.solve(g, "frank_wolfe", max_iterations=3),
        lambda g: np.full(len(g), 1 / len(g)),
    ],
)
def test_whoever_owes_nothing_more_than_weights_passes_exact_or_not(returned):
    part, times, broken = judged(returned)
    assert broken == {}
    assert [row["gap"] >= 0 for row in part["rows"]] == [True] * 3
    assert min(times["calls"]) > 0


def claiming(**said):
    def solve(gramian):
        solution = min_norm.solve(gramian, "frank_wolfe", max_iterations=1)
        return solution._replace(**{key: value(solution) for key, value in said.items()})

    return solve


def absolute(gramian):
    return exact(gramian) if gramian.max() > 1e-6 else np.full(len(gramian), 1 / len(gramian))


@pytest.mark.parametrize(
    ("function", "promise", "words"),
    [
        (lambda g: 1 / 0, "answers", "raised ZeroDivisionError: division by zero"),
        (lambda g: sys.exit("no licence"), "answers", "raised SystemExit: no licence"),
        (lambda g: exact(g)[:, None], "answers", "returned an array of shape (2, 1), expected (2,)"),
        (lambda g: None, "answers", "returned NoneType, not 2 real numbers"),
        (lambda g: [[1.0], [0.0, 1.0]], "answers", "returned what is no array"),
        (lambda g: exact(g) * np.nan, "weights are finite", "2 of 2 weights are not finite"),
        (lambda g: 1.001 * exact(g), "weights in the simplex", "sum 1 off by 0.001"),
        (lambda g: exact(g) + 1e-3 * (-1) ** np.arange(len(g)), "weights in the simplex", "smallest weight"),
        (lambda g: exact(g) * 0, "weights in the simplex", "sum 1 off by 1"),
        (claiming(converged=lambda _: True), "converged only within the tolerance", "said to have converged at a gap"),
        (claiming(gap=lambda s: s.gap / 2), "reported gap is the certificate", "reported gap off by"),
        (absolute, "as exact for cG as for G", "for 9.09e-13 G the gap is"),
        (lambda g: exact(g) if g.max() < 1e6 else [], "as exact for cG as for G", "for 1.1e+12 G raised NoAnswer"),
    ],
)
def test_each_fault_is_found_and_named(function, promise, words):
    _, _, broken = judged(function)
    assert words in broken[promise]
    assert "\n" not in broken[promise]
    assert "tasks, problem 0 (seed 0): " in broken[promise]


@pytest.mark.parametrize(("by", "fault"), [(1e-12, False), (1e-8, True)])
def test_negatives_within_the_stated_rounding_are_clipped_and_said_beyond_it_broken(by, fault):
    solver = Outsider("mine:solve", lambda g: lambda: [1 + by, -by], owes=True)
    part, _ = judge_outsider(solver, [problem([[1.0, 2.0], [2.0, 9.0]])])
    assert any(entry["broken"] for entry in part["promises"]) == fault
    said = "1 of 1 answers had negative weights, down to -1e-12, which were taken for 0"
    assert part["notes"] == ([] if fault else [said])
    assert part["rows"][0].get("gap") == (None if fault else 0.0)


def test_a_function_cannot_change_the_problem_it_is_judged_by(monkeypatch, tmp_path):
    (tmp_path / "spoils.py").write_text("def solve(g):\n    g[:] = 1\n    return [1.0] + [0.0] * (len(g) - 1)\n")
    monkeypatch.chdir(tmp_path)
    before = [p.gramian.copy() for p in PROBLEMS]
    judge_outsider(outsider.guest("spoils:solve"), PROBLEMS)
    assert all((p.gramian == g).all() for p, g in zip(PROBLEMS, before, strict=True))


def test_a_conflict_is_counted_only_where_a_descent_direction_exists():
    conflicting = problem([[1.0, -0.9], [-0.9, 1.0]])
    stationary = problem([[1.0, -1.0], [-1.0, 1.0]])
    for given, conflict in ((conflicting, True), (stationary, False)):
        found = outsider.judge_one(Bench(given, Ledger()), Outsider("x", lambda g: lambda: [1.0, 0.0], owes=False))
        assert found["conflict"] is conflict
        found = outsider.judge_one(Bench(given, Ledger()), Outsider("x", lambda g: lambda: [0.5, 0.5], owes=False))
        assert found["conflict"] is False


# ---- by name --------------------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "guest_mine.py").write_text("import guest_beside\nsolve = guest_beside.solve\nNUMBER = 3.0\n")
    (tmp_path / "guest_beside.py").write_text("def solve(g):\n    return [1.0] + [0.0] * (len(g) - 1)\n")
    (tmp_path / "guest_broken.py").write_text("raise OSError('no\\nlicence')\n")
    (tmp_path / "guest_wants.py").write_text("import not_there_at_all\n")
    (tmp_path / "guest_package").mkdir()
    (tmp_path / "guest_package" / "__init__.py").write_text("")
    (tmp_path / "guest_package" / "inner.py").write_text("class Solver:\n    @staticmethod\n    def solve(g): ...\n")
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("guest_")]:
        del sys.modules[name]


def test_a_function_of_the_current_folder_is_found_and_the_import_path_is_left_alone(here):
    path = list(sys.path)
    assert load("guest_mine:solve")(np.eye(2)) == [1.0, 0.0]
    assert load("guest_package.inner:Solver.solve").__name__ == "solve"
    assert sys.path == path


@pytest.mark.parametrize(
    ("specification", "words"),
    [
        ("guest_mine", "write it as package.module:function"),
        ("guest_mine.py:solve.", "write it as package.module:function"),
        ("guest_mne:solve", "there is no module 'guest_mne' in this folder or installed: did you mean 'guest_mine'?"),
        ("guest_package.iner:f", "no module 'iner' in the package 'guest_package': did you mean 'inner'?"),
        ("guest_beside.inner:f", "'guest_beside' is a module and no package"),
        ("guest_mine:slove", "module 'guest_mine' has no function 'slove': did you mean 'solve'?"),
        ("guest_package.inner:Solver.slove", "'Solver' has no function 'slove': did you mean 'solve'?"),
        ("guest_mine:NUMBER", "'NUMBER' is no function but of type float"),
        ("guest_broken:solve", "importing 'guest_broken' failed: OSError: no licence"),
        ("guest_wants:solve", "failed: ModuleNotFoundError: No module named 'not_there_at_all'"),
    ],
)
def test_a_wrong_name_is_answered_in_a_sentence(here, specification, words):
    with pytest.raises(InputError) as error:
        load(specification)
    assert words in str(error.value)
    assert str(error.value).startswith(f"--solver {specification!r}: ")
    assert "\n" not in str(error.value)


# ---- packages -------------------------------------------------------------------------------------------------

FAKE = """
    import numpy as np

    available_solvers = ["active", "gives_up", "sparse_only"]
    dense_solvers = ["active", "gives_up"]

    def solve_qp(P, q, G=None, h=None, A=None, b=None, lb=None, ub=None, solver=None, initvals=None, verbose=False):
        if solver == "gives_up":
            return None
        if solver == "sparse_only":
            P, A = P.toarray(), A.toarray()
        assert P.diagonal().tolist() == [1.0] * len(P) and b == [1.0] and (lb == 0).all()
        v = A[0]
        # Two tasks: w = v y with wᵀGw least, G_ij = P_ij / (v_i v_j) up to a unit.
        g = P / v[:, None] / v
        w = np.clip((g[1, 1] - g[0, 1]) / (g[0, 0] + g[1, 1] - 2 * g[0, 1]), 0, 1)
        return np.array([w, 1 - w]) / v
"""


@pytest.fixture
def qpsolvers(tmp_path, monkeypatch):
    (tmp_path / "qpsolvers.py").write_text(textwrap.dedent(FAKE))
    monkeypatch.delitem(sys.modules, "qpsolvers", raising=False)  # the real one, where it is installed
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("qpsolvers", None)


def test_the_back_ends_of_qpsolvers_are_found_and_get_the_scaled_problem(qpsolvers):
    chosen = packages.chosen(["qpsolvers"])
    assert list(chosen) == ["qpsolvers:active", "qpsolvers:gives_up", "qpsolvers:sparse_only"]
    assert set(chosen) <= set(packages.chosen(["all"]))
    gramian = np.array([[1.0, 3.0], [3.0, 1e6]])
    for name in ("qpsolvers:active", "qpsolvers:sparse_only"):
        np.testing.assert_allclose(chosen[name](gramian)(), min_norm.solve(gramian).weights, atol=1e-12)
    with pytest.raises(ArithmeticError, match="found no solution"):
        chosen["qpsolvers:gives_up"](gramian)()
    with pytest.raises(InputError, match="unknown QP package 'qpsolvers:activ': did you mean 'qpsolvers:active'"):
        packages.chosen(["qpsolvers:activ"])


@pytest.mark.parametrize("name", packages.DIRECT)
def test_the_direct_adapters_solve_the_problem_they_are_meant_for(name):
    pytest.importorskip(name)
    for gramian in (PROBLEMS[1].gramian, np.diag([1.0, 1e6, 1e-6]), 1e-100 * PROBLEMS[1].gramian):
        weights = np.maximum(packages.DIRECT[name](gramian)(), 0)
        assert min_norm.certificate(gramian, weights / weights.sum()) <= 1e-9 * gramian.diagonal().min()


def test_a_package_that_is_not_there_is_named_with_the_way_to_get_it(monkeypatch):
    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="the QP package daqp is not installed: pip install daqp"):
        packages.chosen(["daqp"])
    with pytest.raises(InputError, match="no QP package is installed: pip install quadprog daqp piqp qpsolvers"):
        packages.chosen(["all"])
    with pytest.raises(InputError, match="unknown QP package 'dakp': did you mean 'daqp'"):
        packages.chosen(["dakp"])


# ---- together -------------------------------------------------------------------------------------------------


def test_the_table_holds_ours_and_theirs_and_only_the_users_own_solver_changes_the_verdict(tmp_path):
    broken = Outsider("mine:broken", lambda g: lambda: 1 / 0, owes=True)
    hopeless = Outsider("hopeless", lambda g: lambda: 1 / 0, owes=False)
    vertex = Outsider("vertex", lambda g: lambda: np.eye(len(g))[0], owes=False)
    assert validate.validate(tmp_path, SETTINGS, outsiders=[hopeless, vertex]).passed
    verdict = validate.validate(tmp_path, SETTINGS, algorithms=["smooth_min"], outsiders=[broken, hopeless, vertex])
    assert not verdict.passed
    assert set(verdict.algorithms) == {"smooth_min", "mine:broken"}
    found = pd.read_csv(tmp_path / table.FILE)
    assert tuple(found.columns) == table.COLUMNS
    every = found[found["family"] == table.EVERY].set_index("solver")
    assert list(every.index) == ["smooth_min", "mine:broken", "hopeless", "vertex"]
    count = (len(FAMILIES) + 2) * len(SETTINGS.sizes)  # of the collection two for every size
    assert every["problems"].tolist() == [count] * 4
    assert every["answered"].tolist() == [count, 0, 0, count]
    assert every.loc["mine:broken", ["solved_1e-9", "solved_default"]].tolist() == [0, 0]
    assert every.loc["vertex", "worst_gap"] > 0.1
    assert len(found) == (len(FAMILIES) + 2) * 4  # the collection, and all families
    accuracy = pd.read_csv(tmp_path / "accuracy.csv")
    assert set(accuracy["algorithm"]) == set(every.index)
    own = accuracy[accuracy["algorithm"] == "smooth_min"]
    solved = (own.loc[own["family"] == "gaussian", "relative_gap"] <= 1e-9).mean()
    assert found.set_index(["family", "solver"]).loc[("gaussian", "smooth_min"), "solved_1e-9"] == solved
    assert "100 %" in table.text(tmp_path)


def test_a_solution_of_ours_is_measured_alike_as_an_algorithm_and_as_a_function(tmp_path):
    same = Outsider("mine:solve", lambda g: lambda: min_norm.solve(g), owes=True)
    validate.validate(tmp_path, SETTINGS, algorithms=["active_set"], outsiders=[same])
    found = pd.read_csv(tmp_path / table.FILE).drop(columns="median_us")
    ours, theirs = (found[found["solver"] == name].drop(columns="solver") for name in ("active_set", "mine:solve"))
    pd.testing.assert_frame_equal(ours.reset_index(drop=True), theirs.reset_index(drop=True))


def test_a_solution_with_wrong_fields_is_no_answer():
    _, _, broken = judged(lambda g: Solution(exact(g), "small", 1, True, True))
    assert "raised ValueError: could not convert string to float" in broken["answers"]
