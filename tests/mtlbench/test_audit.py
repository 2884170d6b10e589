"""The audit: its numbers against a computation by hand in float64, and that it leaves the run as it is."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from mtlbench import methods
from mtlbench.runs import read
from mtlbench.solvers import min_norm
from mtlbench.training import audit
from mtlbench.training.audit import COLUMNS, TASK_COLUMNS, Audit, Changes, Measured
from mtlbench.training.cell import run_cell


def folder(cell, runs):
    return runs / cell.folder / "seed-0"


# Three gradients in the plane, at 0, 120 and 90 degrees, of lengths 2, 1 and 3.
ROWS = np.array([[2.0, 0.0], [math.cos(2 * math.pi / 3), math.sin(2 * math.pi / 3)], [0.0, 3.0]])
# C_ij = <g_i^A, g_j^B>: task 1 disagrees with itself; (0, 1), (1, 0) and (2, 1) disagree across the halves.
CROSS = np.array([[1.0, -1.0, 2.0], [-3.0, -0.5, 0.0], [1.0, -2.0, 4.0]])
WEIGHTS = np.array([0.5, 0.25, 0.25])


class Foreign(methods.GramianMethod):
    """Somebody's own method: it names a room and states no problem, so that its weights are judged as they are."""

    name, summary, source, inner_problem = "foreign", "", "", "min_norm"
    promises = methods.get("mgda").promises

    def gramian_weights(self, gramian, losses):
        return WEIGHTS


def by_hand(weights=WEIGHTS, method=None, inner=None, rows=ROWS):
    gramian, asked = rows @ rows.T, Foreign() if method is None else methods.get(method)
    return audit.row(Measured(gramian, CROSS), weights, asked, gramian if inner is None else inner)


def test_the_numbers_of_a_step():
    found = by_hand()
    update = WEIGHTS @ ROWS
    products = ROWS @ update
    assert found["conflict"] == pytest.approx(1 / 3)  # the pair at 0 and 120 degrees
    assert found["same_task_conflict"] == pytest.approx(1 / 3)
    assert found["cross_half_conflict"] == pytest.approx(3 / 6)
    assert found["smallest_product"] == pytest.approx(products.min())
    assert found["smallest_cosine"] == pytest.approx(-0.5)
    lengths = np.linalg.norm(ROWS, axis=1) * np.linalg.norm(update)
    assert found["smallest_update_cosine"] == pytest.approx((products / lengths).min())
    assert found["relative_gap"] == pytest.approx((update @ update - products.min()) / 1.0)
    # The min-norm point lies on the segment between the gradients at 0 and 120 degrees.
    one, two = ROWS[0], ROWS[1]
    step = np.clip((two - one) @ two / ((two - one) @ (two - one)), 0, 1)
    nearest = step * one + (1 - step) * two
    assert found["stationarity"] == pytest.approx(nearest @ nearest / 1.0, rel=1e-9)


def test_a_method_without_inner_problem_has_no_gap():
    assert math.isnan(by_hand(method="equal")["relative_gap"])


def test_a_zero_gradient_is_no_conflict_and_a_stationary_point():
    rows = ROWS * np.array([[1.0], [0.0], [1.0]])
    found = by_hand(weights=np.array([1.0, 0.0, 0.0]), rows=rows)
    assert found["conflict"] == 0
    assert found["stationarity"] == 0
    assert found["smallest_cosine"] == pytest.approx(0.0)
    # The dropped task counts neither in the gap nor in its scale: gap of the vertex g_0 against g_2.
    assert found["relative_gap"] == pytest.approx(4.0 / 4.0)


def test_a_step_that_solved_nothing_is_not_judged_by_the_problem_of_an_earlier_one():
    method = methods.get("gem", primary=0)
    method.weights(gramian=np.array([[1.0, -0.5], [-0.5, 1.0]]))
    assert method.inner is not None
    without_primary = np.diag([0.0, 1.0])
    weights = method.weights(gramian=without_primary)
    assert method.inner is None
    assert method.solution is None
    assert math.isnan(audit.relative_gap(without_primary, weights, method))


def test_where_every_gradient_is_zero_nothing_is_undefined():
    found = by_hand(weights=np.zeros(3), rows=np.zeros((3, 2)))
    assert found["relative_gap"] == 0
    assert found["stationarity"] == 0
    assert math.isnan(found["smallest_cosine"])
    assert math.isnan(found["smallest_update_cosine"])


def test_one_task_has_no_pairs():
    found = audit.row(Measured(np.ones((1, 1)), -np.ones((1, 1))), np.ones(1), methods.get("equal"), None)
    assert math.isnan(found["conflict"])
    assert math.isnan(found["cross_half_conflict"])
    assert found["same_task_conflict"] == 1


