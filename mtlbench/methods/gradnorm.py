r"""GradNorm: learned task weights that bring the weighted gradients to one length, longer for tasks that lag.

.. math:: \min_w \sum_i \Bigl| \, w_i d_i - \bar G \, r_i^\alpha \Bigr|, \qquad
    \bar G = \tfrac1K \sum_j w_j d_j, \qquad r_i = \frac{L_i / L_i^0}{\frac1K \sum_j L_j / L_j^0}

with d_i = ‖g_i‖ and L⁰ the losses of the first step. The targets Ḡ r^α are held constant in the derivative, so

.. math:: \frac{\partial}{\partial w_i} = d_i \, \mathrm{sign}\bigl(w_i d_i - \bar G \, r_i^\alpha\bigr):

the norm of the weighted gradient is w_i d_i, its derivative d_i, and losses and the diagonal of the Gramian are all
it takes; the second backward pass of the usual implementations is not needed. w starts at 1; after every use it takes
one step down this derivative, negative entries are set to 0, and the sum is brought back to K.

Adam runs without its epsilon: gradient norms have no natural size to compare it with. A task without a gradient
in this step has weight 0, takes no part in the means, and its learned weight feels no force. The first losses must be
positive; a loss that becomes negative later counts as 0. The weights act on the whole loss as published, hence
``head_weights`` "same".

See ``docs/mathematics.md``, "Closed forms and masks".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mtlbench.errors import InputError
from mtlbench.methods._learned import Learning
from mtlbench.methods.method import Array, GramianMethod, Promises, UndefinedLoss, number
from mtlbench.search import Linear, ranges


class GradNorm(Learning, GramianMethod):
    """Learned weights of sum K, from gradient norms and relative training rates.

    ``alpha``: the restoring force; 0 equalises the lengths. ``learning_rate``: of the weights. The norms are taken in
    the last shared layer, as in the paper. Raises :class:`~mtlbench.errors.InputError` without
    losses, and :class:`~mtlbench.methods.method.UndefinedLoss` where a first loss is not positive.
    """

    name = "gradnorm"
    summary = "learned weights that bring the weighted gradients to one length, longer for tasks that lag"
    source = "Z. Chen et al., ICML 2018, arXiv 1711.02257"
    search = ranges(alpha=Linear(0.1, 3.0))
    promises = Promises(non_conflicting=False, common_scale=0.0, task_scale="none", permutation=True, unique="weights")
    state = ("first", "learned")
    adam_epsilon = 0.0

    def __init__(
        self,
        *,
        alpha: float = 1.5,
        learning_rate: float = 0.025,
        level: str = "last_layer",
        head_weights: str = "same",
        **common: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, level=level, head_weights=head_weights, **common)
        self.alpha = number(self.name, "alpha", alpha)
        self.first: Array | None = None

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """The present weights; then one step of the learned ones."""
        if losses is None:
            raise InputError("gradnorm compares the losses with those of the first step: pass losses=")
        weights = self.vector(len(self.used), 1.0)
        gradient = np.zeros(len(weights))
        gradient[self.used] = self._gradient(np.sqrt(np.diagonal(gramian)), weights[self.used], losses)
        self.learn(gradient)
        self.put(_normalised(self.vector(len(weights))))
        return weights[self.used]

    def _gradient(self, lengths: Array, weights: Array, losses: Array) -> Array:
        """d_i sign(w_i d_i − Ḡ r_i^α); 0 where the two sides differ by rounding."""
        ratio = np.maximum(losses, 0) / self._first(losses)
        rates = ratio / ratio.mean() if ratio.any() else np.ones_like(ratio)
        present = weights * lengths
        target = present.mean() * rates**self.alpha
        level = abs(present - target) <= 2.0**-49 * (present + target)
        return np.where(level, 0.0, lengths * np.sign(present - target))

    def _first(self, losses: Array) -> Array:
        """The losses of the tasks at hand in the first step that each of them was part of."""
        if self.first is None:
            self.first = np.full(len(self.used), np.nan)
        task = np.flatnonzero(self.used)
        new = np.isnan(self.first[task])
        if (losses[new] <= 0).any():
            i = np.flatnonzero(new & (losses <= 0))[0]
            raise UndefinedLoss(
                f"gradnorm needs positive losses to begin with, but that of task {task[i]} is {losses[i]:g}"
            )
        self.first[task[new]] = losses[new]
        return self.first[task]


def _normalised(weights: Array) -> Array:
    """Negative weights set to 0, and the sum brought to K; ones where nothing is left."""
    kept = np.maximum(weights, 0)
    return kept * (len(kept) / kept.sum()) if kept.any() else np.ones(len(kept))
