"""Afterwards: the inner problems that training runs recorded, solved again by ``exact`` and set beside their weights.

The audit certifies the weights of a run by their gap alone. Here the optimum itself is at hand: with w the weights that
the method used, w* those of ``exact`` on the same Gramian, and u = Jᵀw,

- ``distance``: ‖u − u*‖ / √min_i G_ii, how far the direction was from the right one;
- ``moved_weight``: ½ Σ_i |w_i − w*_i|, the share of the weight that stood with the wrong tasks. Where G is singular w*
  need not be unique, and this alone says nothing;
- ``relative_gap`` and ``exact_gap``: both certified gaps, relative to min_i G_ii.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mtlbench import config, methods
from mtlbench.errors import CheckFailed
from mtlbench.methods.mgda import MGDA
from mtlbench.referee.families import Array
from mtlbench.referee.measure import distance_squared, measure
from mtlbench.solvers import min_norm

FILE = "inner_weights.csv"
KEYS = ("dataset", "architecture", "track", "setting", "label", "seed")
WORST = ("relative_gap", "exact_gap", "distance", "moved_weight")
COLUMNS = (*KEYS, "problems", *(f"worst_{name}" for name in WORST), "median_relative_gap", "median_distance")


def compare(results: Path) -> pd.DataFrame:
    """One row per finished run of MGDA, whose weights are those of a min-norm problem: worst and median over its steps.

    Raises :class:`~mtlbench.errors.CheckFailed` for a file of a run that cannot be read.
    """
    listed = config.listed_runs(results)
    folders = sorted(path.parent for path in (results / "runs").rglob("audit.npz")) if listed is None else listed
    rows = [row for folder in folders if (folder / "audit.npz").is_file() for row in _of_run(folder)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def against_exact(gramian: Array, weights: Array) -> dict[str, float]:
    """The numbers of this module's docstring for the weights (K,) of one Gramian (K, K) without zero rows."""
    exact = min_norm.solve(gramian, algorithm="exact").weights
    smallest = float(np.diagonal(gramian).min())
    gaps = measure(gramian, np.stack([weights, exact])).gap
    return {
        "relative_gap": float(gaps[0]) / smallest,
        "exact_gap": float(gaps[1]) / smallest,
        "distance": float(np.sqrt(distance_squared(gramian, weights, exact)[0] / smallest)),
        "moved_weight": float(np.abs(weights - exact).sum()) / 2,
    }


def _of_run(folder: Path) -> Iterator[dict[str, Any]]:
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        if record["status"] != "done" or record["method"] not in methods.names():
            return
        method = methods.get(record["method"], **record["method_parameters"] | record.get("tuned", {}))
        # Other methods with this problem inside bound, rescale or average its weights: theirs are not those of exact.
        if not isinstance(method, MGDA) or method.normalisation != "none":
            return
        gaps = pd.read_csv(folder / "audit.csv")["relative_gap"]
        with np.load(folder / "audit.npz", allow_pickle=False) as file:
            gramians, weights = file["solver_gramians"], file["weights"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise CheckFailed(f"{folder} is not a whole run ({error}): train it again") from None
    found = []
    # A step without a gap is one whose weights are not those of its Gramian's min-norm problem.
    for gramian, used in zip(gramians[gaps.notna()], weights[gaps.notna()], strict=True):
        positive = np.diagonal(gramian) > 0
        # With a zero gradient that is kept, its vertex is the answer and nothing is relative to it.
        if positive.any() and (positive.all() or method.zero_task == "drop"):
            found.append(against_exact(gramian[np.ix_(positive, positive)], used[positive]))
    if found:
        frame = pd.DataFrame(found)
        row = {key: record[key] for key in KEYS} | {"problems": len(frame)}
        row |= {f"worst_{name}": frame[name].max() for name in WORST}
        yield row | {f"median_{name}": frame[name].median() for name in ("relative_gap", "distance")}
