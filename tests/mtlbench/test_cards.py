"""``mtlbench check``: whatever can be asked is asked alike, and each fault is found and worded."""

from __future__ import annotations

import argparse
import json
import random
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch

from mtlbench import cli, methods
from mtlbench.cards import agreement, behaviour, command, conflict
from mtlbench.cards.agreement import Pair, Problem
from mtlbench.cards.card import Settings, card
from mtlbench.cards.subject import Question, Subject, find
from mtlbench.cards.text import text
from mtlbench.errors import InputError
from mtlbench.methods import Promises
from mtlbench.methods.mgda import MGDA
from mtlbench.solvers import min_norm

SMALL = Settings(sizes=(2, 3), per_size=1)

FILE = """
import numpy as np
import torch

from mtlbench.methods import GramianMethod, Promises
from mtlbench.methods.mgda import MGDA
from mtlbench.solvers import min_norm

PROMISES = dict(common_scale=0.0, task_scale="none", permutation=True, unique="direction")


def weights(gramian):
    return min_norm.solve(gramian).weights


def torch_weights(gramian):
    return torch.from_numpy(min_norm.solve(gramian.detach().numpy()).weights).requires_grad_()


def direction(jacobian):
    assert type(jacobian) is np.ndarray
    return jacobian.T @ min_norm.solve(jacobian @ jacobian.T).weights


class Module(torch.nn.Module):
    def __init__(self, count=0, tasks=None):
        super().__init__()
        self.count, self.tasks = count, tasks

    def forward(self, jacobian):
        assert self.tasks in (None, len(jacobian))
        return jacobian.T @ torch_weights(jacobian @ jacobian.T) * 2.0**self.count


instance, method = Module(), MGDA()
NUMBER = 3.0


class Mean(GramianMethod):
    name, summary, source = "mean", "a mean that lies", "here"
    promises = Promises(non_conflicting=True, **PROMISES)

    def gramian_weights(self, gramian, losses):
        return np.full(len(gramian), 1 / len(gramian))


def shapeless(jacobian):
    return 1.0


def broken(jacobian):
    raise OSError("no\\nlicence")
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Five calls are enough for a time that nobody reads, and half of the Jacobians for a fault that is there."""
    monkeypatch.setattr(behaviour, "SECONDS", 0.0)
    monkeypatch.setattr(conflict, "KINDS", tuple((kind, norms, count // 2) for kind, norms, count in conflict.KINDS))


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "card_guest.py").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("card_guest", None)


def own(function, make=None) -> Subject:
    return Subject("mine:method", "jacobian", "numpy", make or (lambda tasks: function))


def exact(jacobian):
    return jacobian.T @ min_norm.solve(jacobian @ jacobian.T).weights


def broken(made):
    found = {}
    for entry in made["promises"]:
        if entry["broken"]:
            found[entry["promise"]] = f"{found.get(entry['promise'], '')} {entry['detail']}"
    return found


# ---- what can be asked -----------------------------------------------------------------------------------------

QUESTION = Question(np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]), np.ones(2))


@pytest.mark.parametrize(
    ("name", "takes", "arrays", "options"),
    [
        ("card_guest:direction", "jacobian", "numpy", {}),
        ("card_guest:weights", "gramian", "numpy", {}),
        ("card_guest:torch_weights", "gramian", "torch", {}),
        ("card_guest:instance", "jacobian", "torch", {}),
        ("card_guest:Module", "jacobian", "torch", {}),
        ("card_guest:Module", "jacobian", "torch", {"tasks": "K"}),
        ("card_guest:method", "method", "numpy", {}),
        ("mtlbench.methods.mgda:MGDA", "method", "numpy", {"solver": "accelerated"}),
        ("mgda", "method", "numpy", {}),
    ],
)
def test_what_it_takes_is_found_by_asking(here, name, takes, arrays, options):
    found = find(name, options=options)
    assert (found.takes, found.arrays) == (takes, arrays)
    np.testing.assert_allclose(found.ask(QUESTION), [0.8, 0.4, 0.0], rtol=1e-9)
    assert find(name, takes=takes, options=options).takes == takes


