r"""A-GEM, averaged GEM: the mean of the memories' gradients stands for all of them.

.. math:: u = g_0 + \lambda \bar g, \qquad \bar g = \frac1m \sum_{i \ge 1} g_i, \qquad
          \lambda = \frac{(-\langle g_0, \bar g \rangle)_+}{\|\bar g\|^2}

The closed form of primary/auxiliary with one auxiliary. The mean loss of the memories does not rise, one
memory's may: g_0 = (1, 0), g = (−1, 0), (2, 1) has ḡ = (½, ½), λ = 0 and ⟨g_1, u⟩ = −1. See
``docs/mathematics.md``, section 7.
"""

from __future__ import annotations

import numpy as np

from mtlbench.methods._primary import PrimaryMethod, unit
from mtlbench.methods.method import Array, Promises

EPS = 2.0**-52


class AGEM(PrimaryMethod):
    """GEM with one averaged constraint; ``primary`` is the current task.

    Where ‖ḡ‖² <= 64 K eps (Σ_i ‖g_i‖/m)² the mean is zero up to rounding, and there is nothing to protect.
    """

    name = "agem"
    summary = "the current task's gradient, projected so that the memories' mean loss does not rise"
    source = "A. Chaudhry et al., ICLR 2019, arXiv 1812.00420"
    promises = Promises(non_conflicting=False, common_scale=0.0, task_scale="none", permutation=False, unique="weights")

    def protected(self, gramian: Array, primary: int) -> Array:
        """1 for the current task, λ/m for each memory."""
        start = unit(len(gramian), primary)
        mean = (1 - start) / max(len(gramian) - 1, 1)
        product, square = float(start @ gramian @ mean), float(mean @ gramian @ mean)
        reach = float(mean @ np.sqrt(gramian.diagonal()))
        if product >= 0 or square <= 64 * len(gramian) * EPS * reach**2:
            return start
        return start - product / square * mean
