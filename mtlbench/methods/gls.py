r"""The geometric loss strategy: minimise the geometric mean of the losses.

.. math:: M_0 = \Bigl(\prod_i L_i\Bigr)^{1/K}, \qquad w_i = \frac{\partial M_0}{\partial L_i} = \frac{M_0}{K L_i}

The direction of u does not change when L_i ↦ c_i L_i, its length is multiplied by that of M_0. It is the
direction of ``running_loss``. M_0 comes from logarithms: a product of many losses leaves float64. See
``docs/mathematics.md``, section 1.
"""

from __future__ import annotations

import numpy as np

from mtlbench.methods.method import Array, LossMethod, Promises, positive


class GLS(LossMethod):
    """The geometric mean of the losses.

    Raises :class:`~mtlbench.methods.method.UndefinedLoss` for a loss that is not positive.
    """

    name = "gls"
    summary = "the geometric mean of the losses"
    source = "Chennupati et al., CVPR Workshops 2019, arXiv 1904.08492"
    promises = Promises(
        non_conflicting=False, common_scale=0.0, task_scale="direction", permutation=True, unique="weights"
    )

    def loss_weights(self, losses: Array) -> Array:
        """w_i = M_0 / (K L_i)."""
        logs = np.log(positive(self.name, losses))
        return np.exp(logs.mean() - logs) / len(losses)
