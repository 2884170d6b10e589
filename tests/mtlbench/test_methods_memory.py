"""Methods with a memory or with several batches a step, and averaged weights: numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mtlbench
from mtlbench import config, methods
from mtlbench.errors import InputError
from mtlbench.methods._simplex import simplex
from mtlbench.methods.method import UndefinedLoss
from mtlbench.solvers import min_norm
from mtlbench.training.cell import run_cell


def advance(method, gradients, losses=None, dtype=torch.float64):
    """One step on the given gradients: the rows that the method combines, and its weights."""
    gradients = np.asarray(gradients, dtype=float)
    losses = torch.ones(len(gradients), dtype=dtype) if losses is None else torch.tensor(losses, dtype=dtype)
    rows = method.rows(tuple((torch.tensor(row, dtype=dtype),) for row in gradients), losses)
    seen = np.array([row[0].double().numpy() for row in rows])
    return seen, method.weights(gramian=seen @ seen.T, losses=losses)


def jacobian(seed, tasks=4, width=9):
    return np.random.default_rng(seed).normal(size=(tasks, width)) * np.logspace(-1, 1, tasks)[:, None]


@pytest.mark.parametrize("shift", [0.0, 1e20, -1e20])
def test_the_nearest_point_of_the_simplex(shift):
    assert simplex(np.array([3.0]) + shift).tolist() == [1.0]
    if not shift:
        np.testing.assert_allclose(simplex(np.array([0.4, 0.3])), [0.55, 0.45], rtol=1e-15)
        np.testing.assert_allclose(simplex(np.array([2.0, 0.5, 0.4])), [1, 0, 0], rtol=1e-15)
    for seed in range(20):
        point = 2 * np.random.default_rng(seed).normal(size=5) + shift
        nearest = simplex(point)
        assert nearest.min() >= 0
        assert nearest.sum() == pytest.approx(1, rel=1e-14)
        # Of no corner is the way from the point to its projection a way towards it.
        assert ((point - nearest) @ (np.eye(5) - nearest).T <= 1e-9 * max(1.0, abs(shift))).all()


def test_sdmgrad_by_hand():
    # s = (1 + 2)/2, so that a step of 0.9 goes to (0.3, -0.3), whose projection is (0.8, 0.2).
    one = {"iterations": 1, "momentum": 0.0}
    method = methods.get("sdmgrad", regularisation=0, learning_rate=0.9, **one)
    np.testing.assert_allclose(method.weights(gramian=np.diag([1.0, 4.0])), [0.8, 0.2], rtol=1e-14)
    method = methods.get("sdmgrad", regularisation=1, learning_rate=0.45, **one)
    np.testing.assert_allclose(method.weights(gramian=np.diag([1.0, 4.0])), [0.65, 0.35], rtol=1e-14)
    method = methods.get("sdmgrad", regularisation=1, learning_rate=0.45, reduction="sum", **one)
    np.testing.assert_allclose(method.weights(gramian=np.diag([1.0, 4.0])), [1.3, 0.7], rtol=1e-14)


@pytest.mark.parametrize("strength", [0.0, 0.3, 2.0, 50.0])
def test_sdmgrad_is_pe_ltr_with_the_bound_of_its_preference(strength):
    """min over w of ‖Jᵀ(w + λp)‖² is min over w >= c of ‖Jᵀw‖² with c = λp/(1 + λ), u for u."""
    for seed in range(3):
        rows = jacobian(seed) / np.logspace(-1, 1, 4)[:, None]
        gramian = rows @ rows.T
        method = methods.get("sdmgrad", regularisation=strength, learning_rate=0.2, iterations=1500)
        found = method.weights(gramian=gramian)
        bound = np.full(4, strength / 4 / (1 + strength))
        exact = min_norm.solve_bounded(gramian, bound)
        assert exact.converged
        assert found.min() >= bound[0] * (1 - 1e-12)
        assert np.linalg.norm(rows.T @ (found - exact.weights)) <= 1e-6 * np.linalg.norm(rows)


def test_sdmgrad_stays_where_noise_hides_every_gradient():
    method = methods.get("sdmgrad")
    np.testing.assert_allclose(method.weights(gramian=-np.eye(3)), np.full(3, 1 / 3), rtol=1e-15)
    assert method.cost(3) == 9


def test_modo_by_hand():
    method = methods.get("modo", step_size=0.1, ridge=0)
    cross = np.array([[0.0, 2.0], [1.0, 3.0]])
    method.zero_task = "keep"  # a diagonal entry of a cross-Gramian can be 0 where no gradient is
    np.testing.assert_allclose(method.weights(gramian=cross), [0.55, 0.45], rtol=1e-14)
    np.testing.assert_allclose(method.weights(gramian=cross), [0.6, 0.4], rtol=1e-14)


@pytest.mark.parametrize("batches", [2, 3])
def test_the_last_batch_of_modo_makes_the_direction(batches):
    """Linear losses: the gradients of every batch are known."""
    gradients = np.random.default_rng(0).normal(size=(batches, 2, 5))
    theta = torch.ones(5, dtype=torch.float64, requires_grad=True)
    losses = [[torch.from_numpy(g) @ theta for g in batch] for batch in gradients]
    weights = mtlbench.backward(losses, methods.get("modo", step_size=0.05, batches=batches))
    expected = simplex(np.full(2, 0.5) - 0.05 * (gradients[0] @ gradients[1].T + 0.1 * np.eye(2)) @ np.full(2, 0.5))
    np.testing.assert_allclose(weights, expected, rtol=1e-12)
    np.testing.assert_allclose(theta.grad.numpy(), gradients[-1].T @ weights, rtol=1e-12)


@pytest.mark.parametrize("name", ["modo", "sdmgrad"])
def test_a_task_that_sits_out_keeps_its_share(name):
    options = {"step_size": 0.1} if name == "modo" else {"regularisation": 0, "learning_rate": 0.1, "iterations": 1}
    method = methods.get(name, **options)
    method.weights(gramian=np.diag([1.0, 2.0, 3.0]))
    before = method.point.copy()
    weights = method.weights(gramian=np.diag([0.0, 2.0, 2.0]))
    assert weights[0] == 0
    assert weights.sum() == pytest.approx(1)
    assert method.zero_task_events == 1
    assert method.point[0] == before[0]
    assert method.point.sum() == pytest.approx(1)
    # Where all of it sits out, the others begin anew.
    method.point[:] = 1, 0, 0
    np.testing.assert_allclose(method.weights(gramian=np.diag([0.0, 2.0, 2.0])), [0, 0.5, 0.5], rtol=1e-14)
    with pytest.raises(InputError, match=f"{name} remembers the weights of 3 tasks, got 2"):
        method.weights(gramian=np.eye(2))


def test_moco_by_hand():
    method = methods.get("moco")
    first, second = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[3.0, 1.0], [-1.0, 0.0]])
    rows, weights = advance(method, first)
    np.testing.assert_allclose(rows, first / 2, rtol=1e-15)
    np.testing.assert_allclose(weights, [0.51875, 0.48125], rtol=1e-14)  # (½ − 0.1 · ⅛, ½ − 0.1 · ½), projected
    rows, weights = advance(method, second)
    tracked = first / 2 + 0.5 / np.sqrt(2) * (second - first / 2)
    np.testing.assert_allclose(rows, tracked, rtol=1e-14)
    point = np.array([0.51875, 0.48125])
    np.testing.assert_allclose(weights, simplex(point - 0.1 / np.sqrt(2) * tracked @ tracked.T @ point), rtol=1e-13)


def test_moco_with_a_softmax_and_the_losses_for_lengths():
    rows, weights = advance(
        methods.get("moco", tracking=1, normalisation="loss", step="softmax", ridge=0.5),
        [[3, 4], [0, 1e-8], [0, 0]],
        [2, 5, 1],
    )
    np.testing.assert_allclose(rows, [[1.2, 1.6], [0, 5], [0, 0]], rtol=1e-14)
    logits = 0.5 - 0.1 * (rows[:2] @ rows[:2].T + 0.5 * np.eye(2)) @ np.full(2, 0.5)
    np.testing.assert_allclose(weights, [*np.exp(logits) / np.exp(logits).sum(), 0], rtol=1e-13)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_db_mtl_without_average_is_the_scaled_sum_of_unit_gradients(scale):
    """max_i ‖∇ log L_i‖ Σ_i g_i/‖g_i‖."""
    rng = np.random.default_rng(3)
    gradients, losses = scale * jacobian(3), rng.uniform(0.1, 9, 4)
    rows, weights = advance(methods.get("db_mtl", averaging=0), gradients, losses)
    units = gradients.T @ methods.get("unit_gradient").weights(gramian=gradients @ gradients.T)
    longest = (np.linalg.norm(gradients, axis=1) / losses).max()
    np.testing.assert_allclose(rows.T @ weights, longest * units, rtol=1e-12)


def test_db_mtl_averages_the_gradients_of_the_logarithms():
    method = methods.get("db_mtl", averaging=0.8, averaging_decay=1)
    first, second = np.array([[1.0, 0.0], [0.0, 4.0]]), np.array([[0.0, 2.0], [2.0, 0.0]])
    rows, weights = advance(method, first, [1, 2])
    np.testing.assert_allclose(rows, 0.2 * np.array([[1, 0], [0, 2]]), rtol=1e-14)
    np.testing.assert_allclose(weights, [2, 1], rtol=1e-14)
    rows, weights = advance(method, second, [1, 4])
    expected = 0.4 * 0.2 * np.array([[1, 0], [0, 2]]) + 0.6 * np.array([[0, 2], [0.5, 0]])
    np.testing.assert_allclose(rows, expected, rtol=1e-14)
    lengths = np.linalg.norm(expected, axis=1)
    np.testing.assert_allclose(weights, lengths.max() / lengths, rtol=1e-14)


def test_db_mtl_without_a_logarithm():
    method = methods.get("db_mtl")
    _, weights = advance(method, np.eye(3), [1, 0, 1])
    assert weights.tolist() == [1, 0, 1]
    assert method.zero_task_events == 1
    with pytest.raises(UndefinedLoss, match=r"db_mtl takes the logarithm of the losses, but that of task 2 is -0.5"):
        advance(method, np.eye(3), [1, 0, -0.5])
    with pytest.raises(InputError, match="remembers gradients of other tasks or parameters"):
        advance(method, np.eye(2))


def test_excess_mtl_by_hand():
    method = methods.get("excess_mtl", step_size=0.5)
    assert method.head_weights == "same"
    assert advance(method, [[1.0, 0], [2, 0]])[1].tolist() == [1, 1]
    excess = np.array([1 / np.sqrt(2), 1 / np.sqrt(5) / 2])  # g²/√s over that of the first step
    powers = np.exp(0.5 * excess)
    np.testing.assert_allclose(advance(method, [[1.0, 0], [1, 0]])[1], 2 * powers / powers.sum(), rtol=1e-14)
    mean = methods.get("excess_mtl", reduction="mean")
    assert advance(mean, [[1.0, 0], [2, 0]])[1].tolist() == [0.5, 0.5]


def test_excess_mtl_waits_for_a_first_gradient():
    method = methods.get("excess_mtl", step_size=1.0)
    assert advance(method, [[1.0], [0.0]])[1].tolist() == [1, 0]
    power = np.exp(1 / np.sqrt(2))
    expected = 2 * np.array([power, 1]) / (power + 1)
    np.testing.assert_allclose(advance(method, [[1.0], [3.0]])[1], expected, rtol=1e-14)
    with pytest.raises(InputError, match="call rows"):
        methods.get("excess_mtl").weights(gramian=np.eye(2))


def test_excess_mtl_does_not_see_the_unit_of_a_loss():
    """In float32, where the squares of such gradients overflow or vanish."""
    weights = []
    for scale in ([1, 1, 1], [1e-25, 1e25, 1]):
        method = methods.get("excess_mtl", step_size=0.5)
        for seed in range(5):
            gradients = np.array(scale)[:, None] * np.random.default_rng(seed).normal(size=(3, 6))
            rows = method.rows(tuple((torch.tensor(row, dtype=torch.float32),) for row in gradients), torch.ones(3))
            found = method.weights(gramian=np.eye(len(rows)))
        weights.append(found)
    assert np.ptp(weights[0]) > 0.1
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-4)


def test_smoothed_weights_are_the_running_mean():
    rows = [jacobian(seed) for seed in range(4)]
    plain, smooth = methods.get("mgda"), methods.get("mgda", smooth=0.75)
    average = None
    for gramian in (row @ row.T for row in rows):
        weights = plain.weights(gramian=gramian)
        average = weights if average is None else 0.75 * average + 0.25 * weights
        np.testing.assert_allclose(smooth.weights(gramian=gramian), average, rtol=1e-14)
        np.testing.assert_array_equal(smooth.solution.weights, weights)
    assert smooth.options() == plain.options() | {"smooth": 0.75}
    assert not smooth.promises.non_conflicting
    assert smooth.inner_problem is None
    assert methods.smooth(methods.get("mgda_ub")).level == "representation"
    assert methods.smooth(methods.get("modo")).batches == 3
    assert methods.smooth(plain).decay == 0.9


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("mgda", {"smooth": 1.0}, r"decay of smooth\(mgda\) must be below 1, got 1.0"),
        ("mgda", {"smooth": "much"}, r"decay of smooth\(mgda\) must be a finite number of at least 0, got 'much'"),
        ("equal", {"smoth": 0.9}, "unknown option of equal 'smoth': did you mean 'smooth'"),
        ("modo", {"batches": 4}, "batches of modo must be 2 or 3, got 4"),
        ("modo", {"batches": 1}, "batches of modo must be an integer of at least 2, got 1"),
        ("db_mtl", {"averaging": 1}, "averaging of db_mtl must be below 1, got 1"),
        ("moco", {"normalisation": "l2"}, "unknown normalisation of moco 'l2'"),
        ("sdmgrad", {"level": "representation"}, "unknown level of sdmgrad"),
    ],
)
def test_wrong_options(name, options, sentence):
    with pytest.raises(InputError, match=sentence):
        methods.get(name, **options)


def test_a_smoothed_method_stands_in_a_benchmark_file(tiny, tiny_cell, tmp_path):
    entry = {"epochs": 1, "methods": ["equal", {"mgda": {"smooth": 0.9}}]}
    benchmark = config.parse({"name": "b", "seeds": 1, "datasets": {"multi_digits": entry}}, "b.yaml")
    label, parameters = [(cell.label, cell.method_parameters) for cell in config.cells(benchmark)][1]
    assert label == "mgda(smooth=0.9)"
    assert run_cell(tiny_cell("mgda", method_parameters=parameters, epochs=1), tmp_path) == ["done"]


@pytest.mark.parametrize(
    ("name", "options"), [("moco", {"smooth": 0.5}), ("excess_mtl", {}), ("modo", {}), ("db_mtl", {})]
)
def test_a_killed_run_goes_on_with_the_same_bytes(name, options, tiny, tiny_cell, tmp_path):
    """Buffers, averages, the streams of several batches and the adapted step size are all in the checkpoint."""
    cell = tiny_cell(name, method_parameters=options, step_size_adapter=0.1)
    run_cell(cell, tmp_path / "whole")
    tiny.judged.clear()
    tiny.interrupt_at = 2 * 3 + 2  # in the validation after the third of four epochs
    with pytest.raises(KeyboardInterrupt):
        run_cell(cell, tmp_path / "cut", checkpoint_seconds=0)
    folders = [tmp_path / run / cell.folder / "seed-0" for run in ("whole", "cut")]
    assert list(folders[1].glob("mtlbench-checkpoint-*.pt"))
    tiny.batch_losses.clear()
    assert run_cell(cell, tmp_path / "cut") == ["done"]
    # Half of the training, where every batch of four epochs of four steps is counted, those of the audit apart.
    assert tiny.batch_losses["a"] == 8 * methods.get(name).batches
    for file in ("run.json", "curves.csv", "audit.csv", "audit.npz"):
        assert folders[0].joinpath(file).read_bytes() == folders[1].joinpath(file).read_bytes()


def test_a_device_that_is_not_the_checkpoints(tmp_path):
    """State is read on the host and follows the gradients; the meta device stands for any other."""
    method = methods.get("moco")
    advance(method, np.eye(2))
    path = tmp_path / "state.pt"
    torch.save(method.state_dict()["tracked"], path)
    method.tracked = torch.load(path, weights_only=True)
    rows = method.rows(tuple((torch.ones(2, device="meta", dtype=torch.float64),) for _ in range(2)), torch.ones(2))
    assert {row[0].device.type for row in rows} == {"meta"}


def test_a_smoothed_method_counts_what_the_method_counts():
    method = methods.get("nash_mtl", smooth=0.9)
    for gramian in (np.eye(2), np.array([[1.0, -1.0], [-1.0, 1.0]]), np.diag([1.0, 0.0])):
        method.weights(gramian=gramian, losses=np.ones(2))
    assert (method.stationary_events, method.zero_task_events) == (1, 1)
    resumed = methods.get("nash_mtl", smooth=0.9)
    resumed.load_state_dict(method.state_dict())
    assert (resumed.stationary_events, resumed.zero_task_events) == (1, 1)