def test_an_option_reaches_the_class(here):
    np.testing.assert_allclose(find("card_guest:Module", options={"count": 1}).ask(QUESTION), [1.6, 0.8, 0.0])


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("card_guest:directoin", {}, "check 'card_guest:directoin': module 'card_guest' has no function 'directoin'"),
        ("card_gest:direction", {}, "did you mean 'card_guest'?"),
        ("mgdaa", {}, "write it as package.module:function"),
        ("card_guest:NUMBER", {}, "an instance of float cannot be called"),
        (
            "card_guest:shapeless",
            {},
            "of the right shape: given a Jacobian in numpy it returned an array",
        ),
        ("card_guest:broken", {}, "given a Gramian in torch it raised OSError: no licence"),
        ("card_guest:direction", {"takes": "method"}, "it is not a Method: --takes method is wrong"),
        ("card_guest:direction", {"options": {"c": 1}}, "options are for a class, and this is a function"),
        (
            "card_guest:Module",
            {"options": {"cuont": 1}},
            "unknown option of card_guest:Module 'cuont': did you mean 'count'",
        ),
        ("mgda", {"options": {"solver": "exakt"}}, "did you mean 'exact'?"),
        ("mgda", {"takes": "gramian"}, "it is a Method: --takes gramian is wrong"),
        ("fractions:Fraction", {"options": {"numerator": "x"}}, "no instance can be made: raised ValueError"),
        ("datetime:timezone", {}, "arguments are given as --option NAME=VALUE, the value K being the number of tasks"),
    ],
)
def test_what_cannot_be_asked_is_answered_in_a_sentence(here, name, given, words):
    with pytest.raises(InputError) as error:
        find(name, **given)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_guest_changes_neither_its_question_nor_the_random_state():
    def wild(jacobian):
        jacobian *= 0
        return np.random.default_rng().normal(size=jacobian.shape[1]) * 0 + random.random() + np.random.rand()  # noqa: NPY002

    asked = Question(QUESTION.jacobian.copy(), QUESTION.losses)
    python, numpy, tensor = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    first = own(wild).ask(asked)
    Subject("x", "jacobian", "torch", lambda tasks: lambda j: torch.randn(j.shape[1])).ask(asked)
    assert (asked.jacobian == QUESTION.jacobian).all()
    assert random.getstate() == python
    assert (np.random.get_state()[1] == numpy).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), tensor)
    assert (own(wild).ask(asked) == first).all()


# ---- what is found ---------------------------------------------------------------------------------------------


def test_a_faithful_copy_keeps_every_promise():
    made = card(own(exact), agreement.claim("mgda"), SMALL)
    assert broken(made) == {}
    assert made["passed"]
    assert set(made["agreement"]) == {"ours", "cvxpy"}
    assert made["agreement"]["ours"]["within"] == made["agreement"]["ours"]["compared"] > 8
    assert made["agreement"]["cvxpy"]["worst"] < 1e-5
    assert made["scaling"]["common"] | {"degree": 1.0, "holds": True} == made["scaling"]["common"]
    assert made["conflict"]["witness"] is None
    assert made["special"]["opposed tasks"] == {"answer": "(0, 0)", "ours": "(0, 0)"}
    assert made["special"]["a task without gradient"] == {"answer": "(0, 0)", "ours": "(3, 4)"}
    assert made["special"]["NaN in one task"]["answer"].startswith("raised InvalidGramian: entry")
    assert [row["tasks"] for row in made["cost"]] == [2, 8, 32]
    assert all(row["microseconds"] > 0 and row["ours"] > 0 for row in made["cost"])
    assert (made["random"], made["remembers"]) == (False, False)
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def loose(jacobian):
    return jacobian.T @ min_norm.solve(jacobian @ jacobian.T, "frank_wolfe", tolerance=0.5).weights


