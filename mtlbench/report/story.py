"""What the articles on task gradients say, drawn: what holds, and what only seems to.

J. Su, kexue.fm/archives/8896 and 8968; statements and proofs in docs/mathematics.md, sections 2 and 3. Each panel is
one statement, its caption the sentence that the picture shows. ``tests/solvers/test_min_norm_story.py`` holds the same
statements to numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import comb, log
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator
from numpy.typing import NDArray

from mtlbench.report import style
from mtlbench.report.parallel import Job
from mtlbench.report.style import COLOURS, DASHES, GRID, INK, MUTED, grid, plain
from mtlbench.solvers import min_norm
from mtlbench.solvers.gramian import unit_diagonal
from mtlbench.solvers.min_norm import smooth_min

Array = NDArray[np.float64]

VANISHING = np.array([[1.0, 0.0, 1.2], [0.0, 1.0, 1.2], [1.2, 1.2, 4.0]])
"""A Gramian whose third weight is 0 at the optimum."""
WITNESS = np.array([[1, 0], [-2, 1]])
"""The encoder's Jacobian with which z = (1, 1), (1, −1) gives a direction that makes the first task worse."""
ROUNDING = 1e-6
"""A length² of the nearest point below this, for gradients of length 1, may be 0: what float32 leaves of a gradient."""
BLUE, RED, GREEN, PINK = COLOURS[:4]


class Panel(NamedTuple):
    """One statement: its title, the sentence that the picture shows, and how it is drawn."""

    title: str
    caption: str
    draw: Callable[[Axes], None]


def picture(folder: Path, recorded: Sequence[Array] = ()) -> Job:
    """What draws all panels into ``folder``; ``recorded``: Gramians of training runs, for the last."""
    return partial(style.picture, folder, "story", draw, recorded)


def draw(recorded: Sequence[Array] = ()) -> Figure:
    """One panel per statement, numbered as the captions of the report are."""
    figure, axes = grid(len(PANELS), 3, 3.5, 2.8)
    for number, (ax, panel) in enumerate(zip(axes, PANELS, strict=True), start=1):
        ax.set_title(f"{number}  {panel.title}", fontsize=9.5)
        ax.tick_params(labelsize=8)
        panel.draw(ax)
    trained(axes[-1], recorded)
    return figure


def rows(size: int, dimension: int, seed: int = 0) -> Array:
    """Random gradients J (size, dimension), the same for the same arguments."""
    return np.random.default_rng([seed, size, dimension]).standard_normal((size, dimension))


# ---- the direction --------------------------------------------------------------------------------------------


def length(ax: Axes) -> None:
    """min_i <g_i, u>, with and without the charge, along u* and along other points of the hull."""
    j = rows(4, 6)
    best = j.T @ min_norm.solve(j @ j.T).weights
    lengths = np.linspace(0, 2.2, 45) * np.linalg.norm(best)
    others = np.random.default_rng(0).dirichlet(np.ones(4), 6) @ j
    for u, kept in [*((other, False) for other in others), (best, True)]:
        value = (j @ u).min() / np.linalg.norm(u) * lengths
        ax.plot(lengths, value, color=BLUE if kept else GRID, label="worst product" if kept else None)
        ax.plot(
            lengths,
            value - lengths**2 / 2,
            color=RED if kept else GRID,
            linestyle=DASHES[1],
            label="less ½‖u‖²" if kept else None,
        )
    ax.axvline(float(np.linalg.norm(best)), color=MUTED, linewidth=1)
    ax.set_ylim(-1.2, 5)
    ax.set_xlabel("length ‖u‖; grey line: ‖u*‖")
    ax.legend(fontsize=8)


def oscillation(ax: Axes) -> None:
    """The gap of u ← g_τ, which is the averaging step held at k = 0, and of the averaging iteration."""
    gramian = rows(5, 12) @ rows(5, 12).T
    state, undamped = smooth_min.start(gramian, 0), []
    for _ in range(200):
        state = smooth_min.step(gramian, state, gramian @ state.weights, 1)
        undamped.append(min_norm.certificate(gramian, state.weights))
    averaged = [gap for _, _, _, gap, _ in min_norm.trace(gramian, "smooth_min", 200)][1:]
    for gaps, look, label in (
        (undamped, (RED, DASHES[0]), "u ← g_τ"),
        (averaged, (BLUE, DASHES[0]), "mean of the g_τ"),
    ):
        ax.plot(range(1, 201), gaps, color=look[0], linestyle=look[1], label=label, linewidth=1.2)
    _logarithmic(ax, "k", "duality gap")
    ax.legend(fontsize=8)


