"""Methods whose weights come from a room of ``mtlbench.solvers``, and the inner problem that each of them states."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

from mtlbench import solvers
from mtlbench.methods.method import Array, GramianMethod, choice, number


class Inner(NamedTuple):
    """The inner problem that a step has solved, in the words of its room's certificate.

    gramian: the room's (K, K), without the tasks that were dropped. weights: what is claimed to solve it, before any
    rescaling. arguments: the others that the certificate takes (preference, alpha, radius, lower).
    """

    gramian: Array
    weights: Array
    arguments: dict[str, Any]


class RoomMethod(GramianMethod):
    """A method with an inner problem. ``solver``: a name of its room's ``ALGORITHMS``, by default ``default_solver``.

    ``tolerance`` and ``max_iterations`` go to the solver. ``solution`` is the last inner solution, over the tasks that
    were not dropped, and ``inner`` the problem that it belongs to; None in a step that solved nothing.
    """

    inner_problem: ClassVar[str]
    default_solver: ClassVar[str] = "active_set"
    solvers: ClassVar[tuple[str, ...]] = ()
    """The algorithms to choose from; all of the room's if empty."""

    def __init__(
        self,
        *,
        solver: str | None = None,
        tolerance: float = 1e-11,
        max_iterations: int = 10_000,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.solver = choice(self.name, "solver", solver or self.default_solver, self.solvers or self.room.ALGORITHMS)
        self.tolerance = number(self.name, "tolerance", tolerance)
        self.max_iterations = number(self.name, "max_iterations", max_iterations, minimum=1, integer=True)
        if self.room.algorithm(self.solver).iterative:
            # It may stop short of the optimum, where the guarantee holds.
            self.promises = replace(self.promises, non_conflicting=False)

    @property
    def room(self) -> Any:
        """The module of the inner problem; no attribute, so that a method can be copied and pickled."""
        return getattr(solvers, self.inner_problem)

    def solve(self, gramian: Array, **arguments: Any) -> Array:
        """The room's weights for its ``arguments``; ``inner`` and ``solution`` keep the problem and the certificate."""
        solve = self.room.solve_bounded if "lower" in arguments else self.room.solve
        self.solution = solution = solve(
            gramian,
            algorithm=self.solver,
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            **arguments,
        )
        self.inner = Inner(gramian, solution.weights, arguments)
        return solution.weights
