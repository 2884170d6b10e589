r"""The step size as a parameter that is learned too: one scale for all of them, by exponentiated gradient.

.. math:: \eta \leftarrow \eta \, \exp\Bigl(\gamma \frac{\langle m, g \rangle}{\|m\| \|g\|}\Bigr), \qquad
    m \leftarrow \beta m + (1 - \beta) g

After a step θ' = θ − ηg the derivative of L(θ') by η is −⟨∇L(θ'), g⟩: while gradients go on in the direction of
the earlier ones the step was too short, when they turn back it was too long. An exponentiated-gradient step on η
keeps it positive; the cosine in the place of the product keeps the rate γ free of the losses' unit, and one step
changes η by at most e^±γ. Off unless a cell asks for it: a method that seems better with it may just have had the
wrong step size. Source: Amid, Anil, Fifty & Warmuth, arXiv 2202.00145 (the global scale, without their gains per
coordinate); J. Su, https://kexue.fm/archives/8968.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mtlbench.gramian import gramian

DECAY = 0.9


@dataclass
class StepSize:
    """The scale of an optimizer's step sizes so far, and the averaged gradient m; ``rate`` is γ, β 0.9."""

    rate: float
    scale: float = 1.0
    average: list[Tensor] = field(default_factory=list)

    @torch.no_grad()
    def adapt(self, optimizer: torch.optim.Optimizer) -> None:
        """Between the gradients and the optimizer's step: change its step sizes by one factor."""
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        found = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        if not self.average:
            self.average = [torch.zeros_like(gradient) for gradient in found]
        products = gramian((tuple(self.average), tuple(found)))
        lengths = math.sqrt(products[0, 0]) * math.sqrt(products[1, 1])
        # In the first step, and where a gradient is zero, nothing is known.
        factor = math.exp(self.rate * products[0, 1] / lengths) if lengths > 0 else 1.0
        self.scale *= factor
        for group in optimizer.param_groups:
            group["lr"] *= factor
        torch._foreach_lerp_(self.average, found, 1 - DECAY)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps; the step sizes themselves are in the optimizer's."""
        return {"scale": self.scale, "average": self.average}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take up what :meth:`state_dict` kept, the average on ``device``."""
        self.scale, self.average = state["scale"], [tensor.to(device) for tensor in state["average"]]