def averaging(ax: Axes) -> None:
    """f − f* of the averaging iteration, of Frank-Wolfe with γ = 1/(k + 1), and with line search."""
    j = rows(6, 12)
    gramian = j @ j.T
    lowest = min_norm.objective(gramian, min_norm.solve(gramian).weights)
    for name, colour, label in (("smooth_min", BLUE, "averaging"), ("frank_wolfe", GREEN, "line search")):
        errors = [objective - lowest for _, _, objective, _, _ in min_norm.trace(gramian, name, 300)]
        ax.plot(range(1, 301), errors[1:], color=colour, label=label, linewidth=1.2)
    marked = {int(k) for k in np.geomspace(1, 300, 25)}
    found = [(k, f - lowest) for k, f in enumerate(open_loop(j, 300), start=1) if k in marked]
    ax.plot(*zip(*found, strict=True), "o", color=INK, markerfacecolor="none", markersize=4, label="step 1/(k+1)")
    _logarithmic(ax, "k", "f − f*")
    ax.legend(fontsize=8)


def open_loop(j: Array, steps: int) -> Iterator[float]:
    """½‖u‖² of Frank-Wolfe on the hull of the rows, u ← u + γ (g_τ − u) with the fixed steps γ = 1/(k + 1)."""
    u = j.mean(axis=0)
    for k in range(steps):
        u = u + (j[np.argmin(j @ u)] - u) / (k + 1)
        yield float(u @ u / 2)


# ---- smoothing, and the parametrisations of the simplex ----------------------------------------------------------


def smoothing(ax: Axes) -> None:
    """Bias and spread of the products at the λ-smoothed fixed point, both in the unit of the Gramian."""
    gramian = rows(4, 9) @ rows(4, 9).T
    lowest = min_norm.objective(gramian, min_norm.solve(gramian).weights)
    lambdas = np.geomspace(0.1, 1e4, 26)
    fixed = [min_norm.solve(gramian, "smooth_min_entropic", smoothing=float(value)).weights for value in lambdas]
    ax.plot(lambdas, log(4) / lambdas, color=BLUE, linestyle=DASHES[1], label="bound log K / λ")
    ax.plot(lambdas, [min_norm.objective(gramian, w) - lowest for w in fixed], color=BLUE, label="f(w_λ) − f*")
    ax.plot(lambdas, [np.ptp(gramian @ w) for w in fixed], color=RED, label="spread of the products")
    ax.plot(lambdas, 1 / lambdas, color=RED, linestyle=DASHES[2], label="1 / λ")
    _logarithmic(ax, "λ", None)
    ax.set_ylim(1e-9, 1e3)
    ax.legend(fontsize=8, loc="lower left")


def tail(ax: Axes) -> None:
    """The weight that is to vanish, under gradient descent on β at several rates and exponentiated gradient."""
    shown = np.unique(np.geomspace(1, 1000, 60).astype(int))
    for rate, dashes in zip((0.05, 0.2, 0.8, 1.6), DASHES, strict=True):
        weights = [w[2] for _, w, *_ in min_norm.trace(VANISHING, "softmax_beta", 1000, step_size=rate)]
        ax.plot(shown, np.take(weights, shown), color=RED, linestyle=dashes, linewidth=1.3, label=f"β, rate {rate:g}")
    weights = [w[2] for _, w, *_ in min_norm.trace(VANISHING, "exponentiated_gradient", 1000)]
    ax.plot(shown, np.take(weights, shown), color=BLUE, label="exponentiated")
    ax.plot(shown, 0.02 / shown, color=MUTED, linewidth=1, label="slope of 1/k")
    _logarithmic(ax, "k", "inactive weight")
    ax.set_ylim(1e-7, 1)
    ax.legend(fontsize=7, ncols=2, loc="lower left", handlelength=2.6)


# ---- gradients of the representation ----------------------------------------------------------------------------


