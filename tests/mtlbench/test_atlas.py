"""Every edge of the atlas holds on random gradients; the page and the marks of the leaderboard follow the edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mtlbench import atlas, methods

ROOT = Path(__file__).parents[2]
OWN = [edge for edge in atlas.EDGES if edge.test == "tests/mtlbench/test_atlas.py"]


def update(end: atlas.End, jacobian: np.ndarray, losses: np.ndarray) -> np.ndarray:
    """The first update u of a new method."""
    method = methods.get(end.method, **end.options)
    rows = jacobian
    if method.needs == "jacobian":
        found = method.rows(tuple((torch.tensor(row),) for row in jacobian), torch.tensor(losses))
        rows = np.array([row[0].numpy() for row in found])
    return rows.T @ method.weights(gramian=rows @ rows.T, losses=losses)


@pytest.mark.parametrize("edge", OWN, ids=lambda edge: f"{edge.one.label}-{edge.other.label}")
def test_edge(edge: atlas.Edge) -> None:
    # α = 200 stands for infinity; its distance from the limit is of the order of 1/α.
    allowed = 5e-2 if edge.relation == "limit" else 1e-7
    for seed in range(12):
        rng = np.random.default_rng(seed)
        tasks = edge.tasks or int(rng.integers(2, 6))
        jacobian = rng.normal(size=(tasks, 8)) * 10 ** rng.uniform(-0.5, 0.5, (tasks, 1))
        losses = rng.uniform(0.2, 3.0, tasks)
        one, other = (update(end, jacobian, losses) for end in (edge.one, edge.other))
        if edge.relation != "same update":
            one, other = (u / np.linalg.norm(u) for u in (one, other))
        assert np.linalg.norm(one - other) <= allowed * np.linalg.norm(other), seed


@pytest.mark.parametrize("edge", [edge for edge in OWN if edge.tasks], ids=lambda edge: edge.one.label)
def test_an_edge_for_two_tasks_is_none_for_three(edge: atlas.Edge) -> None:
    rng = np.random.default_rng(0)
    apart = []
    for _ in range(20):
        jacobian, losses = rng.normal(size=(3, 4)), rng.uniform(0.2, 3.0, 3)
        one, other = (update(end, jacobian, losses) for end in (edge.one, edge.other))
        apart.append(np.linalg.norm(one / np.linalg.norm(one) - other / np.linalg.norm(other)))
    assert max(apart) > 1e-2


def test_tests_and_page_are_there() -> None:
    for edge in atlas.EDGES:
        assert (ROOT / edge.test).exists()
    page = (ROOT / "docs" / "atlas.md").read_text(encoding="utf-8")
    assert page == "\n".join(atlas.page()) + "\n", "write it again: python -m mtlbench.atlas > docs/atlas.md"


def test_rows_that_an_edge_joins_are_found() -> None:
    rows = {
        label: atlas.End(method, methods.get(method, **options).options())
        for label, method, options in (
            ("pcgrad", "pcgrad", {}),
            ("upgrad", "upgrad", {}),
            ("fairgrad(alpha=1.0)", "fairgrad", {"alpha": 1.0}),
            ("fairgrad", "fairgrad", {}),
            ("nash_mtl", "nash_mtl", {}),
            ("mgda", "mgda", {}),
        )
    }
    pairs = {tasks: {(one, other) for one, other, _ in atlas.joined(rows, tasks)} for tasks in (2, 3)}
    assert pairs[2] == {("pcgrad", "upgrad"), ("fairgrad(alpha=1.0)", "nash_mtl")}
    assert pairs[3] == {("fairgrad(alpha=1.0)", "nash_mtl")}


def test_other_options_are_other_methods() -> None:
    def end(method: str, **options: object) -> atlas.End:
        return atlas.End(method, methods.get(method, **options).options())

    for one, other in (
        (end("gem", margin=0.5), end("primary_auxiliary")),
        (end("pe_ltr", lower=0.2), end("mgda")),
        (end("pe_ltr"), end("mgda", smooth=0.9)),
        (end("imtl_g"), end("unit_gradient", level="last_layer")),
    ):
        assert not list(atlas.joined({"one": one, "other": other}, 2))
    assert list(atlas.joined({"one": end("pe_ltr"), "other": end("mgda", tolerance=1e-9)}, 2))
