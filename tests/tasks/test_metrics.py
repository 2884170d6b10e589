"""The metrics against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mtlbench.tasks import metrics


def test_accuracy_is_the_share_of_right_classes():
    output = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 0.5], [0.0, 3.0, 9.0], [1.0, 0.0, 0.0]], dtype=np.float32)
    assert metrics.accuracy(np.array([0, 1, 2, 2]), output) == 0.75


def test_normalised_error_of_the_mean_is_one_on_any_scale():
    target = np.random.default_rng(0).normal(5, 1, (100, 3)) * [1e-3, 1.0, 1e6]
    assert metrics.normalised_mse(target, np.broadcast_to(target.mean(axis=0), target.shape)) == pytest.approx(1)
    assert metrics.normalised_mse(target, target) == 0
    half = target - (target - target.mean(axis=0)) / 2
    assert metrics.normalised_mse(target, half) == pytest.approx(0.25)


def test_rmse_is_in_the_unit_of_the_target():
    assert metrics.rmse(np.zeros((2, 1)), np.array([[3.0], [4.0]])) == pytest.approx(np.sqrt(12.5))


def test_large_float32_values_do_not_overflow():
    target = np.array([[0.0], [1e30]], dtype=np.float32)
    assert metrics.rmse(target, -target) == pytest.approx(2e30 / np.sqrt(2), rel=1e-6)


def test_a_target_that_does_not_vary_has_no_normalised_error():
    with pytest.raises(ValueError, match="does not vary"):
        metrics.normalised_mse(np.ones((4, 1)), np.ones((4, 1)))