def angle(ax: Axes) -> None:
    """<x, y> against xᵀMy for random pairs and M = diag(3, 1), the pair of integers marked."""
    m = np.diag([3, 1])
    x, y = np.random.default_rng(0).standard_normal((2, 600, 2))
    before, after = (x * y).sum(axis=1), ((x @ m) * y).sum(axis=1)
    changed = before * after < 0
    ax.plot(before[~changed], after[~changed], ".", color=MUTED, markersize=3, alpha=0.6)
    ax.plot(before[changed], after[changed], ".", color=RED, markersize=4, label=f"sign changed ({changed.mean():.0%})")
    a, b = np.array([1, -2]), np.array([1, 1])
    ax.plot(a @ b, a @ m @ b, "*", color=INK, markersize=11, label="x = (1, −2), y = (1, 1)")
    ax.axhline(0, color=INK, linewidth=0.8)
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_xlim(-4, 4)
    ax.set_ylim(-6, 9)
    ax.set_xlabel("⟨x, y⟩")
    ax.set_ylabel("⟨x, My⟩")
    ax.legend(fontsize=8, loc="upper left", handletextpad=0.2)


def worse(ax: Axes) -> None:
    """How often the direction of the bound's weights makes a task worse, by the condition of the encoder."""
    conditions = np.geomspace(1, 100, 9)
    # Normal z_i look the same from every side: only the singular values of the encoder matter.
    encoders = [np.geomspace(1, condition, 8) for condition in conditions]
    for tasks, colour, marker in ((2, BLUE, "o"), (3, GREEN, "s"), (6, RED, "^")):
        drawn = [rows(tasks, 8, seed) for seed in range(150)]
        bounds = [z.T @ min_norm.solve(z @ z.T).weights for z in drawn]
        lost = [[bool(((z * a) @ (u * a)).min() < 0) for z, u in zip(drawn, bounds, strict=True)] for a in encoders]
        shares = np.mean(lost, axis=1)
        ax.plot(conditions, shares, color=colour, marker=marker, markersize=4, label=f"{tasks} tasks")
    ax.axvline(np.linalg.cond(WITNESS), color=MUTED, linewidth=1)
    ax.text(np.linalg.cond(WITNESS) * 1.08, 0.93, "integer witness", fontsize=8, color=INK)
    _logarithmic(ax, "condition number of ∂H/∂θ", "share", only="x")
    ax.set_ylim(-0.03, 1.03)
    ax.legend(fontsize=8, loc=(0.6, 0.58))


def stationarity(ax: Axes) -> None:
    """‖u‖ of both directions on the way to a stationary point: z_i = centred z_i + t common part."""
    z, encoder = rows(3, 6, 5), rows(6, 8, 5) * np.geomspace(1, 30, 6)[:, None]
    centred, common = z - z.mean(axis=0), rows(1, 6, 9)
    distances = np.geomspace(1e-4, 3, 24)
    found = []
    for t in distances:
        g = (centred + t * common) @ encoder
        bound = min_norm.solve((centred + t * common) @ (centred + t * common).T).weights
        found.append([np.sqrt(2 * min_norm.objective(g @ g.T, w)) for w in (bound, min_norm.solve(g @ g.T).weights)])
    bounds, exact = np.transpose(found)
    ax.plot(distances, bounds, color=RED, marker="o", markersize=3.5, label="MGDA-UB")
    ax.plot(distances, exact, color=BLUE, marker="s", markersize=3.5, label="min-norm")
    _logarithmic(ax, "distance from stationarity", "‖u‖")
    ax.legend(fontsize=8)


# ---- common descent directions ----------------------------------------------------------------------------------


def existence(ax: Axes) -> None:
    """How often K normal gradients in d dimensions have a common descent direction, beside Wendel's formula."""
    trials = 100
    for dimension, colour, marker in ((2, BLUE, "o"), (6, GREEN, "s"), (20, RED, "^")):
        sizes = np.arange(1, int(3.5 * dimension) + 1)
        ax.plot(sizes / dimension, [wendel(int(size), dimension) for size in sizes], color=colour, linewidth=1.2)
        some = np.unique(np.linspace(max(2, dimension / 2), 3.5 * dimension, 7).astype(int))
        shares = [np.mean([descends((j := rows(size, dimension, t)) @ j.T) for t in range(trials)]) for size in some]
        ax.plot(some / dimension, shares, marker, color=colour, markersize=4, label=f"d = {dimension}")
    ax.set_xlabel("K / d")
    ax.set_ylabel("probability")
    ax.legend(fontsize=8)


