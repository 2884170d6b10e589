"""mtlbench: the reproducible benchmark suite for multi-task learning.

``mtlbench.backward`` is loaded when it is first used: importing the package does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtlbench.gradients import backward

__all__ = ["backward"]


def __getattr__(name: str) -> Any:
    if name == "backward":
        from mtlbench.gradients import backward

        return backward
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
