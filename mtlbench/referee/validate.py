"""The validation: every algorithm on every problem, one job per algorithm, and the verdict over all.

A job reads ``problems.npz`` and writes two parts: ``parts/<algorithm>.json`` holds what depends on the
problems only (accuracy, promises, traces), ``parts/<algorithm>.time.json`` the seconds of the traces.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtlbench.files import write_json
from mtlbench.referee import problems, table, verdict
from mtlbench.referee.bias import check_bias
from mtlbench.referee.candidate import Candidate, candidate
from mtlbench.referee.judge import Bench, Trace, bounds, judge
from mtlbench.referee.ledger import Ledger
from mtlbench.referee.measure import relative
from mtlbench.referee.outsider import WARMUP, Outsider, judge_outsider
from mtlbench.referee.problems import Settings
from mtlbench.referee.progress import tracked
from mtlbench.referee.reach import Reach
from mtlbench.referee.scores import plain
from mtlbench.referee.verdict import Verdict
from mtlbench.solvers import min_norm

BESIDE = ("active_set", "exact")
"""The project's algorithms beside which a solver of somebody else is judged: the default, and cvxpy."""

TRACED = 60
"""How many iterations of a trace are kept, evenly in the logarithm."""


def validate(
    folder: Path,
    settings: Settings | None = None,
    *,
    algorithms: Sequence[str] | None = None,
    outsiders: Sequence[Outsider] = (),
    recorded: Path | None = None,
    environment: dict[str, Any] | None = None,
    progress: bool = False,
) -> Verdict:
    """Judge ``algorithms`` (default: all) and write problems, accuracy, traces and verdict to ``folder``.

    ``outsiders``: functions of the user and QP packages, judged on the same problems; only two of the project's
    algorithms stand beside them then, unless ``algorithms`` says which.
    ``recorded``: a folder of training runs to take Gramians from. ``environment`` is written into the verdict
    as it is. Raises :class:`~mtlbench.errors.InputError` for an unknown algorithm or unusable recorded runs.
    """
    chosen = list(dict.fromkeys(algorithms or (BESIDE if outsiders else min_norm.ALGORITHMS)))
    for name in chosen:
        candidate(name)  # a misspelt name is answered before any work
    problems.build(folder, settings or Settings(), recorded, progress)
    for name in chosen:
        run_algorithm(folder, name, progress)
    for outsider in outsiders:
        run_outsider(folder, outsider, progress)
    guests = [outsider.name for outsider in outsiders if outsider.owes]
    packages = [outsider.name for outsider in outsiders if not outsider.owes]
    table.write(folder, [*chosen, *guests, *packages])
    return verdict.merge(folder, environment, [*chosen, *guests], packages)


def run_algorithm(folder: Path, algorithm: str, progress: bool = False) -> None:
    """Judge one algorithm on the problems in ``folder`` and write its two parts."""
    solver = candidate(algorithm)
    part, times = judge_all(folder, solver, progress)
    write_json(verdict.part(folder, algorithm), part)
    write_json(verdict.time_part(folder, algorithm), times)


def run_outsider(folder: Path, outsider: Outsider, progress: bool = False) -> None:
    """Judge a solver that is not the project's on the problems in ``folder`` and write its two parts."""
    given = problems.load(folder)
    part, times = judge_outsider(outsider, tracked(given.problems, outsider.name, progress))
    write_json(verdict.part(folder, outsider.name), {"problems": given.digest} | part)
    write_json(verdict.time_part(folder, outsider.name), {"problems": given.digest} | times)


def judge_all(folder: Path, solver: Candidate, progress: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """What one solver did on the problems in ``folder``: the reproducible part, and the seconds."""
    given = problems.load(folder)
    limit = given.settings.iterations
    ledger, reach = Ledger(), Reach(solver)
    rows: list[dict[str, Any]] = []
    traces, seconds, calls = [], [], []
    shown: set[tuple[str, int]] = set()  # the first problem of each family and size is drawn in the plots
    solver.solve(WARMUP, max_iterations=1)  # what is compiled or loaded on the first call is no time of a solve
    for problem in tracked(given.problems, solver.name, progress):
        bench = Bench(problem, ledger)
        trace, row = judge(bench, solver, limit, max(limit, reach.iterations(problem.family)))
        check_bias(bench, solver, limit)
        calls.append(row.pop("seconds", None))
        rows.append({key: plain(value) for key, value in row.items()})
        if trace is not None:
            reach.add(bench, trace)
            if (problem.family, problem.size) not in shown:
                shown.add((problem.family, problem.size))
                kept, times = _kept(bench, solver, trace)
                traces += kept
                seconds += times
    reach.check(ledger)
    part = {"problems": given.digest, "rows": rows, "promises": ledger.entries(), "traces": traces}
    return part, {"problems": given.digest, "seconds": seconds, "calls": calls}


def _kept(bench: Bench, solver: Candidate, trace: Trace) -> tuple[list[list[Any]], list[list[Any]]]:
    """A trace thinned evenly in log k: gap, f − f* and bound relative to min_i G_ii; with its seconds."""
    last = len(trace.iterations) - 1
    index = np.unique(np.geomspace(1, last + 1, TRACED).round().astype(int) - 1)
    allowed = bounds(solver, bench.gramian, trace.iterations[index])
    problem, g = bench.problem, bench.gramian
    kept, times = [], []
    for i, bound in zip(index, allowed, strict=True):
        start = [problem.family, problem.size, solver.name, int(trace.iterations[i])]
        error = trace.measured.objective[i] - bench.reference.objective[0]
        values = (float(trace.measured.gap[i]), float(error), float(bound))
        kept.append([*start, *(plain(relative(value, g)) for value in values)])
        times.append([*start, float(trace.seconds[i])])
    return kept, times
