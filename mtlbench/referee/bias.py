"""The bias of a smoothed solver: at every λ, f(w_λ) − f* <= log K / λ for the minimiser w_λ of f(w) − H(w)/λ.

λ has the unit 1/‖g‖²; it is checked at several multiples of 1/mean_i G_ii.
"""

from __future__ import annotations

from math import log

import numpy as np

from mtlbench.referee.candidate import Candidate
from mtlbench.referee.judge import Bench, answer, check_gap, check_weights
from mtlbench.referee.measure import measure

SMOOTHINGS = (1.0, 1e2, 1e4, 1e6)
"""λ · mean_i G_ii at which the bias is checked."""


def check_bias(bench: Bench, solver: Candidate, iterations: int) -> None:
    """Hold a solver that takes ``smoothing=`` to the bias that its λ allows; others promise nothing here."""
    mean = float(np.mean(np.diagonal(bench.gramian)))
    if solver.smoothed and mean > 0.0:
        for multiple in SMOOTHINGS:
            _check(bench, solver, multiple / mean, iterations)


def _check(bench: Bench, solver: Candidate, smoothing: float, iterations: int) -> None:
    solution, _ = answer(bench, solver, max_iterations=iterations, smoothing=smoothing)
    if solution is None:
        return
    check_weights(bench, solution.weights)
    found = measure(bench.gramian, solution.weights)
    check_gap(bench, solution.gap, found)
    bench.check(
        "bias of the smoothing",
        found.objective - bench.reference.objective[0],
        log(bench.problem.size) / smoothing + found.rounding + bench.rounding,
        lambda _, bias, most: f"f − f* = {bias:.3g} at λ = {smoothing:.3g}, log K / λ allows {most:.3g}",
    )
