"""The shares of the collection that solvers state hold for every sample that a benchmark file may draw."""

from __future__ import annotations

import pytest

from mtlbench.referee import validate
from mtlbench.referee.judge import Bench, judge
from mtlbench.referee.ledger import Ledger
from mtlbench.referee.problems import Settings, build, load
from mtlbench.referee.reach import Reach
from mtlbench.solvers import min_norm


@pytest.mark.parametrize("algorithm", min_norm.ALGORITHMS)
def test_what_solvers_state_of_the_collection_holds_for_the_smallest_samples_of_it(algorithm, monkeypatch, tmp_path):
    """A benchmark file with few problems draws 2, 4, 6 or 8 records, where one record is a large share."""
    monkeypatch.setattr("mtlbench.referee.problems.FAMILIES", ())
    solver = validate.candidate(algorithm)
    for count in range(1, 5):
        build(tmp_path, Settings(sizes=(2,), per_size=count))
        ledger, reach = Ledger(), Reach(solver)
        for problem in load(tmp_path).problems:
            bench = Bench(problem, ledger)
            trace, _ = judge(bench, solver, 10, reach.iterations(problem.family))
            reach.add(bench, trace)
        reach.check(ledger)
        assert [entry["detail"] for entry in ledger.entries() if "reach" in entry["promise"] and entry["broken"]] == []
