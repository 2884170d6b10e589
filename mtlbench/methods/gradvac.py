r"""GradVac, the gradient vaccine: two gradients less aligned than they usually are get aligned as usual.

As PCGrad (:mod:`mtlbench.methods.pcgrad`), but the target of the cosine is a running mean φ̂_ij instead of 0. For
each task i start with g'_i = g_i, and for the other tasks j in a random order, with φ = cos(g'_i, g_j),

.. math:: g'_i \leftarrow g'_i + \frac{\|g'_i\| \bigl(\hat\varphi_{ij} \sqrt{1 - \varphi^2}
    - \varphi \sqrt{1 - \hat\varphi_{ij}^2}\bigr)}{\|g_j\| \sqrt{1 - \hat\varphi_{ij}^2}}\, g_j
    \quad\text{if } \varphi < \hat\varphi_{ij}, \qquad
    \hat\varphi_{ij} \leftarrow (1 - \beta)\, \hat\varphi_{ij} + \beta \varphi,

after which cos(g'_i, g_j) = φ̂_ij (its old value); u = Σ_i g'_i. The targets begin at 0, where the rule is that of
PCGrad: the first step of the two is the same. The paper keeps targets per layer; here, as everything comes from one
Gramian, there is one per ordered pair of tasks.

Degenerate cases: what is left of g'_i may be zero (opposed gradients); a zero vector has no cosine, is left as it
is, and teaches the targets nothing; nor does a task without a gradient. A target of exactly 1, which identical tasks
reach, is met by no finite multiple of g_j: nothing is added. Just below 1 the multiple is finite and may be very
long; that is the formula, and no limit is added to it.

See ``docs/mathematics.md``, "Closed forms and masks".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mtlbench.methods.method import Array, GramianMethod, Promises, choice, generator, number
from mtlbench.methods.pcgrad import orders
from mtlbench.search import Log, ranges
from mtlbench.solvers.compiled import compiled

EPS = 2.0**-52


class GradVac(GramianMethod):
    """The sum (``reduction="sum"``, as published) or the mean of the vaccinated gradients.

    ``beta``: the share of the present cosine in the running mean. ``update``: the mean follows every cosine
    ("always", as published), or only those below it ("corrected", as in LibMTL). ``targets`` (K, K) is the
    state. ``seed`` draws the orders.
    """

    name = "gradvac"
    summary = "pcgrad with running means of the cosines as targets instead of zero"
    source = "Z. Wang et al., ICLR 2021, arXiv 2010.05874"
    search = ranges(beta=Log(1e-3, 1.0))
    promises = Promises(
        non_conflicting=False, common_scale=0.0, task_scale="linear", permutation=False, unique="weights"
    )
    state = ("targets",)

    def __init__(
        self, *, beta: float = 0.01, update: str = "always", reduction: str = "sum", seed: int = 0, **common: Any
    ) -> None:
        super().__init__(**common)
        self.beta = number(self.name, "beta", beta, maximum=1.0)
        self.update = choice(self.name, "update", update, ("always", "corrected"))
        self.reduction = choice(self.name, "reduction", reduction, ("sum", "mean"))
        self.seed, self.random = seed, generator(self.name, seed)
        self.targets: Array | None = None

    def gramian_weights(self, gramian: Array, losses: Array | None) -> Array:
        """The sum, or the mean, of the g'_i as weights; the targets move on."""
        assert self.random is not None
        if self.targets is None:
            self.targets = np.zeros((len(self.used), len(self.used)))
        shown = np.ix_(self.used, self.used)
        targets = self.targets[shown]
        order = orders(self.random, len(gramian))
        weights = vaccinated(gramian, order, targets, float(self.beta), self.update == "always").sum(axis=0)
        self.targets[shown] = targets
        return weights / len(weights) if self.reduction == "mean" else weights


@compiled
def vaccinated(gramian: Array, order: npt.NDArray[np.intp], targets: Array, beta: float, always: bool) -> Array:
    """The weights of the vaccinated gradients, one a row; ``targets`` moves on in place."""
    tasks = len(gramian)
    weights = np.eye(tasks)
    lengths = np.sqrt(np.diag(gramian))
    for i in range(tasks):
        for j in order[i]:
            product = square = reach = 0.0
            for k in range(tasks):
                product += gramian[j, k] * weights[i, k]
                reach += abs(weights[i, k]) * lengths[k]
                for m in range(tasks):
                    square += weights[i, k] * gramian[k, m] * weights[i, m]
            # What rounding leaves of a sum that cancels has no direction.
            if j == i or lengths[j] == 0 or square <= 8 * tasks * EPS * reach**2:
                continue
            length = np.sqrt(square)
            cosine = min(max(product / (length * lengths[j]), -1.0), 1.0)
            target = targets[i, j]
            if cosine < target < 1:
                slope = target / np.sqrt(1 - target**2) * np.sqrt(1 - cosine**2) - cosine
                weights[i, j] += length / lengths[j] * slope
            if always or cosine < target:
                targets[i, j] = (1 - beta) * target + beta * cosine
    return weights
