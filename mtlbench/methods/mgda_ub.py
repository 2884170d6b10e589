r"""MGDA-UB: MGDA on the gradients with respect to the shared representation.

.. math:: w \in \arg\min_{w \in \Delta} \tfrac12 \|\textstyle\sum_i w_i z_i\|^2, \quad z_i = \partial L_i / \partial H

H is the encoder's output for the whole batch, flattened. Since g_i = (∂H/∂θ)ᵀ z_i, ‖Σ w_i g_i‖ <= ‖∂H/∂θ‖ ‖Σ
w_i z_i‖ bounds what MGDA minimises, with one backward pass through the encoder instead of K. Both vanish
together where ∂H/∂θ has full row rank, but u need not be a descent direction for every task: z = (1, 1), (1,
−1) with ∂H/∂θ = [[1, 0], [−2, 1]] gives w = (½, ½), u = (1, 0) and ⟨g_1, u⟩ = −1. See
``docs/mathematics.md``, section 2.
"""

from __future__ import annotations

from typing import Any

from mtlbench.methods.mgda import MGDA


class MGDAUB(MGDA):
    """``mgda(level="representation")``; the options are those of :class:`~mtlbench.methods.mgda.MGDA`."""

    name = "mgda_ub"
    summary = "mgda on the gradients of the shared representation: one pass through the encoder"
    source = "Sener & Koltun, NeurIPS 2018, arXiv 1810.04650"
    levels = ("representation",)

    def __init__(self, *, level: str = "representation", **common: Any) -> None:
        super().__init__(level=level, **common)
