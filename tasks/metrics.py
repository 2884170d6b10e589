"""The metrics of the tasks: scikit-learn's, on the raw outputs of a head and over a whole split.

Samples without a label, NaN or ``UNLABELLED`` in the target, are left out; where no sample has one, the metric is not
defined and raises ``ValueError``. scikit-learn takes a second to import: whoever only asks what a dataset declares does
not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from .dataset import UNLABELLED, Metric


def accuracy(target: np.ndarray, prediction: np.ndarray) -> float:
    """The share of samples whose largest output is the right class; target (N,), prediction (N, classes)."""
    from sklearn.metrics import accuracy_score

    check_finite(prediction)
    known = target != UNLABELLED
    if not known.any():
        raise ValueError("no sample has a label")
    return float(accuracy_score(target[known], prediction[known].argmax(axis=1)))


def binary_accuracy(target: np.ndarray, prediction: np.ndarray) -> float:
    """The share of samples whose logit has the right sign; target, of 0 and 1, and prediction (N, outputs)."""
    from sklearn.metrics import accuracy_score

    return _average(lambda t, p: accuracy_score(t > 0, p > 0), target, prediction)


def auc(target: np.ndarray, prediction: np.ndarray) -> float:
    """The area under the ROC curve: P(output of a positive > output of a negative), ties counted half.

    Target, of 0 and 1, and prediction (N, outputs). Raises ``ValueError`` where all labels are equal.
    """
    from sklearn.metrics import roc_auc_score

    def area(true: np.ndarray, output: np.ndarray) -> float:
        if true.min() == true.max():
            raise ValueError("the area under the ROC curve of labels that are all equal is not defined")
        return float(roc_auc_score(true, output))

    return _average(area, target, prediction)


def f1(target: np.ndarray, prediction: np.ndarray) -> float:
    """``2 tp / (2 tp + fp + fn)`` of positive logits, 0 where there is neither a positive label nor a positive logit.

    Target, of 0 and 1, and prediction (N, outputs).
    """
    from sklearn.metrics import f1_score

    return _average(lambda t, p: f1_score(t > 0, p > 0, zero_division=0.0), target, prediction)


def normalised_mse(target: np.ndarray, prediction: np.ndarray) -> float:
    """``mean (t − p)² / var t`` of every output, averaged over the outputs: 0 is perfect, 1 guesses the mean.

    Target and prediction (N, outputs). Raises ``ValueError`` where a target does not vary.
    """
    from sklearn.metrics import mean_squared_error

    def normalised(true: np.ndarray, output: np.ndarray) -> float:
        variance = true.var()
        if variance == 0:
            raise ValueError("the normalised squared error of a target that does not vary is not defined")
        return float(mean_squared_error(true, output) / variance)

    return _average(normalised, target, prediction)


def relative_rmse(target: np.ndarray, prediction: np.ndarray) -> float:
    """``√(Σ (t − p)² / Σ t²)`` of every output, averaged over the outputs, for targets standardised on training.

    The mean of the training split is then 0, and this is the RRMSE of E. Spyromitros-Xioufis, G. Tsoumakas, W. Groves,
    I. Vlahavas, Machine Learning 104(1), 2016, equation 7: 1 guesses the mean of training. Target and prediction
    (N, outputs). Raises ``ValueError`` where every target is 0.
    """
    from sklearn.metrics import root_mean_squared_error

    def relative(true: np.ndarray, output: np.ndarray) -> float:
        if not true.any():
            raise ValueError("the relative error of targets that all equal the mean of training is not defined")
        return float(root_mean_squared_error(true, output) / root_mean_squared_error(true, np.zeros_like(true)))

    return _average(relative, target, prediction)


def mse(target: np.ndarray, prediction: np.ndarray) -> float:
    """``mean (t − p)²`` of every output, averaged over the outputs; target and prediction (N, outputs)."""
    from sklearn.metrics import mean_squared_error

    return _average(mean_squared_error, target, prediction)


def rmse(target: np.ndarray, prediction: np.ndarray) -> float:
    """``√ mean (t − p)²`` of every output, averaged over the outputs; target and prediction (N, outputs)."""
    from sklearn.metrics import root_mean_squared_error

    return _average(root_mean_squared_error, target, prediction)


def mae(target: np.ndarray, prediction: np.ndarray) -> float:
    """``mean |t − p|`` of every output, averaged over the outputs; target and prediction (N, outputs)."""
    from sklearn.metrics import mean_absolute_error

    return _average(mean_absolute_error, target, prediction)


def r2(target: np.ndarray, prediction: np.ndarray) -> float:
    """``1 − mean (t − p)² / var t`` of every output, averaged over the outputs: one minus :func:`normalised_mse`."""
    return 1 - normalised_mse(target, prediction)


def _average(metric: Callable[[np.ndarray, np.ndarray], float], target: np.ndarray, prediction: np.ndarray) -> float:
    """The mean over the outputs of ``metric`` over the samples that have the label."""
    check_finite(prediction)
    return float(np.mean([metric(true, output) for true, output in _labelled(target, prediction)]))


def _labelled(target: np.ndarray, prediction: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for true, output in zip(target.T.astype(np.float64), prediction.T.astype(np.float64), strict=True):
        known = ~np.isnan(true)
        if not known.any():
            raise ValueError("no sample has a label")
        yield true[known], output[known]


def check_finite(prediction: np.ndarray) -> None:
    """Raise ``ValueError`` where an output is not finite: every metric calls this."""
    # The class with the largest output is defined, and meaningless, among NaN too: no metric may hide a divergence.
    if not np.isfinite(prediction).all():
        raise ValueError("the prediction is not finite")


ACCURACY = Metric("accuracy", accuracy, higher_is_better=True, unit="fraction")
BINARY_ACCURACY = Metric("accuracy", binary_accuracy, higher_is_better=True, unit="fraction")
AUC = Metric("auc", auc, higher_is_better=True, unit="fraction", two_classes=True)
F1 = Metric("f1", f1, higher_is_better=True, unit="fraction")
NORMALISED_MSE = Metric("nmse", normalised_mse, higher_is_better=False, unit="fraction of variance")
RELATIVE_RMSE = Metric("rrmse", relative_rmse, higher_is_better=False, unit="fraction of guessing the mean")
MSE = Metric("mse", mse, higher_is_better=False, unit="squared unit of the target")
RMSE = Metric("rmse", rmse, higher_is_better=False, unit="unit of the target")
MAE = Metric("mae", mae, higher_is_better=False, unit="unit of the target")
R2 = Metric("r2", r2, higher_is_better=True, unit="fraction of variance")
