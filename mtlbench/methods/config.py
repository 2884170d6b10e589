r"""ConFIG, conflict-free inverse gradients: equal cosines with all tasks, and a length that adds up the tasks.

.. math:: v = \frac{U^+ 1}{\|U^+ 1\|}, \qquad u = \Bigl(\sum_i \langle g_i, v \rangle\Bigr) v

with the unit gradients as the rows of U. From the Gramian, with G = D C D and x = C⁺1,

.. math:: w = D^{-1} x \, \frac{\sum_i d_i (Cx)_i}{x^\top C x}.

Where the gradients are linearly independent, Cx = 1, so every cosine with v is the same positive number and no
task conflicts: the line of IMTL-G (:mod:`mtlbench.methods.imtl_g`) with its sign fixed. Where they are not, there
need be no direction of equal cosines; v is the best one in the sense of least squares, the sum of the ⟨g_i, v⟩ may
be negative and turn the update round, and the guarantee is lost.

Degenerate cases: eigenvalues of C up to 8 K ε λ_max count as zero. Opposed gradients have C⁺1 = 0 up to rounding:
all weights are 0, and the step is counted as stationary. A task without a gradient has no unit row and weight 0. The
paper's momentum variant, which refreshes one task's gradient per step, is not included: it saves backward passes and
is another method.

See ``docs/mathematics.md``, "Closed forms and masks".
"""

from __future__ import annotations

import numpy as np

from mtlbench.methods.imtl_g import EPS, equal_cosine, lengths
from mtlbench.methods.method import Array, GramianMethod, Promises


class ConFIG(GramianMethod):
    """The direction of equal cosines with all tasks, as long as the sum of the gradients' projections onto it."""

    name = "config"
    summary = "equal cosines with all task gradients; as long as the sum of their projections"
    source = "Q. Liu, Chu & Thuerey, ICLR 2025, arXiv 2408.11104"
    promises = Promises(
        # Linearly independent gradients have no conflict; v does not see their lengths, and u adds them up.
        non_conflicting=False,
        common_scale=0.0,
        task_scale="linear",
        permutation=True,
        unique="weights",
    )

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """w = D⁻¹x Σ_i d_i (Cx)_i / xᵀCx; zero where the unit gradients cancel."""
        d, (x, cosines) = lengths(gramian), equal_cosine(gramian)
        square = x @ cosines
        if square <= 8 * len(x) * EPS * abs(x).sum():
            self.stationary_events += 1
            return np.zeros(len(x))
        return x / d * (d @ cosines / square)
