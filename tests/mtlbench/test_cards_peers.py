"""The known defects of other implementations are found in the versions that have them; cards and table are written."""

from __future__ import annotations

import argparse
import json
from importlib.util import find_spec

import numpy as np
import pytest

from mtlbench import pipeline
from mtlbench.cards import agreement, behaviour, conflict, peers, subject
from mtlbench.cards.agreement import Claim
from mtlbench.cards.card import Settings, card
from mtlbench.cards.peers import Peer
from mtlbench.methods import Promises
from mtlbench.referee.families import gramian
from mtlbench.solvers import ball, dual_cone

SMALL = Settings(sizes=(2, 5), per_size=1)
UPGRAD_PROMISES = Promises(
    non_conflicting=True, common_scale=0.0, task_scale="linear", permutation=True, unique="direction"
)
DUALPROJ_PROMISES = Promises(
    non_conflicting=True, common_scale=0.0, task_scale="none", permutation=True, unique="direction"
)
CAGRAD_PROMISES = Promises(
    non_conflicting=False, common_scale=0.0, task_scale="none", permutation=True, unique="direction"
)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Five calls are enough for a time that nobody reads, and half of the Jacobians for a fault that is there."""
    monkeypatch.setattr(behaviour, "SECONDS", 0.0)
    monkeypatch.setattr(conflict, "KINDS", tuple((kind, norms, count // 2) for kind, norms, count in conflict.KINDS))


def room(name, promises, weights) -> Claim:
    """A claim on a room of solvers itself: it does not matter whether the method that uses it is there."""

    def reference(**options):
        def answer(question):
            g = gramian(question.jacobian)
            w = weights(g, options)
            return question.jacobian.T @ w, float(abs(w) @ np.sqrt(g.diagonal()))

        return answer

    return Claim(name, promises, reference(), reference(algorithm="exact"))


def upgrad_weights(g, options):
    return dual_cone.solve(g, np.eye(len(g)) / len(g), **options).weights.sum(axis=0)


UPGRAD = room("upgrad", UPGRAD_PROMISES, upgrad_weights)
DUALPROJ = room("dualproj", DUALPROJ_PROMISES, lambda g, options: dual_cone.solve(g, **options).weights)
CAGRAD = room(
    "cagrad",
    CAGRAD_PROMISES,
    lambda g, options: ball.direction_weights(g, ball.solve(g, 0.4, **options).weights, 0.4),
)


def broken(made):
    return {entry["promise"] for entry in made["promises"] if entry["broken"]}


def worst(made, family="norms_1_to_1e3", reference="ours"):
    return made["agreement"][reference]["families"][family]["worst"]


def check_witness(made, ask):
    """At the Jacobian of the card, asked once more, the direction makes a task worse, and another makes none."""
    witness = made["conflict"]["witness"]
    jacobian = np.array(witness["jacobian"])
    products = jacobian @ ask(jacobian)
    assert products.min() < 0
    np.testing.assert_allclose(products, witness["products"], atol=1e-9 * abs(products).max())
    assert (gramian(jacobian) @ upgrad_weights(gramian(jacobian), {})).min() > 0


# ---- the defects in functions of our own, whatever is installed ------------------------------------------------


def ridged(jacobian):
    """UPGrad with an absolute ridge after division by the trace, and the mean where that is small."""
    g = jacobian @ jacobian.T
    if g.trace() <= 1e-4:
        return jacobian.mean(axis=0)
    return jacobian.T @ upgrad_weights(g / g.trace() + 1e-4 * np.eye(len(g)), {})


def own(function, name="mine:method"):
    return subject.Subject(name, "jacobian", "numpy", lambda tasks: function)


def test_a_ridge_is_found_as_a_conflict_a_distance_and_a_broken_scale():
    made = card(own(ridged), UPGRAD, SMALL)
    assert not made["passed"]
    assert {"no task gets worse", "agrees with upgrad", "scales with all losses as declared"} <= broken(made)
    assert worst(made) > 0.1
    assert worst(made, "gaussian") < 1e-3
    check_witness(made, ridged)
    witness = made["conflict"]["witness"]
    assert all(value == int(value) for row in witness["jacobian"] for value in row)
    # On small gradients it is the mean, which is not what it is elsewhere.
    where = next(e["detail"] for e in made["promises"] if e["promise"].startswith("scales with all"))
    assert "c = 9.54e-07" in where


def test_the_exact_projection_keeps_every_promise_of_upgrad():
    made = card(own(lambda j: j.T @ upgrad_weights(gramian(j), {})), UPGRAD, SMALL)
    assert broken(made) == set()
    assert made["passed"]
    assert made["scaling"]["task"]["law"] == "linear"
    assert made["conflict"] | {"witness": None, "conflicts": 0} == made["conflict"]
    assert made["conflict"]["tried"] == 100
    assert worst(made) < 1e-9
    assert worst(made, reference="cvxpy") < 1e-6


# ---- torchjd ----------------------------------------------------------------------------------------------------


def torchjd(name, needs=(), **options):
    """An aggregator of torchjd; the test is skipped, with the reason, where it or what it needs is missing."""
    for package in ("torchjd", *needs):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'mtlbench[peers]'")
    return subject.find(f"torchjd.aggregation:{name}", options=options)


def test_torchjd_stops_mgda_by_the_length_of_the_step():
    asked = torchjd("MGDA")
    made = card(asked, agreement.claim("mgda"), SMALL)
    assert (asked.takes, asked.arrays) == ("jacobian", "torch")
    assert {"agrees with mgda", "agrees with mgda solved by cvxpy", "no task gets worse"} <= broken(made)
    assert worst(made) > 0.1
    assert worst(made, reference="cvxpy") == pytest.approx(worst(made), rel=1e-3)
    assert made["conflict"]["smallest_cosine"] < -0.1
    check_witness(made, lambda j: asked.ask(subject.Question(j, np.ones(len(j)))))
    assert made["scaling"]["common"]["degree"] == 1.0
    assert made["special"]["NaN in one task"]["answer"] == "NaN"


@pytest.mark.parametrize(("name", "claim"), [("UPGrad", UPGRAD), ("DualProj", DUALPROJ)])
def test_torchjd_projects_with_a_ridge(name, claim):
    asked = torchjd(name, needs=("qpsolvers", "quadprog"))
    made = card(asked, claim, SMALL)
    assert {"no task gets worse", f"agrees with {claim.name}", "scales with all losses as declared"} <= broken(made)
    assert worst(made) > 0.1
    assert worst(made, "gaussian") < 1e-3
    check_witness(made, lambda j: asked.ask(subject.Question(j, np.ones(len(j)))))


def test_torchjd_cagrad_is_ours_but_for_small_gradients():
    made = card(torchjd("CAGrad", c=0.4), CAGRAD, Settings(sizes=(3,), per_size=1))
    assert broken(made) == {"scales with all losses as declared"}
    assert made["agreement"]["ours"]["within"] == made["agreement"]["ours"]["compared"] > 4


def test_torchjd_pcgrad_draws_and_conflicts():
    made = card(torchjd("PCGrad"), None, SMALL)
    assert made["random"] is True
    assert made["scaling"]["task"]["law"] == "linear"
    assert made["scaling"]["permutation"] is None
    assert made["conflict"]["witness"]["kind"] == "3 tasks"
    assert made["passed"]  # nothing was claimed


# ---- the table --------------------------------------------------------------------------------------------------

FILE = """
import numpy as np


