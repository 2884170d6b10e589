r"""Random loss weighting: new weights at every step, drawn without a look at the losses.

.. math:: w = \mathrm{softmax}(z), \; z \sim N(0, I) \qquad\text{or}\qquad w \sim \mathrm{Dirichlet}(1, \dots, 1)

Both lie in the simplex and have mean 1/K: on average over the draws the step is that of ``equal``, with noise
added. A baseline that any method which claims to balance tasks has to beat. See ``docs/mathematics.md``,
section 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mtlbench.methods.method import Array, LossMethod, Promises, choice, generator, softmax


class RLW(LossMethod):
    """Weights drawn afresh at every step: ``distribution`` "normal" (through softmax) or "dirichlet"."""

    name = "rlw"
    summary = "random weights, drawn at every step"
    source = "Lin et al., TMLR 2022, arXiv 2111.10603"
    promises = Promises(
        # Each draw belongs to its place: permuted tasks have permuted weights in distribution, not in one draw.
        non_conflicting=False,
        common_scale=0.0,
        task_scale="linear",
        permutation=False,
        unique="weights",
    )

    def __init__(self, *, distribution: str = "normal", seed: int = 0, **common: Any) -> None:
        super().__init__(**common)
        self.distribution = choice(self.name, "distribution", distribution, ("normal", "dirichlet"))
        self.seed, self.random = seed, generator(self.name, seed)

    def loss_weights(self, losses: Array) -> Array:
        """One draw."""
        assert self.random is not None
        if self.distribution == "dirichlet":
            return self.random.dirichlet(np.ones(len(losses)))
        return softmax(self.random.standard_normal(len(losses)))
