"""Our methods beside TorchJD's, other authors' code: they agree where both are right; where not, the reason is named.

Its aggregators take the Jacobian and give the direction; lengths are compared too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from mtlbench import methods

aggregation = pytest.importorskip(
    "torchjd.aggregation", reason="torchjd is not installed: pip install 'mtlbench[peers]'"
)


class Case(NamedTuple):
    """Theirs is ours within ``allowed``, relative; ``reason``: why not to rounding."""

    theirs: str
    arguments: dict[str, Any]
    ours: str
    options: dict[str, Any]
    allowed: float
    reason: str = "both are exact"
    tasks: int = 3


CASES = [
    Case("Mean", {}, "equal", {}, 1e-12),
    Case("IMTLG", {}, "imtl_g", {}, 1e-9),
    Case("ConFIG", {}, "config", {}, 1e-9),
    *(
        Case("AlignedMTL", {"scale_mode": mode}, "aligned_mtl", {"scale": mode, "reduction": "mean"}, 1e-9)
        for mode in ("min", "median", "rmse")
    ),
    Case("PCGrad", {}, "pcgrad", {}, 1e-9, "two tasks have one order only", tasks=2),
    Case("UPGrad", {}, "upgrad", {}, 1e-3, "it adds 1e-4 to the diagonal of the normalised Gramian"),
    Case("DualProj", {}, "dualproj", {}, 1e-3, "it adds 1e-4 to the diagonal of the normalised Gramian"),
    Case("CAGrad", {"c": 0.4}, "cagrad", {"rescale": "none"}, 1e-3, "its solver stops at a tolerance of its own"),
    Case(
        "MGDA", {"max_iters": 10_000, "epsilon": 1e-9}, "mgda", {}, 1e-2, "its tolerance bounds the step, not the gap"
    ),
    Case("FairGrad", {"alpha": 2.0}, "fairgrad", {}, 1e-3, "it solves by least squares, to a tolerance of its own"),
]


def directions(case: Case, jacobian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    try:
        aggregator = getattr(aggregation, case.theirs)(**case.arguments)
        theirs = aggregator(torch.from_numpy(jacobian)).numpy()
    except ImportError as error:
        pytest.skip(f"{case.theirs} needs a package that is not installed: {error}")
    method = methods.get(case.ours, **case.options)
    weights = method.weights(gramian=jacobian @ jacobian.T, losses=np.ones(len(jacobian)))
    return theirs, jacobian.T @ weights


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.theirs}-{case.options.get('scale', '')}")
def test_directions_agree_on_well_scaled_gradients(case: Case) -> None:
    for seed in range(10):
        jacobian = np.random.default_rng(seed).normal(size=(case.tasks, 8))
        theirs, ours = directions(case, jacobian)
        assert np.linalg.norm(theirs - ours) <= case.allowed * np.linalg.norm(ours), (seed, case.reason)


@pytest.mark.parametrize("case", [case for case in CASES if "1e-4" in case.reason], ids=lambda case: case.theirs)
def test_at_norms_of_one_to_a_thousand_the_ridge_costs_the_promise(case: Case) -> None:
    worst = {"theirs": 0.0, "ours": 0.0}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        jacobian = rng.normal(size=(3, 8)) * np.array([[1e-3], [1.0], [1.0]])
        for name, u in zip(worst, directions(case, jacobian), strict=True):
            cosines = jacobian @ u / (np.linalg.norm(jacobian, axis=1) * np.linalg.norm(u))
            worst[name] = min(worst[name], cosines.min())
    assert worst["ours"] >= -1e-9
    assert worst["theirs"] < -1e-3
