"""The convex problems inside multi-task learning: a Gramian goes in, certified weights come out.

One room (folder) per problem, all of the same shape: ``problem.py`` states it and judges any weights, ``driver.py``
runs its algorithms until that judgement says stop, every other file is one algorithm. A new file in a room is picked up
by itself. The rooms know numpy arrays only: no torch, no model, no data set. The mathematics is in
``docs/mathematics.md``.

This folder stands at the top of the repository because people add files here; it is imported as ``mtlbench.solvers``
through the relative link ``mtlbench/solvers -> ../solvers``, hence the relative imports inside.
"""

from . import ball, bargaining, dual_cone, min_norm
from .algorithm import SolverFailed
from .bargaining import NoSolution
from .gramian import InvalidGramian
from .solution import Solution

__all__ = [
    "InvalidGramian",
    "NoSolution",
    "Solution",
    "SolverFailed",
    "ball",
    "bargaining",
    "dual_cone",
    "min_norm",
]
