r"""Aligned-MTL: the gradients' principal components brought to one length, then added up.

.. math:: G = V \Lambda V^\top, \qquad w = B p, \quad B = \sqrt{\lambda} \; V_r \Lambda_r^{-1/2} V_r^\top

over the r eigenvalues that are not zero; p = 1 for the sum, 1/K for the mean. The rows of B J are the nearest
ones to J whose condition number is 1: B G B = λ P with P the projection onto the range of G. ``scale`` chooses λ:
the smallest of the r eigenvalues (the paper's), their median (the lower one of two), or their mean ("rmse").

**Rank decides, and not continuously.** An eigenvalue counts as zero up to K · ``rank_tolerance`` · λ_max; the
default is the spacing of float32, in which the authors' code computes. Two identical tasks have the weights
(½, ½) of the mean. Let the second differ by a little: as long as the difference is within the tolerance nothing
changes; beyond it, "min" shrinks the whole update to the size of the difference. Under a tolerance of 2⁻⁵², G =
[[1, 1], [1, 1 + 10⁻⁹]] has weights of 8·10⁻⁶.

The update may conflict with the gradients that it was made from. Tasks of very different scales, whose
eigenvalues fall below the tolerance, are not seen at all.

See ``docs/mathematics.md``, "Closed forms and masks".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mtlbench.methods.method import Array, GramianMethod, Promises, choice, number


class AlignedMTL(GramianMethod):
    """The sum (``reduction="sum"``, the authors' code) or the mean of the aligned gradients.

    ``scale``: "min", "median" or "rmse". ``rank_tolerance``: relative to the largest eigenvalue, times K.
    """

    name = "aligned_mtl"
    summary = "the sum of the task gradients after their principal components were brought to one length"
    source = "Senushkin et al., CVPR 2023, arXiv 2305.19000"
    promises = Promises(non_conflicting=False, common_scale=0.0, task_scale="none", permutation=True, unique="weights")

    def __init__(
        self, *, scale: str = "min", reduction: str = "sum", rank_tolerance: float = 2.0**-23, **common: Any
    ) -> None:
        super().__init__(**common)
        self.scale = choice(self.name, "scale", scale, ("min", "median", "rmse"))
        self.reduction = choice(self.name, "reduction", reduction, ("sum", "mean"))
        self.rank_tolerance = number(self.name, "rank_tolerance", rank_tolerance, minimum=2.0**-52, maximum=0.1)

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """w = √λ V_r Λ_r^{-1/2} V_rᵀ p; zero where the Gramian is."""
        values, vectors = np.linalg.eigh(gramian)
        seen = values > len(values) * self.rank_tolerance * values[-1]
        if not seen.any():
            return np.zeros(len(values))
        values, span = values[seen], vectors[:, seen]
        scale = {"min": values[0], "median": values[(len(values) - 1) // 2], "rmse": values.mean()}[self.scale]
        weights = span @ (np.sqrt(scale / values) * span.sum(axis=0))
        return weights / len(weights) if self.reduction == "mean" else weights