def trained(ax: Axes, recorded: Sequence[Array]) -> None:
    """The same share of the Gramians that training runs recorded, d being their numerical rank."""
    cosines = [unit_diagonal(gramian)[0] for gramian in recorded if gramian.diagonal().min() > 0]
    if not cosines:
        return
    ranks = [int((np.linalg.eigvalsh(c) > ROUNDING * len(c)).sum()) for c in cosines]
    ratios = np.array([len(c) / rank for c, rank in zip(cosines, ranks, strict=True)])
    share = np.array([descends(c) for c in cosines])
    points = np.array([(ratio, share[ratios == ratio].mean()) for ratio in np.unique(ratios)])
    ax.plot(*points.T, "*", color=INK, markersize=10, label=f"{len(cosines)} Gramians of training")
    ax.legend(fontsize=8)


def wendel(size: int, dimension: int) -> float:
    """The probability that K symmetric random vectors lie in one half-space of R^d: 2^(1−K) Σ_{k<d} C(K−1, k).

    J. Wendel, Mathematica Scandinavica 11 (1962).
    """
    return sum(comb(size - 1, k) for k in range(dimension)) / 2 ** (size - 1)


def descends(gramian: Array) -> bool:
    """Whether the gradients have a common descent direction: 0 is not in the hull of the unit gradients."""
    cosines = unit_diagonal(gramian)[0]
    return 2 * min_norm.objective(cosines, min_norm.solve(cosines).weights) > ROUNDING


def _logarithmic(ax: Axes, x: str, y: str | None, only: str = "xy") -> None:
    """Label the axes and make those named by ``only`` logarithmic, with plain ticks."""
    for name, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
        if name in only:
            getattr(ax, f"set_{name}scale")("log", nonpositive="mask")
            axis.set_major_formatter(plain)
            axis.set_minor_formatter(NullFormatter())
            axis.set_minor_locator(NullLocator())
    ax.set_xlabel(x)
    ax.set_ylabel(y or "")


PANELS = (
    Panel(
        "Length must be charged",
        "Along a common descent direction the worst product min ⟨gᵢ, u⟩ grows without bound; less ½‖u‖² it has its "
        "maximum at the length of u*, the nearest point of the hull (grey: other points of the hull).",
        length,
    ),
    Panel(
        "Following the worst alone oscillates",
        "Jumping to the gradient of the smallest product never comes closer; the mean of these gradients converges.",
        oscillation,
    ),
    Panel(
        "Averaging is Frank-Wolfe",
        "The averaging iteration and Frank-Wolfe with the fixed step 1/(k + 1) are one curve; with line search the "
        "error never rises.",
        averaging,
    ),
    Panel(
        "Growing λ",
        "The bias of the smoothed minimum keeps its bound log K / λ, but the products differ by about 1/λ at most, so "
        "the assumption that they differ by much more fails exactly where the iteration is to end.",
        smoothing,
    ),
    Panel(
        "No rate cures softmax β",
        "A weight that should vanish falls like 1/k under gradient descent on β, whatever the learning rate, and "
        "exponentially under exponentiated gradient.",
        tail,
    ),
    Panel(
        "Where the proof fails",
        "For one positive definite M, here diag(3, 1), the products ⟨x, y⟩ and ⟨x, My⟩ can have opposite signs.",
        angle,
    ),
    Panel(
        "MGDA-UB can make a task worse",
        "The share of random problems whose update by the bound’s weights has a negative product with some gradient, "
        "against the condition number of an encoder of full rank (8 dimensions; grey line: z₁ = (1, 1), z₂ = (1, −1), "
        "∂H/∂θ = (1, 0; −2, 1), where ⟨g₁, u⟩ = −1).",
        worse,
    ),
    Panel(
        "Its stationary points are right",
        "With full rank the update of MGDA-UB and the min-norm direction vanish together.",
        stationarity,
    ),
    Panel(
        "Common descent directions",
        "Wendel’s formula for random gradients (lines), the share among 100 normal Jacobians (marks), and, where runs "
        "were audited, among Gramians recorded in training, d being the numerical rank (stars).",
        existence,
    ),
)