def test_the_summary_is_the_mean_above_the_noise_floor():
    record = Audit(5)
    alone = np.array([1.0, 0.0, 0.0])  # descends for task 0, ascends for task 1
    for step, cross, weights in ((0, CROSS, WEIGHTS), (5, np.abs(CROSS), alone)):
        done = SimpleNamespace(weights=weights, gramian=ROWS @ ROWS.T)
        change = np.array([-1.0, -2.0, 0.5 if step else 0.0])  # the loss of task 2 rises in the second step
        record.add(step, 1, Measured(ROWS @ ROWS.T, cross), Changes(change, -change), Foreign(), done)
    summary = record.summary(zero_task_events=2)
    assert summary["steps"] == 2
    assert summary["interval"] == 5
    assert summary["conflict_rate"] == pytest.approx(1 / 3)
    assert summary["noise_floor"] == pytest.approx(1 / 6)
    assert summary["excess_conflict"] == pytest.approx(1 / 4 - 1 / 6)
    assert summary["update_conflict_rate"] == 0.5
    assert summary["smallest_update_cosine"] == pytest.approx(-0.5)
    assert summary["worst_gap"] == pytest.approx(4.0 + 1.0)  # of the second step: (4 − (−1)) / 1
    assert summary["zero_task_events"] == 2
    assert summary["predicted_rise_rate"] == 0.5
    assert summary["realised_rise_rate"] == 1
    assert Audit(5).summary(0) is None


@pytest.mark.parametrize("method", ["equal", "mgda", "mgda_ub"])
def test_the_recorded_arrays_bear_out_the_table(method, tiny, tiny_cell, tmp_path):
    cell = tiny_cell(method)
    run_cell(cell, tmp_path)
    table = pd.read_csv(folder(cell, tmp_path) / "audit.csv")
    arrays = np.load(folder(cell, tmp_path) / "audit.npz")
    assert list(table.columns) == [*COLUMNS, *(f"{column}_{task}" for column in TASK_COLUMNS for task in "abc")]
    assert list(table.step) == list(arrays["steps"]) == [0, 3, 6, 9, 12, 15]  # 4 epochs of 4 steps
    assert list(table.epoch) == [1, 1, 2, 3, 4, 4]
    assert ("solver_gramians" in arrays) == (method != "equal")
    for i, row in table.iterrows():
        gramian, weights, cross = (arrays[name][i] for name in ("gramians", "weights", "half_cross"))
        np.testing.assert_allclose(row[["weight_a", "weight_b", "weight_c"]].astype(float), weights, rtol=1e-12)
        norms = np.sqrt(np.diag(gramian))
        np.testing.assert_allclose(row[["norm_a", "norm_b", "norm_c"]].astype(float), norms, rtol=1e-12)
        for column in ("predicted", "realised"):
            assert [row[f"{column}_{task}"] for task in "abc"] == arrays[column][i].tolist()
        assert row.smallest_product == pytest.approx((gramian @ weights).min(), rel=1e-12)
        assert row.conflict == pytest.approx(np.mean([gramian[0, 1] < 0, gramian[0, 2] < 0, gramian[1, 2] < 0]))
        assert row.same_task_conflict == pytest.approx(np.mean(np.diag(cross) < 0))
        if method == "equal":
            assert math.isnan(row.relative_gap)
        else:
            inner = arrays["solver_gramians"][i]
            gap = min_norm.certificate(inner, weights) / np.diag(inner).min()
            assert row.relative_gap == pytest.approx(gap, rel=1e-9, abs=1e-300)
            assert row.relative_gap < 1e-9
    # The Gramian of mgda's own problem is that of the shared parameters, mgda_ub's is not.
    if method != "equal":
        same = np.allclose(arrays["gramians"], arrays["solver_gramians"], rtol=1e-5)
        assert same == (method == "mgda")
    summary = read(folder(cell, tmp_path))["audit"]
    assert summary["predicted_rise_rate"] == np.mean((arrays["predicted"] > 0).any(axis=1))
    assert (summary["inner_solves"], summary["inner_solves_outside"]) == (0 if method == "equal" else 16, 0)
    assert summary["excess_conflict"] == pytest.approx((table.cross_half_conflict - table.same_task_conflict).mean())


