r"""FAMO, fast adaptive multitask optimization: equal progress of the logarithms of the losses, from losses alone.

.. math:: w_i = \frac{1}{c} \frac{z_i}{D_i}, \quad z = \mathrm{softmax}(\xi), \quad
    D_i = \max(L_i - b_i, \varepsilon), \quad c = \sum_i \frac{z_i}{D_i}

After the step, on the same batch,

.. math:: \xi \leftarrow \mathrm{Adam}\bigl(\xi,\; J_z(\xi)^\top \delta + \gamma \xi\bigr), \qquad
    \delta_i = \log D_i^{\text{before}} - \log D_i^{\text{after}}

so that a task which improved less gets more weight next time; γ pulls ξ back to 0. The weights sum to 1. b_i
are lower bounds of the losses, 0 by default. u answers to L_i ↦ c_i L_i in length only. As in the authors'
code, ξ is learned by Adam with rate 0.025 and γ = 0.01 as its weight decay. Two things differ: they add their
ε of 1e-8 to every loss, here it is a floor, so that no loss above it depends on its unit; and their example
clips the norm of the gradient to 1, which is the training loop's to do. See ``docs/mathematics.md``, section 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from mtlbench.methods._learned import LearningMethod
from mtlbench.methods.method import Array, Needs, Promises, _vector, number, numbers, positive, softmax
from mtlbench.search import Log, ranges

EPSILON = 1e-8
"""In float32 the cross-entropy of a batch that is learned by heart is exactly 0, which has no logarithm."""


class FAMO(LearningMethod):
    """Learned logits ξ; ``learning_rate`` and ``weight_decay`` (γ) are Adam's, ``lower_bounds`` the b_i.

    ``epsilon`` (ε) is the floor of D. A batch that lacks all labels of a task has the loss 0 for it, and the task next
    to all of the weight: there a floor near the other losses is the better one. The promises hold above the floor.

    Raises :class:`~mtlbench.methods.method.UndefinedLoss` where a loss is below its bound. ``observe`` learns
    nothing from losses that are not finite or below their bounds, and nothing without a step before it (a step that
    a loss scaler skipped is none).
    """

    name = "famo"
    summary = "equal progress of all log-losses, learned from the losses after the step"
    source = "Liu, Feng, Stone & Liu, NeurIPS 2023, arXiv 2306.03792, and the authors' code"
    search = ranges(learning_rate=Log(1e-3, 1e-1))
    needs: ClassVar[Needs] = "losses_after"
    state = ("learned", "before")
    per_task = ("lower_bounds",)
    promises = Promises(
        non_conflicting=False, common_scale=0.0, task_scale="direction", permutation=True, unique="weights"
    )

    def __init__(
        self,
        *,
        learning_rate: float = 0.025,
        weight_decay: float = 0.01,
        lower_bounds: Iterable[float] | None = None,
        epsilon: float = EPSILON,
        **common: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, **common)
        self.lower_bounds = numbers(self.name, "lower_bounds", lower_bounds)
        self.epsilon = number(self.name, "epsilon", epsilon)
        self.before: Array | None = None
        if self.epsilon > EPSILON or self.lower_bounds is not None:
            # Bounds belong to their tasks and have units, ε has the same for all.
            fits = self.lower_bounds is None
            self.promises = replace(self.promises, common_scale=None, task_scale="none", permutation=fits)

    def loss_weights(self, losses: Array) -> Array:
        """w_i = z_i / (D_i c)."""
        self.before = positive(self.name, self._distance(losses), " above its lower bound; lower_bounds= sets it")
        shares = softmax(self.vector(len(losses))) * (self.before.min() / self.before)
        return shares / shares.sum()

    def observe(self, losses: Any) -> None:
        """Learn ξ from the losses (K,) after the step."""
        before, self.before = self.before, None
        after = self._distance(_vector(self.name, losses))
        if before is not None and (after > 0).all() and np.isfinite(after).all():
            z = softmax(self.vector(len(after)))
            progress = np.log(before) - np.log(after)
            self.learn(z * (progress - z @ progress))

    def _distance(self, losses: Array) -> Array:
        """D; negative where a loss is below its bound, which no floor mends."""
        above = losses - (0.0 if self.lower_bounds is None else np.asarray(self.lower_bounds))
        return np.where(above < 0, above, np.maximum(above, self.epsilon))
