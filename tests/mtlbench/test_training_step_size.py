"""The adapter of the step size: what it does to the rate, that it is off, and that the results say when it is on."""

from __future__ import annotations

import json
import math

import pytest
import torch

from mtlbench import config
from mtlbench.errors import InputError
from mtlbench.runs import read
from mtlbench.training.cell import run_cell
from mtlbench.training.step_size import StepSize


def descend(rate, steps, gamma=0.1):
    """Gradient descent on ½θ² from 1: gradients keep their sign for rates below 1, and change it above."""
    theta = torch.ones(1, dtype=torch.float64, requires_grad=True)
    optimizer, adapter = torch.optim.SGD([theta], lr=rate), StepSize(gamma)
    for _ in range(steps):
        theta.grad = theta.detach().clone()
        adapter.adapt(optimizer)
        optimizer.step()
    return adapter, optimizer


def test_one_factor_for_the_cosine():
    """m is the first gradient, then (0.9 · 0.1) g₁ + 0.1 g₂: the cosines of the angles worked out by hand."""
    theta, unreached = torch.zeros(2, requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([{"params": [theta], "lr": 0.5}, {"params": [unreached], "lr": 2.0}])
    adapter = StepSize(0.2)
    expected = 1.0
    for gradient, cosine in (([3.0, 4.0], 0.0), ([0.0, 2.0], 0.8), ([1.0, 0.0], 0.27 / math.hypot(0.27, 0.56))):
        theta.grad = torch.tensor(gradient)
        adapter.adapt(optimizer)
        expected *= math.exp(0.2 * cosine)
        assert adapter.scale == pytest.approx(expected, rel=1e-6)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.5 * expected, 2 * expected])
    assert StepSize(0.2).scale == 1
    theta.grad = torch.zeros(2)
    adapter.adapt(optimizer)
    assert adapter.scale == pytest.approx(expected, rel=1e-6)


def test_a_short_step_grows_and_a_long_one_shrinks():
    adapter, optimizer = descend(1e-3, 11)
    assert adapter.scale == pytest.approx(math.exp(0.1 * 10))
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 * adapter.scale)
    # At 1.9 every step turns the gradient round, and the average follows the latest.
    assert descend(1.9, 2)[0].scale == pytest.approx(math.exp(-0.1))
    assert descend(1.9, 10)[0].scale < 1


def test_a_run_says_how_far_the_step_size_went(tiny, tiny_cell, tmp_path):
    cells = {rate: tiny_cell(step_size_adapter=rate) for rate in (0.0, 0.05)}
    records = {}
    for rate, cell in cells.items():
        run_cell(cell, tmp_path / str(rate))
        records[rate] = read(tmp_path / str(rate) / cell.folder / "seed-0")
    assert records[0.0]["step_size_scales"] is None
    assert records[0.0]["recipe"]["step_size_adapter"] == records[0.0]["configuration"]["step_size_adapter"] == 0
    (scale,) = records[0.05]["step_size_scales"]
    assert 0 < abs(math.log(scale)) <= 0.05 * 16
    assert records[0.05]["recipe"]["step_size_adapter"] == 0.05
    assert records[0.05]["test"] != records[0.0]["test"]
    run_cell(tiny_cell("single_task", step_size_adapter=0.05), tmp_path)
    assert len(read(next(tmp_path.glob("tiny/*/single_task/seed-0")))["step_size_scales"]) == 3


def test_it_is_a_key_of_a_dataset_in_the_benchmark_file():
    def parse(rate):
        entry = {"methods": ["equal", "mgda"], "step_size_adapter": rate}
        return config.parse({"name": "b", "datasets": {"multi_digits": entry}}, "b.yaml")

    assert [cell.step_size_adapter for cell in config.cells(parse(0.02))] == [0.02, 0.02]
    for rate in (-0.1, 2.0, "fast"):
        with pytest.raises(InputError, match=r"b.yaml: datasets.multi_digits.step_size_adapter"):
            parse(rate)


def test_the_report_names_it(tiny, tiny_cell, tmp_path):
    from mtlbench.analysis import load
    from mtlbench.analysis.leaderboard import leaderboard
    from mtlbench.report import html
    from mtlbench.report import leaderboard as written

    for adapted in (False, True):
        results = tmp_path / str(adapted)
        for name in ("equal", "mgda"):
            run_cell(tiny_cell(name, epochs=1, step_size_adapter=0.05 * adapted), results / "runs")
        written.write(results)
        records = load.read(results)
        table = load.table(records)
        page = html.write(results, records, table, leaderboard(table), load.curves(records)).read_text(encoding="utf-8")
        note = "The step size was adapted during training, by exponentiated gradient at rate 0.05"
        for text in (results.joinpath("leaderboard.md").read_text(encoding="utf-8"), page):
            assert (note in text) == adapted
        assert ("step_size_adapter = 0.05" in page) == adapted
        assert json.loads(next(results.glob("runs/**/run.json")).read_text())["status"] == "done"
