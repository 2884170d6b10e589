r"""IMTL-G, impartial multi-task learning of the gradients: the update has the same cosine with every task.

.. math:: \frac{\langle g_i, u \rangle}{\|g_i\|} \text{ the same for all } i, \quad \sum_i w_i = 1
    \qquad\Longleftrightarrow\qquad w = \frac{x_i / d_i}{\sum_j x_j / d_j}, \quad C x = 1

with d_i = ‖g_i‖ and C the cosines of the gradients, G = D C D; the paper's w = G⁻¹d / 1ᵀG⁻¹d, written so that
badly scaled tasks stay well conditioned. Weights may be negative. With two tasks w_i ∝ 1/d_i.

**The sign is not fixed.** Σ w_i = 1 is a rule of length, and where Σ_j x_j/d_j < 0 the common cosine is
negative: the update makes *every* task worse, although −u would serve them all. The gradients (1, 0, 0), (2, 2, −1)
and (2, −1, 2) have w = (3, −1, −1), u = (−1, −1, −1) and the products −1, −3, −3. ConFIG
(:mod:`mtlbench.methods.config`) is the same line with the sign fixed.

Degenerate cases: where C is singular x = C⁺1 (eigenvalues up to 8 K ε λ_max count as zero), and the cosines
need not be equal any more. Where Σ_j x_j/d_j is zero up to rounding, as for two opposed gradients, there are no
such weights: all are 0, and nothing moves. Near such a point the update is longer than any gradient.

See ``docs/mathematics.md``, "Closed forms and masks".
"""

from __future__ import annotations

import numpy as np

from mtlbench.methods.method import Array, GramianMethod, Promises

EPS = 2.0**-52


class IMTLG(GramianMethod):
    """The weights, of sum one, that give every task the same cosine with the update."""

    name = "imtl_g"
    summary = "the combination of sum one whose cosine with every task gradient is the same"
    source = "L. Liu et al., ICLR 2021, https://openreview.net/forum?id=IMPnRXEWpvr"
    promises = Promises(
        # Rescaling the tasks may turn the sign of the sum, and with it the update.
        non_conflicting=False,
        common_scale=0.0,
        task_scale="none",
        permutation=True,
        unique="weights",
    )

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """w ∝ D⁻¹ C⁺ 1, of sum one; zero where the sum is."""
        weights = equal_cosine(gramian)[0] / lengths(gramian)
        total = weights.sum()
        if abs(total) <= 8 * len(weights) * EPS * abs(weights).sum():
            return np.zeros(len(weights))
        return weights / total


def lengths(gramian: Array) -> Array:
    """d_i = ‖g_i‖, and 1 for a task without a gradient, which no weight can change."""
    d = np.sqrt(np.diagonal(gramian))
    return np.where(d > 0, d, 1.0)


def equal_cosine(gramian: Array) -> tuple[Array, Array]:
    """(x, Cx) with x = C⁺1: the multiples of the unit gradients whose sum has cosines Cx ∝ 1, if any sum has."""
    d = lengths(gramian)
    values, vectors = np.linalg.eigh(gramian / np.outer(d, d))
    seen = values > 8 * len(values) * EPS * values[-1]
    span = vectors[:, seen]
    shares = span.sum(axis=0)
    return span @ (shares / values[seen]), span @ shares
