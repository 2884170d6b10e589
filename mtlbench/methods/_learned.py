r"""Weights that a method learns: one number per task, stepped with Adam inside the method.

.. math:: m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
    x \leftarrow x - \eta\, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \varepsilon}

with β = (0.9, 0.999), ε = 1e-8 and g the gradient plus γx (weight decay): ``torch.optim.Adam`` to rounding, which would
take ten times as long for a handful of numbers as all else that such a method does. Kingma & Ba, ICLR 2015,
arXiv 1412.6980.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mtlbench.methods.method import Array, LossMethod, Method, number


class Learning(Method):
    """A method that learns a vector x (K,), with rate ``learning_rate`` (η) and ``weight_decay`` (γ).

    Derive from it and from a base class. x exists from the first step on, when K is known; ``vector`` reads it,
    ``learn`` moves it against a gradient, ``put`` replaces it. The state ``learned`` holds x, m, v and t.
    ``adam_epsilon`` (ε) is in the unit of the gradient.
    """

    adam_epsilon: ClassVar[float] = 1e-8
    state: ClassVar[tuple[str, ...]] = ("learned",)

    def __init__(self, *, learning_rate: float, weight_decay: float = 0.0, **common: Any) -> None:
        super().__init__(**common)
        self.learning_rate = number(self.name, "learning_rate", learning_rate)
        self.weight_decay = number(self.name, "weight_decay", weight_decay)
        self.learned: dict[str, Any] = {}

    def vector(self, tasks: int, start: float = 0.0) -> Array:
        """A copy of x; every entry is ``start`` at the first call."""
        if not self.learned:
            self.learned = {"x": np.full(tasks, start), "m": np.zeros(tasks), "v": np.zeros(tasks), "t": 0}
        return np.array(self.learned["x"])

    def learn(self, gradient: Array) -> None:
        """One step of Adam."""
        x, m, v, t = (self.learned[name] for name in ("x", "m", "v", "t"))
        g, t = gradient + self.weight_decay * x, t + 1
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        # Where no gradient ever was nothing moves, also without an ε.
        scale = np.sqrt(v / (1 - 0.999**t)) + self.adam_epsilon
        step = np.divide(m / (1 - 0.9**t), scale, out=np.zeros_like(m), where=scale > 0)
        self.learned = {"x": x - self.learning_rate * step, "m": m, "v": v, "t": t}

    def put(self, values: Array) -> None:
        """Go on from ``values``."""
        self.learned = self.learned | {"x": np.array(values)}


class LearningMethod(Learning, LossMethod):
    """A loss method that learns."""
