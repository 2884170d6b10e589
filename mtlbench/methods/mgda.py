r"""MGDA, the multiple-gradient descent algorithm: the shortest vector in the convex hull of the task
gradients.

.. math:: w \in \arg\min_{w \in \Delta} \tfrac12\, w^\top G w, \qquad u = \sum_i w_i g_i

Dual to max_u min_i ⟨g_i, u⟩ − ½‖u‖², so at the optimum every ⟨g_i, u⟩ >= ‖u‖² and no task conflicts; u is
zero exactly at Pareto stationary points. The certificate of any w in the simplex is gap = wᵀGw − min_i (Gw)_i
>= 0: u conflicts with no task if and only if gap <= ‖u‖². Small gradients get large weights: for orthogonal
ones w_i ∝ 1/‖g_i‖².

Normalised, the hull is that of g_i/n_i, with n_i = ‖g_i‖ (l2), L_i (loss) or L_i‖g_i‖ (loss+), and
u = Σ_i w_i g_i/n_i: for orthogonal gradients and l2 the mean of the unit gradients. The published code, which
introduced the normalisations, applies w to the gradients as they are, u = Σ_i w_i g_i; that direction may
conflict. See ``docs/mathematics.md``, section 2, and ``mtlbench.solvers.min_norm``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mtlbench.errors import InputError
from mtlbench.methods._room import RoomMethod
from mtlbench.methods.method import Array, Promises, choice, positive
from mtlbench.search import Choice, ranges

NORMALISATIONS = ("none", "l2", "loss", "loss+")
# The degree of 1/n_i in a common factor of the losses; whether g_i/n_i stays as it is when one loss is scaled.
_LAWS = {"l2": (-1.0, True), "loss": (-1.0, True), "loss+": (-2.0, False)}


class MGDA(RoomMethod):
    """The min-norm weights.

    ``solver``: a name of ``min_norm.ALGORITHMS``. With ``level`` "representation" this is MGDA-UB, a bound that
    needs one pass through the encoder (its direction may conflict, see :mod:`mtlbench.methods.mgda_ub`).
    ``normalisation``: n_i, "none" in the paper. ``combine``: the update is made of the "normalised" gradients,
    for which the guarantee holds, or of the "plain" ones, as in the published code. "loss" and "loss+" raise
    :class:`~mtlbench.methods.method.UndefinedLoss` for a loss that is not positive.
    ``zero_task="keep"`` lets a task without a gradient take all the weight, as the formula says.
    """

    name = "mgda"
    summary = "the shortest vector in the convex hull of the task gradients"
    source = "Désidéri, C. R. Acad. Sci. Paris 2012; Sener & Koltun, NeurIPS 2018, arXiv 1810.04650"
    search = ranges(normalisation=Choice(("none", "l2", "loss", "loss+")))
    promises = Promises(non_conflicting=True, common_scale=0.0, task_scale="none", permutation=True, unique="direction")
    inner_problem = "min_norm"

    def __init__(self, *, normalisation: str = "none", combine: str = "normalised", **common: Any) -> None:
        super().__init__(**common)
        self.normalisation = choice(self.name, "normalisation", normalisation, NORMALISATIONS)
        self.combine = choice(self.name, "combine", combine, ("normalised", "plain"))
        if self.normalisation != "none":
            degree, invariant = _LAWS[self.normalisation]
            plain = self.combine == "plain"
            self.promises = replace(
                self.promises,
                non_conflicting=self.promises.non_conflicting and not plain,
                common_scale=0.0 if plain else degree,
                task_scale=("linear" if plain else "invariant") if invariant else "none",
            )

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """The solver's weights, of the normalised gradients if they are; its certificate stays in ``solution``."""
        if self.normalisation == "none":
            return self.solve(gramian)
        factors = self._factors(gramian, losses)
        weights = self.solve(gramian / factors[:, None] / factors)
        return weights if self.combine == "plain" else weights / factors

    def _factors(self, gramian: Array, losses: Array | None) -> Array:
        """n_i, 1 instead of the length of a gradient that is zero."""
        lengths = np.sqrt(gramian.diagonal())
        factors = np.where((self.normalisation == "loss") | (lengths == 0), 1.0, lengths)
        if self.normalisation == "l2":
            return factors
        if losses is None:
            raise InputError(f"{self.name} with normalisation {self.normalisation} needs the losses: pass losses=")
        return factors * positive(f"normalisation {self.normalisation} of {self.name}", losses)
