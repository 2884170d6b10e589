r"""Intervals over seeds, as functions of whole arrays: one call for all methods, or for all simulated leaderboards.

The last axis is always the seeds, the one before it, where there is one, the datasets. NaN is a seed that was not run
or cannot be compared. Where there is no spread to estimate the half width is NaN, never zero. What each kind covers in
truth was simulated: ``docs/statistics.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

CONFIDENCE = 0.95

Array = NDArray[np.float64]


class Intervals(NamedTuple):
    """Estimates with the half widths of their intervals and Student's degrees of freedom, arrays of one shape."""

    mean: Array
    half_width: Array
    degrees: Array

    @property
    def low(self) -> Array:
        return self.mean - self.half_width

    @property
    def high(self) -> Array:
        return self.mean + self.half_width


def paired_t(values: ArrayLike, confidence: float = CONFIDENCE) -> Intervals:
    r"""The mean over the last axis, the seeds, and Student's interval :math:`t_{n-1,(1+c)/2}\, s / \sqrt n`.

    ``values`` are differences of what is paired by seed, or numbers that stand alone. Source: Student (1908).
    """
    return stratified_t(np.asarray(values, dtype=float)[..., None, :], confidence=confidence)


def stratified_t(values: ArrayLike, weights: ArrayLike | None = None, confidence: float = CONFIDENCE) -> Intervals:
    r"""The mean of the datasets' means, and its interval over seeds with the datasets held fixed.

    .. math:: \bar x = \sum_d w_d \bar x_d, \qquad
              v_d = w_d^2 \frac{s_d^2}{n_d}, \qquad
              \bar x \pm t_{\nu,(1+c)/2} \sqrt{\textstyle\sum_d v_d}, \qquad
              \nu = \frac{(\sum_d v_d)^2}{\sum_d v_d^2 / (n_d - 1)}

    ``values``: (..., datasets, seeds). ``weights``: one number per dataset, scaled to sum 1; equal by default, so that
    the variance is :math:`\sum_d s_d^2/n_d / D^2`. Each dataset has a spread of its own. The interval speaks of new
    seeds on these datasets, not of new datasets. A dataset without a value leaves no mean, one with a single value no
    interval.

    Source: Welch (1947), Satterthwaite (1946).
    """
    values = np.asarray(values, dtype=float)
    weight = np.ones(values.shape[-2]) if weights is None else np.asarray(weights, dtype=float)
    weight = weight / weight.sum()
    n, mean = _mean(values, axis=-1)
    _, spread = _mean((values - mean[..., None]) ** 2, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = weight**2 * spread / (n - 1)
    return _welch(mean @ weight, variance, n, confidence)


def jackknife_t(values: ArrayLike, statistic: Callable[[Array], Array], confidence: float = CONFIDENCE) -> Intervals:
    r"""The interval of any smooth ``statistic`` of all N runs, each left out in turn, datasets held fixed.

    .. math:: v_d = \Bigl(\frac{N - 1}{N}\Bigr)^2 \frac{n_d}{n_d - 1}
              \sum_s (\hat\theta_{(ds)} - \hat\theta_{(d\cdot)})^2

    and the rest as in :func:`stratified_t`, with which it agrees exactly for the mean of all values where the datasets
    are of one size. ``values``: (..., datasets, seeds, tasks); a run is left out with all its tasks. ``statistic``
    takes (..., values), NaN among them, to (...).

    Source: Efron and Stein (1981); strata: Jones (1974).
    """
    values = np.asarray(values, dtype=float)
    lead, (datasets, seeds) = values.shape[:-3], values.shape[-3:-1]
    left_out = np.full((*lead, datasets, seeds), np.nan)
    for dataset, seed in np.ndindex(datasets, seeds):
        rest = values.copy()
        rest[..., dataset, seed, :] = np.nan
        left_out[..., dataset, seed] = statistic(rest.reshape(*lead, -1))
    left_out[np.isnan(values).all(axis=-1)] = np.nan
    # An infinite statistic (too many broken runs) has no spread.
    left_out[np.isinf(left_out).any(axis=(-2, -1))] = np.nan
    n, mean = _mean(left_out, axis=-1)
    _, spread = _mean((left_out - mean[..., None]) ** 2, axis=-1)
    runs = n.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = ((runs - 1) / runs * n) ** 2 * spread / (n - 1)
    return _welch(statistic(values.reshape(*lead, -1)), variance, n, confidence)


def bootstrap_percentile(
    values: ArrayLike, statistic: Callable[[Array], Array], resamples: int = 999, seed: int = 0
) -> Intervals:
    """The percentile bootstrap stratified by dataset, as interval of equal tails around its own middle.

    Only here to be measured: with few seeds it covers less than it says (``docs/statistics.md``), so no table uses it.
    ``values``: (..., datasets, seeds) without NaN. Source: Agarwal et al. (2021), by :func:`scipy.stats.bootstrap`.
    """

    def pooled(*samples: Array, axis: int = -1) -> Array:
        return statistic(np.concatenate(np.broadcast_arrays(*samples), axis=axis))

    samples = tuple(np.moveaxis(np.asarray(values, dtype=float), -2, 0))
    options: dict[str, Any] = {"n_resamples": resamples, "method": "percentile", "confidence_level": CONFIDENCE}
    options |= {"vectorized": True, "axis": -1, "batch": 50, "rng": np.random.default_rng(seed)}
    found = stats.bootstrap(samples, pooled, **options)
    low, high = found.confidence_interval
    return Intervals((low + high) / 2, (high - low) / 2, np.full_like(low, np.nan))


def power(effect: float, spread: float, seeds: int, confidence: float = CONFIDENCE) -> float:
    r"""How often the paired t interval of ``seeds`` seeds lies on the true side of zero: the power of a planted effect.

    .. math:: P(T > t_{n-1,(1+c)/2}), \quad T \text{ noncentral } t_{n-1} \text{ at } \sqrt n \, |\delta| / \sigma

    ``effect``: the true mean δ. ``spread``: the standard deviation σ of the differences of a seed, Gaussian.
    Source: Cohen (1988).
    """
    critical = special.stdtrit(seeds - 1, (1 + confidence) / 2)
    return float(stats.nct.sf(critical, seeds - 1, abs(effect) * np.sqrt(seeds) / spread))


def smallest_effect(spread: float, seeds: int, wanted: float = 0.8, confidence: float = CONFIDENCE) -> float:
    """The smallest true mean that :func:`power` finds with probability ``wanted``; NaN with one seed."""
    if seeds < 2:
        return float("nan")
    # Far beyond the quantile scipy's noncentral t is not always a number.
    most = (3 * special.stdtrit(seeds - 1, (1 + confidence) / 2) + 4) / np.sqrt(seeds)
    return spread * float(optimize.brentq(lambda effect: power(effect, 1.0, seeds, confidence) - wanted, 0, most))


def _mean(values: Array, axis: int) -> tuple[Array, Array]:
    """How many values are not NaN, and their mean; without the warning that numpy gives for none."""
    n = (~np.isnan(values)).sum(axis=axis)
    with np.errstate(divide="ignore", invalid="ignore"):
        return n, np.nansum(values, axis=axis) / n


def _welch(estimate: Array, variance: Array, n: Array, confidence: float) -> Intervals:
    """Student's interval from what each dataset adds to the variance, with Satterthwaite's degrees of freedom."""
    variance = np.where(n < 2, np.nan, variance)
    total = variance.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        degrees = total**2 / (variance**2 / (n - 1)).sum(axis=-1)
    # Without any spread every number of degrees gives the same width: none.
    degrees = np.where(total == 0, (n - 1).sum(axis=-1), degrees)
    return Intervals(estimate, special.stdtrit(degrees, (1 + confidence) / 2) * np.sqrt(total), degrees)
