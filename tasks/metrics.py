"""The metrics of the tasks: scikit-learn's, on the raw outputs of a head and over a whole split.

scikit-learn takes a second to import: whoever only asks what a dataset declares does not wait for it.
"""

from __future__ import annotations

import numpy as np

from .dataset import Metric


def accuracy(target: np.ndarray, prediction: np.ndarray) -> float:
    """The share of samples whose largest output is the right class; target (N,), prediction (N, classes)."""
    from sklearn.metrics import accuracy_score

    _check_finite(prediction)
    return float(accuracy_score(target, prediction.argmax(axis=1)))


def normalised_mse(target: np.ndarray, prediction: np.ndarray) -> float:
    """``mean (t − p)² / var t`` of every output, averaged over the outputs: 0 is perfect, 1 guesses the mean.

    Target and prediction (N, outputs). Raises ``ValueError`` where a target does not vary.
    """
    from sklearn.metrics import mean_squared_error

    _check_finite(prediction)
    target, prediction = target.astype(np.float64), prediction.astype(np.float64)
    variance = target.var(axis=0)
    if not np.all(variance > 0):
        raise ValueError("the normalised squared error of a target that does not vary is not defined")
    return float(np.mean(mean_squared_error(target, prediction, multioutput="raw_values") / variance))


def rmse(target: np.ndarray, prediction: np.ndarray) -> float:
    """``√ mean (t − p)²`` of every output, averaged over the outputs; target and prediction (N, outputs)."""
    from sklearn.metrics import root_mean_squared_error

    _check_finite(prediction)
    return float(root_mean_squared_error(target.astype(np.float64), prediction.astype(np.float64)))


def _check_finite(prediction: np.ndarray) -> None:
    # The class with the largest output is defined, and meaningless, among NaN too: no metric may hide a divergence.
    if not np.isfinite(prediction).all():
        raise ValueError("the prediction is not finite")


ACCURACY = Metric("accuracy", accuracy, higher_is_better=True, unit="fraction")
NORMALISED_MSE = Metric("nmse", normalised_mse, higher_is_better=False, unit="fraction of variance")
RMSE = Metric("rmse", rmse, higher_is_better=False, unit="unit of the target")
