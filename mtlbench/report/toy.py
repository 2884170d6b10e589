r"""A two-dimensional problem with a known Pareto set, and the path every method takes through it.

Two tasks share the parameters x = (a, b). With the valley h(a) = sin(a) and the distances

.. math:: r_i(x)^2 = (a - c_i)^2 + \kappa\,(b - h(a))^2, \qquad c_1 = -3,\; c_2 = 3,\; \kappa = 6,

the losses are smooth at their minima and nearly linear far away,

.. math:: f_1 = \sqrt{1 + r_1^2} - 1, \qquad f_2 = 12\,\bigl(\sqrt{1 + r_2^2} - 1\bigr).

The tasks agree on the way down into the valley and pull apart along it, with gradients whose lengths differ
twelve fold. Leaving the valley raises both losses and moving along it trades one for the other, so the
Pareto set is the piece of the valley between the two minima, {(a, sin a): −3 <= a <= 3}. Equal weighting is
drawn to one end of it; a method that reacts to the gradients alone can stop anywhere on it.

The paths are computed once and kept in ``toy.json``: a report is drawn again without training anything.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mtlbench import config
from mtlbench.analysis.leaderboard import SINGLE_TASK
from mtlbench.errors import CheckFailed
from mtlbench.files import write_atomically
from mtlbench.report import style
from mtlbench.report.parallel import Job
from mtlbench.report.style import GRID, INK, MUTED, ON_TOP, grid, looks

CENTRES = (-3.0, 3.0)
SCALES = (1.0, 12.0)
CURVATURE = 6.0
STARTS = ((-4.2, 2.6), (0.9, 3.4), (4.4, -2.2))
BOX = (-5.2, 5.2, -4.0, 4.0)
STEPS, LEARNING_RATE = 150, 0.2

Paths = dict[str, Any]
"""For every method its paths from :data:`STARTS`, or the sentence that says why it has none."""


def losses(x: Any, library: ModuleType = np) -> Any:
    """The two losses at ``x``: (..., 2) -> (2, ...), in the arrays of ``library``, numpy or torch."""
    a, b = x[..., 0], x[..., 1]
    across = CURVATURE * (b - library.sin(a)) ** 2
    pairs = zip(SCALES, CENTRES, strict=True)
    return library.stack([scale * (library.sqrt(1 + (a - centre) ** 2 + across) - 1) for scale, centre in pairs])


def pareto_set(resolution: int = 801) -> np.ndarray:
    """The points (n, 2) of a grid over the box that no other grid point beats in both losses, sorted by a."""
    a, b = np.linspace(*BOX[:2], resolution), np.linspace(*BOX[2:], resolution)
    points = np.stack(np.meshgrid(a, b), axis=-1).reshape(-1, 2)
    values = losses(points)
    order = np.lexsort((values[1], values[0]))
    # In order of the first loss a point is beaten exactly if some earlier one is as low in the second.
    lowest_before = np.minimum.accumulate(np.concatenate(([np.inf], values[1][order][:-1])))
    front = points[order[values[1][order] < lowest_before]]
    return front[np.argsort(front[:, 0], kind="stable")]


def trajectory(name: str, start: tuple[float, float]) -> np.ndarray:
    """The path (steps + 1, 2) of the method ``name`` from ``start``: Adam in float64, its rate falling to 0.

    The toy has no heads, so its parameters are also its representation. Raises what the method raises.
    """
    import torch

    from mtlbench import backward, methods

    method = methods.get(name)
    x = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([x], lr=LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    path = [x.detach().numpy().copy()]
    for _ in range(STEPS):
        optimizer.zero_grad()
        representation = x * 1
        batches = [losses(representation, torch) for _ in range(method.batches)]
        needed = representation if method.level == "representation" else None
        backward(batches[0] if method.batches == 1 else batches, method, shared=[x], representation=needed)
        optimizer.step()
        schedule.step()
        if method.needs == "losses_after":
            with torch.no_grad():
                method.observe(losses(x, torch))
        path.append(x.detach().numpy().copy())
    return np.stack(path)


def paths(names: list[str] | tuple[str, ...]) -> Paths:
    """The paths of the methods ``names``, rounded to what a picture shows.

    A method that cannot run here is shown as such; its own tests say whether that is right.
    """
    found: Paths = {}
    for name in names:
        try:
            found[name] = [trajectory(name, start).round(5).tolist() for start in STARTS]
        except (ValueError, ArithmeticError) as error:
            found[name] = f"does not run here: {error}"
    return found


def keep(results: Path) -> None:
    """Write the paths of every method of the benchmark to ``toy.json`` in ``results``; of all where it names none."""
    from mtlbench import methods

    chosen: set[str] = set()
    if (results / "config.json").exists():
        chosen = {cell.method for cell in config.cells(config.load_resolved(results))} - {SINGLE_TASK}
    write_atomically(results / "toy.json", json.dumps(paths(sorted(chosen) or methods.names())) + "\n")


def picture(results: Path) -> Job:
    """What draws the paths in ``toy.json``, computed first where it is missing, into ``plots/toy``.

    Raises :class:`~mtlbench.errors.CheckFailed` where the file is cut.
    """
    kept = results / "toy.json"
    if not kept.exists():
        keep(results)
    try:
        found = json.loads(kept.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckFailed(f"{kept} is cut off or is not JSON: delete it, and it is made again") from error
    return partial(style.picture, results / "plots", "toy", draw, found)


def draw(found: Paths) -> Figure:
    """One panel per method: contours of the mean loss, the Pareto set, and the paths from :data:`STARTS`."""
    names = sorted(found, key=lambda name: (name != "equal", name))
    few = len(names) <= 12
    figure, axes = grid(len(names), *((3, 3.1, 2.5) if few else (5, 1.9, 1.6)))
    look, front, mesh = looks(names), pareto_set(), _mesh(81 if few else 25)
    for ax, name in zip(axes, names, strict=True):
        ax.set_title(name, y=ON_TOP)
        ax.grid(visible=False)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.contour(*mesh, levels=9 if few else 5, colors=GRID, linewidths=0.7)
        ax.plot(*front[::8].T, color=MUTED, linewidth=5, alpha=0.45, solid_capstyle="round")
        _paths(ax, found[name], look[name].colour, every=1 if few else 3)
        ax.set_xlim(*BOX[:2])
        ax.set_ylim(*BOX[2:])
    handles = [
        Line2D([], [], color=MUTED, linewidth=5, alpha=0.45, label="Pareto set"),
        Line2D([], [], color=INK, marker="o", markerfacecolor="none", linestyle="", label="start"),
        Line2D([], [], color=INK, marker="o", linestyle="", label=f"after {STEPS} steps"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _paths(ax: Axes, found: list[list[list[float]]] | str, colour: str, every: int) -> None:
    """The paths, each by one in ``every`` of its points and its last."""
    if isinstance(found, str):
        ax.text(0.5, 0.5, found, transform=ax.transAxes, ha="center", va="center", wrap=True, fontsize=8)
        return
    for points in found:
        path = np.array([*points[:-1:every], points[-1]])
        ax.plot(*path.T, color=colour, linewidth=1.4)
        ax.plot(*path[0], color=colour, marker="o", markerfacecolor="none", markersize=5)
        ax.plot(*path[-1], color=colour, marker="o", markersize=5.5, zorder=3)


def _mesh(resolution: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    a, b = np.meshgrid(np.linspace(*BOX[:2], resolution), np.linspace(*BOX[2:], resolution))
    return a, b, np.log1p(losses(np.stack([a, b], axis=-1)).mean(axis=0))