@pytest.mark.parametrize(
    ("function", "claims", "promise", "words"),
    [
        (loose, "mgda", "agrees with mgda", "3 tasks, problem 0: relative error"),
        (lambda j: j.mean(axis=0).clip(0), "equal", "agrees with equal", "relative error"),
        (lambda j: exact(j) if abs(j).max() > 1e-4 else j[0], "mgda", "scales with all losses as declared", "c = 9.54"),
        (lambda j: j.mean(axis=0), "mgda", "no task gets worse", "⟨g, u⟩ = "),
        (lambda j: j[0], "mgda", "does not mind the order of the tasks", "u after a permutation is off by"),
        (lambda j: np.tanh(j).mean(axis=0), "equal", "scales with each loss as declared", "the law 'linear'"),
        (lambda j: exact(j) / j.any(axis=1).all(), "mgda", "answers with finite numbers", "not finite"),
        (lambda j: np.linalg.inv(j @ j.T)[0], "mgda", "answers with finite numbers", "raised LinAlgError: Singular"),
    ],
)
def test_each_fault_is_found_and_named(function, claims, promise, words):
    made = card(own(function), agreement.claim(claims), SMALL)
    assert not made["passed"]
    assert words in broken(made)[promise]
    assert f"{promise} (" in text(made)


def test_sum_and_mean_are_one_method_and_the_factor_is_named():
    made = card(own(lambda j: j.sum(axis=0)), agreement.claim("equal"), SMALL)
    assert made["passed"]
    assert made["agreement"]["ours"]["factors"] == {"2": pytest.approx(2), "3": pytest.approx(3)}
    assert "u is 2 (K = 2), 3 (K = 3) times that of ours" in text(made)


def test_a_factor_that_is_not_constant_is_no_factor():
    def wandering(jacobian):
        return (1 + abs(jacobian[0, 0])) * jacobian.mean(axis=0)

    made = card(own(wandering), agreement.claim("equal"), SMALL)
    assert "agrees with equal" in broken(made)
    assert set(made["agreement"]["ours"]["factors"].values()) == {1.0}


def test_memory_and_chance_are_noticed():
    class Moving:
        def __init__(self):
            self.mean = 0.0

        def __call__(self, jacobian):
            self.mean = 0.5 * self.mean + jacobian.mean(axis=0)
            return self.mean

    made = card(own(None, lambda tasks: Moving()), None, Settings(sizes=(2,), per_size=1))
    assert (made["random"], made["remembers"]) == (False, True)
    assert "depends on earlier calls" in text(made)
    made = card(own(lambda j: np.random.permutation(j)[0]), None, SMALL)  # noqa: NPY002
    assert made["random"] is True
    assert made["scaling"]["permutation"] is None
    assert "draws from the global random generators" in text(made)


def test_a_method_owes_what_it_declares_itself(here):
    made = card(find("card_guest:Mean"), None, SMALL)
    assert set(broken(made)) == {"no task gets worse"}
    assert card(find("mgda"), None, SMALL)["passed"]


def test_the_witness_is_the_simplest_kind_that_shows_one():
    for function, kind in ((lambda j: j.mean(axis=0), "2 tasks"), (exact, None)):
        found = conflict.witness(own(function), [], None)
        assert (found["witness"] and found["witness"]["kind"]) == kind
    assert found["tried"] == 100


def test_without_an_integer_one_the_worst_problem_is_rounded():
    target = np.array([[1.0, 0.2345678, 0.1, 0.3], [-1.0, 0.3, 0.0, 0.1], [0.0, 1.0, 2.0, 0.0], [0.5, 0.5, 0.0, 1.0]])

    def harmful(jacobian):
        return -jacobian[0] if len(jacobian) == 4 else exact(jacobian)

    problem = Problem("gaussian", 0, Question(target, np.ones(4)))
    found = conflict.witness(own(harmful), [problem], str(problem))
    assert found["witness"]["kind"] == "gaussian, 4 tasks, problem 0, rounded"
    entries = {abs(value) for row in found["witness"]["jacobian"] for value in row}
    assert all(value == float(f"{value:.0e}") for value in entries)  # one digit was enough
    assert min(found["witness"]["products"]) < 0


def test_products_are_exact():
    assert conflict.exact(np.array([1e16, 1.0, -1e16]), np.ones(3)) == Fraction(1)


