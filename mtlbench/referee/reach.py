"""The reach that an author states: the share of a family brought to a gap within so many iterations."""

from __future__ import annotations

import math

import numpy as np

from mtlbench.referee.candidate import Candidate
from mtlbench.referee.judge import Bench, Trace
from mtlbench.referee.ledger import Ledger
from mtlbench.referee.measure import relative


class Reach:
    """Collects, problem by problem, whether each stated gap was reached in time; judges at the end."""

    def __init__(self, solver: Candidate) -> None:
        # A share of 0 could not be missed: it states nothing.
        self._stated = {
            family: {level: (iterations, share) for level, (iterations, share) in table.items() if share > 0}
            for family, table in solver.promises.reach.items()
        }
        self._reached: dict[tuple[str, float], list[bool]] = {}
        self._missed: dict[tuple[str, float], str] = {}

    def iterations(self, family: str) -> int:
        """The most iterations that a statement on ``family`` speaks of; 0 where there is none."""
        return max((iterations for iterations, _ in self._stated.get(family, {}).values()), default=0)

    def add(self, bench: Bench, trace: Trace) -> None:
        """Note which gaps, relative to min_i G_ii, the trace came to within their stated iterations."""
        family = bench.problem.family
        for level, (iterations, _) in self._stated.get(family, {}).items():
            gaps = trace.measured.gap[trace.iterations <= iterations]
            best = relative(float(gaps.min()), bench.gramian) if len(gaps) else math.inf
            reached = best <= level
            self._reached.setdefault((family, level), []).append(reached)
            if not reached:
                text = f"{bench.problem.name}: relative gap {best:.3g} within {iterations} iterations"
                self._missed.setdefault((family, level), text)

    def check(self, ledger: Ledger) -> None:
        """A share is kept if ⌈share · n⌉ of the n problems were reached: no smaller number is that share."""
        for (family, level), reached in self._reached.items():
            iterations, share = self._stated[family][level]
            # The decimal share is meant: 0.07 of 100 problems is 7 although 0.07 · 100 rounds to more in float64.
            needed = math.ceil(share * len(reached) * (1 - 1e-12))
            found = int(np.count_nonzero(reached))
            sentence = (
                f"{found} of {len(reached)} problems reached within {iterations} iterations, stated is a "
                f"share of {share:g}; the first that did not: {self._missed.get((family, level), '')}"
            )
            ledger.check(
                f"reach of relative gap {level:g}",
                family,
                len(reached) - found,
                len(reached) - needed,
                lambda *_, text=sentence: text,
            )