def mean(jacobian):
    return jacobian.mean(axis=0)


def first(jacobian):
    return jacobian[0]


class Needs:
    def __init__(self):
        raise ImportError("wants a package")
"""


@pytest.fixture
def others(tmp_path, monkeypatch):
    """A package of peers for the length of a test."""
    (tmp_path / "cards_guest.py").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(peers, "installed", lambda: {"cards_guest": "1.5"})
    monkeypatch.delitem(__import__("sys").modules, "cards_guest", raising=False)
    return (
        Peer("cards_guest:mean", "equal"),
        Peer("cards_guest:first", "equal"),
        Peer("cards_guest:mean", "no_such_method_yet"),
        Peer("cards_guest:Needs", "mgda"),
        Peer("not_installed_here:method", "mgda"),
    )


def test_the_step_writes_cards_times_and_a_table_and_says_what_is_missing(others, tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "PEERS", others)
    monkeypatch.setattr(peers, "SETTINGS", Settings(sizes=(2,), per_size=1))
    monkeypatch.setattr("mtlbench.cli.restart_with_threads", lambda threads: None)
    results = tmp_path / "results" / "b"
    assert pipeline._cards(argparse.Namespace(results=results)) == 0
    folder = results / "cards"
    names = {path.name for path in folder.iterdir()}
    assert {peers.TABLE, "cards_guest.mean.json", "cards_guest.mean.time.json", "cards_guest.first.json"} <= names
    assert json.loads((folder / "cards_guest.first.json").read_text())["passed"] is False
    assert [row["tasks"] for row in json.loads((folder / "cards_guest.first.time.json").read_text())] == [2, 8, 32]
    table = (folder / peers.TABLE).read_text()
    assert "Installed: cards_guest 1.5." in table
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    assert len(rows) == 3
    assert rows[0].endswith("| none |")
    assert "agrees with equal" in rows[1]
    assert "- not_installed_here is not installed: pip install not_installed_here" in table
    assert "no instance can be made: raised ImportError: wants a package" in table

    before = {path.name: path.read_bytes() for path in folder.glob("*.json") if ".time." not in path.name}
    pipeline._cards(argparse.Namespace(results=results))
    assert before == {name: (folder / name).read_bytes() for name in before}


def test_the_line_of_every_peer_is_well_formed():
    assert len({peer.file for peer in peers.PEERS}) == len(peers.PEERS)
    for peer in peers.PEERS:
        assert peer.specification.count(":") == 1
        if find_spec(peer.package):
            module, _, name = peer.specification.partition(":")
            assert hasattr(__import__(module, fromlist=[name]), name)