def test_no_conflict_is_counted_where_nothing_can_improve_everything():
    assert conflict.smallest_cosine(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([1.0, 0.0])) is None
    assert conflict.smallest_cosine(np.array([[1.0, 0.0], [-1.0, 0.1]]), np.array([1.0, 0.0])) < -0.9
    assert conflict.smallest_cosine(np.eye(2), np.zeros(2)) is None


def test_errors_at_stationary_points_are_relative_to_what_cancels():
    problem = Problem("zero_in_hull", 0, QUESTION)
    pair = Pair(problem, np.array([0.02, 0.0]), np.array([1e-12, 0.0]), 2.0)
    assert pair.stationary
    assert pair.error() == pytest.approx(0.01)
    assert Pair(problem, np.zeros(2), np.zeros(2), 0.0).error() == 0.0
    assert Pair(problem, np.ones(2), np.zeros(2), 0.0).error() == np.inf


@pytest.mark.parametrize("name", methods.built_in())
def test_every_method_of_ours_can_be_claimed(name):
    claim = agreement.claim(name)
    direction, total = claim.ours(QUESTION)
    assert direction.shape == (3,)
    assert np.linalg.norm(direction) <= total * (1 + 1e-12)
    method = methods.get(name)
    referees = bool(method.inner_problem and "solver" in method.parameters()) and name != "greedy_primary_auxiliary"
    assert (claim.cvxpy is not None) == referees
    if claim.cvxpy:
        np.testing.assert_allclose(claim.cvxpy(QUESTION)[0], direction, rtol=1e-6)


def test_a_claim_that_draws_at_random_is_not_compared():
    claim = agreement.Claim("dice", Promises(**vars(MGDA.promises)), lambda q: (exact(q.jacobian), 1.0), random=True)
    made = card(own(exact), claim, SMALL)
    assert "two runs of it do not agree either" in made["agreement"]["omitted"]
    assert made["agreement"]["omitted"] in text(made)


# ---- the command -----------------------------------------------------------------------------------------------


def run(*arguments):
    parser = argparse.ArgumentParser()
    command.add_options(parser, int, int)
    return command.run(parser.parse_args(arguments), cli._assignments)


def test_the_command_prints_writes_and_judges(here, capsys):
    few = ("--size", "2", "--per-size", "1")
    out = here / "card.json"
    assert run("card_guest:direction", "--claims", "mgda", "--json", str(out), *few) == 0
    printed = capsys.readouterr().out
    assert "card_guest:direction: takes a Jacobian in numpy" in printed
    assert "every promise is kept: " in printed
    assert json.loads(out.read_text())["claims"] == "mgda"
    assert run("mgda", "--option", "solver=accelerated", "--claims", "mgda", *few) == 0
    assert run("card_guest:direction", "--claims", "equal", *few) == 1
    assert "broken promises" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("card_guest:direction", "--claims", "mgdb"), "unknown method for --claims 'mgdb': did you mean 'mgda'?"),
        (("card_guest:direction", "--claims-option", "c=1"), "--claims-option needs --claims"),
        (("card_guest:direction", "--claims", "mgda", "--claims-option", "solver"), "write it as KEY=VALUE"),
        (("card_guest:direction", "--tolerance", "2"), "--tolerance must lie between 0 and 1"),
        (("card_guest:direction", "--size", "1000"), "problems have at most 256 tasks"),
    ],
)
def test_wrong_input_is_a_sentence(here, arguments, words):
    with pytest.raises(InputError) as error:
        run(*arguments)
    assert words in str(error.value)


def test_a_question_that_is_not_answered_breaks_a_promise_wherever_it_is_asked():
    def brittle(jacobian):
        if abs(jacobian).max() > 1e5:
            raise RuntimeError("too large for me")
        return jacobian.mean(axis=0)

    made = card(own(brittle), agreement.claim("equal"), SMALL)
    assert "failed" in made["scaling"]
    assert not made["passed"]


def test_an_answer_that_is_never_a_number_is_neither_random_nor_a_law():
    made = card(own(lambda jacobian: np.full(jacobian.shape[1], np.nan)), None, SMALL)
    assert not made["passed"]
    assert (made["random"], made["remembers"]) == (False, False)
    assert behaviour.apart(np.array([np.nan]), np.array([np.nan])) == np.inf
