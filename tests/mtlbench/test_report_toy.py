"""The toy problem: its Pareto set is the one known on paper, and methods end where theory says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from mtlbench import methods
from mtlbench.errors import CheckFailed
from mtlbench.report import toy


def test_numerical_pareto_set_is_the_valley_between_the_minima() -> None:
    resolution = 401
    front = toy.pareto_set(resolution)
    step_a, step_b = (toy.BOX[1] - toy.BOX[0]) / (resolution - 1), (toy.BOX[3] - toy.BOX[2]) / (resolution - 1)
    assert front[:, 0].min() == pytest.approx(-3, abs=2 * step_a)
    assert front[:, 0].max() == pytest.approx(3, abs=2 * step_a)
    assert np.diff(front[:, 0]).max() <= 3 * step_a
    # The valley has slope at most 1, so the nearest grid point is off by at most a step of each axis.
    assert np.abs(front[:, 1] - np.sin(front[:, 0])).max() <= step_a + step_b


def test_tasks_agree_across_the_valley_and_conflict_along_it() -> None:
    def cosine(a: float, b: float) -> float:
        x = torch.tensor([a, b], dtype=torch.float64, requires_grad=True)
        rows = [torch.autograd.grad(loss, x, retain_graph=True)[0] for loss in toy.losses(x, torch)]
        return float(torch.nn.functional.cosine_similarity(*rows, dim=0))

    assert cosine(0.0, 3.0) > 0.8
    assert cosine(0.0, 0.0) == pytest.approx(-1)


def test_equal_weighting_ends_near_the_minimum_of_the_large_task() -> None:
    for start in toy.STARTS:
        end = toy.trajectory("equal", start)[-1]
        assert end[0] > 2.5
        assert end[1] == pytest.approx(np.sin(end[0]), abs=0.02)


@pytest.mark.parametrize("name", methods.names())
def test_every_method_can_be_drawn_and_repeats(name: str) -> None:
    path = toy.trajectory(name, toy.STARTS[1])
    assert path.shape == (toy.STEPS + 1, 2)
    assert np.isfinite(path).all()
    assert np.array_equal(path, toy.trajectory(name, toy.STARTS[1]))


def test_mgda_ends_on_the_pareto_set_from_every_start() -> None:
    for start in toy.STARTS:
        a, b = toy.trajectory("mgda", start)[-1]
        assert -3 <= a <= 3
        assert b == pytest.approx(np.sin(a), abs=0.02)


def test_kept_paths_are_drawn_again_without_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "names", lambda: ("equal",))
    toy.picture(tmp_path)()
    kept = tmp_path / "toy.json"
    assert np.shape(json.loads(kept.read_text())["equal"]) == (len(toy.STARTS), toy.STEPS + 1, 2)
    monkeypatch.setattr(toy, "trajectory", lambda *_: pytest.fail("the path is there"))
    toy.picture(tmp_path)()
    kept.write_text(kept.read_text()[:-100])
    with pytest.raises(CheckFailed, match=rf"^{re.escape(str(kept))} is cut off or is not JSON[^\n]+$"):
        toy.picture(tmp_path)()


def test_a_method_that_cannot_run_here_is_shown_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("three tasks needed")

    monkeypatch.setattr(toy, "trajectory", refuse)
    found = toy.paths(["equal"])
    assert found == {"equal": "does not run here: three tasks needed"}
    assert [text.get_text() for text in toy.draw(found).axes[0].texts] == [found["equal"]]
