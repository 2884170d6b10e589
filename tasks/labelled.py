"""Metrics over the samples that have a label, for tasks whose labels are missing here and there.

NaN marks a missing target, -100 a missing class. The metrics are scikit-learn's; a probability is not needed where
only the order (AUC) or the sign (F1, accuracy) of a logit counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .dataset import Metric
from .losses import MISSING
from .metrics import ACCURACY


def labelled(metric: Metric) -> Metric:
    """``metric`` over the samples with a label alone; the prediction must be finite on all of them."""
    return replace(metric, compute=_over_labelled(metric.compute))


def _over_labelled(compute: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[np.ndarray, np.ndarray], float]:
    def over_labelled(target: np.ndarray, prediction: np.ndarray) -> float:
        if not np.isfinite(prediction).all():
            raise ValueError("the prediction is not finite")
        missing = np.isnan(target) if np.issubdtype(target.dtype, np.floating) else target == MISSING
        known = ~missing.reshape(len(target), -1).any(axis=1)
        return compute(target[known], prediction[known])

    return over_labelled


def _roc_auc(target: np.ndarray, prediction: np.ndarray) -> float:
    """The share of pairs (positive, negative) that the logits order rightly; target and prediction (N, 1)."""
    from sklearn.metrics import roc_auc_score

    if len(np.unique(target)) != 2:
        raise ValueError("the area under the ROC curve needs samples of both classes")
    return float(roc_auc_score(target.ravel(), prediction.ravel()))


def _f1(target: np.ndarray, prediction: np.ndarray) -> float:
    """``2 TP / (2 TP + FP + FN)``, 0 where nothing is positive; a logit above 0 says yes."""
    from sklearn.metrics import f1_score

    return float(f1_score(target.ravel() > 0, prediction.ravel() > 0, zero_division=0))


def _agreement(target: np.ndarray, prediction: np.ndarray) -> float:
    """The share of samples whose logit has the sign of the answer."""
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(target.ravel() > 0, prediction.ravel() > 0))


def _mae(target: np.ndarray, prediction: np.ndarray) -> float:
    """``mean |t − p|``."""
    from sklearn.metrics import mean_absolute_error

    return float(mean_absolute_error(target.astype(np.float64), prediction.astype(np.float64)))


LABELLED_ACCURACY = labelled(ACCURACY)
ROC_AUC = labelled(Metric("roc_auc", _roc_auc, higher_is_better=True, unit="area"))
F1 = labelled(Metric("f1", _f1, higher_is_better=True, unit="fraction"))
BINARY_ACCURACY = labelled(Metric("accuracy", _agreement, higher_is_better=True, unit="fraction"))


def mae(unit: str) -> Metric:
    """The mean absolute error in ``unit``."""
    return labelled(Metric("mae", _mae, higher_is_better=False, unit=unit))