def test_measured_gramians_are_those_of_the_losses_in_float64():
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    shared = torch.randn(4, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    heads = [torch.randn(3, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(2)]

    def losses(part):
        hidden = torch.tanh(inputs[part] @ shared)
        return [(hidden @ head - 1).square().mean() for head in heads]

    def gradient(part, i):
        hidden = np.tanh(inputs[part].numpy() @ shared.detach().numpy())
        head = heads[i].detach().numpy()
        residual = 2 * (hidden @ head - 1) / len(hidden)
        return (inputs[part].numpy().T @ (np.outer(residual, head) * (1 - hidden**2))).ravel()

    parts = [slice(0, 4), slice(4, 8)]
    measured = audit.measure(losses(slice(None)), lambda half: losses(parts[half]))
    whole, first, second = (np.stack([gradient(p, i) for i in range(2)]) for p in (slice(None), *parts))
    np.testing.assert_allclose(measured.gramian, whole @ whole.T, rtol=1e-12)
    np.testing.assert_allclose(measured.half_cross, first @ second.T, rtol=1e-12)

    # The prediction is exact in the limit of a small step, of the heads as well.
    before = [loss.item() for loss in losses(slice(None))]
    with torch.no_grad():
        for parameter in (shared, *heads):
            parameter.add_(1e-7 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    realised = [loss.item() - old for loss, old in zip(losses(slice(None)), before, strict=True)]
    np.testing.assert_allclose(measured.predicted(), realised, rtol=1e-5)


@pytest.mark.parametrize("method", ["equal", "mgda"])
def test_what_comes_of_a_small_step_is_what_was_predicted(method, tiny, tiny_cell, tmp_path):
    """With dropout in the network: other masks would change the losses by much more than the step does."""
    cell = tiny_cell(method, optimizer="sgd", learning_rate=1e-6, weight_decay=0.0, audit_interval=5)
    run_cell(cell, tmp_path)
    arrays = np.load(folder(cell, tmp_path) / "audit.npz")
    scale, rounding = np.abs(arrays["predicted"]).max(axis=0), 3e-7 * np.array([1, 900, 1])  # of a loss in float32
    assert np.all(np.abs(arrays["realised"] - arrays["predicted"]) < 0.05 * scale + rounding)
    if method == "equal":
        # The shared part of the step is −rate · u; what the heads add makes every loss fall by more.
        rate_u = 1e-6 * np.einsum("sij,sj->si", arrays["gramians"], arrays["weights"])
        assert np.all(arrays["predicted"] <= -rate_u + 1e-3 * scale)


def test_inner_solves_outside_their_tolerance_are_counted_at_every_step(tiny, tiny_cell, tmp_path):
    cell = tiny_cell(method_parameters={"solver": "smooth_min", "max_iterations": 3}, method="mgda", audit_interval=7)
    run_cell(cell, tmp_path)
    summary = read(folder(cell, tmp_path))["audit"]
    assert summary["inner_solves"] == 16
    assert 0 < summary["inner_solves_outside"] <= 16


@pytest.mark.parametrize("method", ["equal", "mgda", "mgda_ub", "modo", "excess_mtl"])
def test_the_audit_does_not_change_the_run(method, tiny, tiny_cell, tmp_path):
    """With dropout and running statistics in the network: same curves, same test results."""
    audited, plain = tiny_cell(method, audit_interval=1), tiny_cell(method, audit_interval=0)
    run_cell(audited, tmp_path / "audited")
    run_cell(plain, tmp_path / "plain")
    folders = [folder(cell, tmp_path / name) for cell, name in ((audited, "audited"), (plain, "plain"))]
    curves = [(f / "curves.csv").read_bytes() for f in folders]
    assert curves[0] == curves[1]
    assert read(folders[0])["test"] == read(folders[1])["test"]
    assert read(folders[1])["audit"] is None
    assert not (folders[1] / "audit.csv").exists()


def test_the_update_of_a_method_that_changes_the_rows_is_read_off_the_gradients(tiny, tiny_cell, tmp_path):
    cell = tiny_cell("moco", audit_interval=1)
    run_cell(cell, tmp_path)
    table = pd.read_csv(folder(cell, tmp_path) / "audit.csv")
    arrays = np.load(folder(cell, tmp_path) / "audit.npz")
    gramians, weights = arrays["gramians"], arrays["weights"]
    # In the first step it has tracked half of every gradient; later other gradients than the batch's are in it.
    products = 0.5 * gramians[0] @ weights[0]
    assert table.smallest_product[0] == pytest.approx(products.min(), rel=1e-5)
    cosines = products / np.sqrt(np.diag(gramians[0]) * (0.5 * weights[0] @ products))
    assert table.smallest_update_cosine[0] == pytest.approx(cosines.min(), rel=1e-5)
    assert table.smallest_product[9] != pytest.approx((gramians[9] @ weights[9]).min(), rel=1e-2)
    assert table.relative_gap.isna().all()


def test_turning_the_audit_off_removes_the_files_of_an_earlier_one(tiny, tiny_cell, tmp_path):
    run_cell(tiny_cell(audit_interval=1), tmp_path)
    cell = tiny_cell(audit_interval=0)
    run_cell(cell, tmp_path)
    assert not (folder(cell, tmp_path) / "audit.csv").exists()
    assert not (folder(cell, tmp_path) / "audit.npz").exists()
