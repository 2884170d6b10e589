"""The seesaw rate against numbers by hand and against fluctuations whose rate is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtlbench.analysis.seesaw import rates

DESCRIBED = pd.DataFrame(
    [("a", "accuracy", True, True), ("a", "other", True, False), ("b", "error", False, True)],
    columns=["task", "metric", "higher_is_better", "main"],
)


def curves(values, label="mgda"):
    """The curves of an array (task, seed, epoch)."""
    names = [("a", "accuracy"), ("b", "error")]
    rows = [
        (label, seed, epoch + 1, "validation", *names[task], values[task][seed][epoch])
        for task, seed, epoch in np.ndindex(*np.shape(values))
    ]
    return pd.DataFrame(rows, columns=["label", "seed", "epoch", "split", "task", "metric", "value"])


def test_the_share_of_epochs_in_which_one_gains_and_the_other_loses_beyond_the_noise():
    # Gains of a: seed 0 has 5, 1, 5; seed 1 has 4, 2, 4: spreads 1/√2 each, noise 0.71.
    accuracy = [[0, 5, 6, 11], [0, 4, 6, 10]]
    # Error of b, lower is better. Seed 0 loses 1, gains 3, loses 2; seed 1 loses 2, gains 2, loses 1: the same noise.
    error = [[4, 5, 2, 4], [4, 6, 4, 5]]
    found = rates(curves([accuracy, error]), DESCRIBED)
    assert found["mgda", 0] == found["mgda", 1] == pytest.approx(2 / 3)
    # Halve the loss of seed 0 in the first epoch: it is within the noise of 1.06, the median over the epochs.
    error[0] = [4, 4.5, 1, 3]
    found = rates(curves([accuracy, error]), DESCRIBED)
    assert found["mgda", 0] == pytest.approx(1 / 3)


def test_what_improves_in_every_seed_is_progress_and_no_noise():
    gains = np.cumsum(np.full((2, 4, 6), 1.0), axis=2)
    assert (rates(curves([gains[0], gains[1]]), DESCRIBED) == 1).all()  # the error of b grows as the accuracy does
    assert (rates(curves([gains[0], -gains[1]]), DESCRIBED) == 0).all()


def test_fluctuations_have_the_rates_that_the_docstring_states():
    a, b = np.random.default_rng(0).standard_normal((2, 10, 2001)).cumsum(axis=2)
    assert rates(curves([a, b]), DESCRIBED).mean() == pytest.approx(0.05, abs=0.01)
    assert rates(curves([a, a]), DESCRIBED).mean() == pytest.approx(0.32, abs=0.02)
    assert rates(curves([a, -a]), DESCRIBED).mean() == 0


def test_without_two_seeds_tasks_or_epochs_there_is_no_rate():
    a = np.arange(6.0).reshape(1, 2, 3)
    assert rates(curves(np.stack([a[0, :1], a[0, :1]])), DESCRIBED).isna().all()
    assert rates(curves(a), DESCRIBED).isna().all()
    assert rates(curves(np.concatenate([a, a])[:, :, :1]), DESCRIBED).isna().all()


def test_labels_have_their_own_noise():
    calm = np.zeros((2, 2, 3))
    loud = np.random.default_rng(0).standard_normal((2, 2, 3))
    both = pd.concat([curves(calm, "calm"), curves(loud, "loud")])
    assert (rates(both, DESCRIBED)["calm"] == 0).all()
    pd.testing.assert_series_equal(rates(both, DESCRIBED)[["loud"]], rates(curves(loud, "loud"), DESCRIBED))
