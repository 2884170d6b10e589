r"""Equal weighting, the baseline of every table: minimise the mean of the losses.

.. math:: w_i = 1/K, \qquad u = \frac1K \sum_i g_i

The plain scalarisation, also called EW or LS (linear scalarisation). It follows the task with the largest
gradient. See ``docs/mathematics.md``, section 1.
"""

from __future__ import annotations

import numpy as np

from mtlbench.methods.method import Array, LossMethod, Promises


class Equal(LossMethod):
    """The mean of the losses."""

    name = "equal"
    summary = "the mean of the losses"
    source = "baseline; a strong one when tuned: Kurin et al., NeurIPS 2022, arXiv 2201.04122"
    promises = Promises(
        non_conflicting=False, common_scale=0.0, task_scale="linear", permutation=True, unique="weights"
    )

    def loss_weights(self, losses: Array) -> Array:
        """w_i = 1/K."""
        return np.full(len(losses), 1 / len(losses))
