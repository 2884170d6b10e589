"""The atlas of equivalences: which methods are the same update, or the same direction, under another name.

Every edge joins two methods with stated options; ``tests/mtlbench/test_atlas.py`` holds both ends to it on random
gradients. ``docs/atlas.md`` is written by ``python -m mtlbench.atlas > docs/atlas.md``; the report draws the same edges
(``python -m mtlbench.report.atlas docs/images``), and the leaderboard marks the rows that an edge joins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from mtlbench import methods

Relation = Literal["same update", "same direction", "limit", "same fixed point"]


class End(NamedTuple):
    """A method with the options that the edge speaks of; the others are at their defaults."""

    method: str
    options: Mapping[str, Any] = {}

    @property
    def label(self) -> str:
        """As in leaderboards: ``fairgrad(alpha=1)``."""
        given = ", ".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.method}({given})" if given else self.method

    def covers(self, method: str, options: Mapping[str, Any]) -> bool:
        """Whether a row with ``method`` and all its ``options`` is this one."""
        if method != self.method:
            return False
        # How a problem is solved, and what a run fills in by itself, change no equivalence.
        free = {"solver", "tolerance", "max_iterations", "seed", "period", "prior"} - self.options.keys()
        expected = methods.get(self.method, **self.options).options()
        same = all(options.get(key) == value for key, value in expected.items() if key not in free)
        return same and options.keys() <= expected.keys()


class Edge(NamedTuple):
    """``one`` and ``other`` are related as ``relation`` says, for ``tasks`` tasks (``None``: any number).

    ``words``: the equation, one sentence; ``source``: where it is said or shown; ``test``: the test that holds it.
    """

    one: End
    other: End
    relation: Relation
    words: str
    source: str
    tasks: int | None = None
    test: str = "tests/mtlbench/test_atlas.py"


MGDA = "Désidéri, C. R. Acad. Sci. Paris 2012"

EDGES: tuple[Edge, ...] = (
    Edge(
        End("mgda", {"solver": "smooth_min"}),
        End("mgda", {"solver": "frank_wolfe"}),
        "limit",
        "the averaging iteration is Frank-Wolfe with the step 1/(k + 1) in place of the line search",
        "J. Su, https://kexue.fm/archives/8896",
        test="tests/solvers/test_min_norm_story.py",
    ),
    Edge(
        End("mgda_ub"),
        End("mgda", {"level": "representation"}),
        "same update",
        "MGDA-UB is MGDA on the gradients of the representation",
        "Sener & Koltun, NeurIPS 2018, arXiv 1810.04650",
    ),
    Edge(
        End("gem", {"primary": 0}),
        End("primary_auxiliary", {"primary": 0}),
        "same update",
        "both project the primary gradient onto {u : <g_i, u> >= 0 for every other task}",
        "Lopez-Paz & Ranzato, NeurIPS 2017, arXiv 1706.08840",
    ),
    Edge(
        End("agem", {"primary": 0}),
        End("gem", {"primary": 0}),
        "same update",
        "one auxiliary task is its own average",
        "Chaudhry et al., ICLR 2019, arXiv 1812.00420",
        tasks=2,
    ),
    Edge(
        End("pcgrad", {"reduction": "sum"}),
        End("upgrad", {"reduction": "mean"}),
        "same direction",
        "two tasks: each gradient projected off the other, summed; PCGrad's sum is twice UPGrad's mean",
        "Quinton & Rey, arXiv 2406.16232",
        tasks=2,
    ),
    Edge(
        End("fairgrad", {"alpha": 1.0}),
        End("nash_mtl"),
        "same direction",
        "at α = 1 the fairness condition is the bargaining condition (Gw)_i = 1/w_i; Nash-MTL then clips the length",
        "Ban & Ji, ICML 2024, arXiv 2402.15638",
    ),
    Edge(
        End("fairgrad", {"alpha": 0.001}),
        End("dualproj"),
        "limit",
        "α → 0: the potential becomes ½ wᵀGw over w >= 1, the projection of Σ g_i onto the dual cone: equal weights"
        " where the mean conflicts with no task",
        "docs/mathematics.md, section 5; Ban & Ji, ICML 2024, arXiv 2402.15638",
    ),
    Edge(
        End("fairgrad", {"alpha": 200.0}),
        End("mgda"),
        "limit",
        "α → ∞: the direction of the min-norm point",
        "Ban & Ji, ICML 2024, arXiv 2402.15638",
    ),
    Edge(
        End("db_mtl", {"averaging": 0.0}),
        End("unit_gradient"),
        "same direction",
        "without averages the logarithm changes the length alone: max_i ‖∇ log L_i‖ Σ_i g_i/‖g_i‖",
        "Lin et al., arXiv 2308.12029",
    ),
    Edge(
        End("imtl_g"),
        End("unit_gradient"),
        "same direction",
        "two tasks: equal cosines mean w_i ∝ 1/‖g_i‖",
        "Liu et al., ICLR 2021",
        tasks=2,
    ),
    Edge(
        End("config"),
        End("unit_gradient"),
        "same direction",
        "two tasks: the bisector of the two unit gradients",
        "Liu et al., ICLR 2025, arXiv 2408.11104",
        tasks=2,
    ),
    Edge(
        End("running_loss"),
        End("gls"),
        "same direction",
        "the gradient of Σ log L_i is that of the geometric mean up to its length",
        "J. Su, https://kexue.fm/archives/8870",
    ),
    Edge(
        End("generalised_mean", {"p": 0.0}),
        End("gls"),
        "same update",
        "the generalised mean of order 0 is the geometric mean",
        "J. Su, https://kexue.fm/archives/8870",
    ),
    Edge(
        End("generalised_mean", {"p": 1.0}),
        End("equal"),
        "same update",
        "the generalised mean of order 1 is the arithmetic mean",
        "J. Su, https://kexue.fm/archives/8870",
    ),
    Edge(
        End("pe_ltr"),
        End("mgda"),
        "same update",
        "lower bounds of 0 bound nothing",
        "Lin et al., RecSys 2019",
    ),
    Edge(
        End("sdmgrad"),
        End("pe_ltr"),
        "same fixed point",
        "with exact gradients SDMGrad(λ) ends where PE-LTR with the lower bounds c = λp/(1 + λ) is",
        "Xiao et al., NeurIPS 2023, arXiv 2305.18409; docs/mathematics.md, section 9",
        test="tests/mtlbench/test_methods_memory.py",
    ),
    Edge(
        End("static", {"weights": None}),
        End("equal"),
        "same update",
        "without weights of its own every task has 1/K",
        "its definition",
    ),
    Edge(
        End("cagrad", {"radius": 0.0}),
        End("equal"),
        "same update",
        "a ball of radius 0 around the mean holds the mean alone",
        "Liu et al., NeurIPS 2021, arXiv 2110.14048",
    ),
)


def joined(rows: Mapping[str, End], tasks: int) -> Iterator[tuple[str, str, Edge]]:
    """(label, other label, edge) of every two rows whose updates have the same direction for ``tasks`` tasks.

    ``rows``: the method of every label with all its options.
    """
    for edge in EDGES:
        if edge.relation not in ("same update", "same direction") or edge.tasks not in (None, tasks):
            continue
        ones = [label for label, row in rows.items() if edge.one.covers(*row)]
        others = [label for label, row in rows.items() if edge.other.covers(*row)]
        yield from ((one, other, edge) for one in ones for other in others if one != other)


def page() -> Iterator[str]:
    """The lines of ``docs/atlas.md``."""
    yield "# The atlas of equivalences"
    yield ""
    yield "Methods that are one update under two names, or the same direction with another length. This page is"
    yield "written by `python -m mtlbench.atlas > docs/atlas.md`; every edge is held to random gradients by the test"
    yield "it links to. The report draws the same edges, and the leaderboard marks the rows that one of them joins:"
    yield "such rows differ by the length of the step, or by chance."
    yield ""
    yield "![The atlas](images/atlas.png)"
    yield ""
    yield "| method | | method | tasks | why | source | test |"
    yield "|---|---|---|---|---|---|---|"
    for edge in EDGES:
        tasks = "any" if edge.tasks is None else f"K = {edge.tasks}"
        test = f"[{edge.test.rpartition('/')[2]}](../{edge.test})"
        ends = f"`{edge.one.label}` | {edge.relation} | `{edge.other.label}`"
        yield f"| {ends} | {tasks} | {edge.words} | {edge.source} | {test} |"


if __name__ == "__main__":
    print("\n".join(page()))
