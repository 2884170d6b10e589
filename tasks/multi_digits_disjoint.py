"""multi_digits_disjoint: multi_digits whose training pictures each carry the label of one task only.

Task data are disjoint where they were collected apart: no sample tells of two tasks at once. The pictures are those of
multi_digits, the seed draws which half of the training ones keeps the left label and which the right one. Validation
and test know both labels, so that every task is judged on every picture.

Over the samples that lack its label a task's loss is not defined: it is the mean over those that have it, and zero with
zero gradient where a batch has none. With gradients z_i of the loss by the representation of the batch, ⟨z_i, z_j⟩ = 0.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from .dataset import UNLABELLED, Split, Splits
from .losses import cross_entropy
from .multi_digits import MultiDigits


class MultiDigitsDisjoint(MultiDigits):
    """Two tasks of 10 classes on (1, 12, 12) float32 pictures, each training picture with one of its two labels."""

    name = "multi_digits_disjoint"
    summary = "multi_digits with one label per training picture, 2 classification tasks, no download"
    tasks = tuple(replace(task, loss=cross_entropy) for task in MultiDigits.tasks)

    def load(self, seed: int, data_dir: Path | None = None) -> Splits:
        """The pictures of multi_digits' trial ``seed``; -100 stands where a training picture has no label."""
        whole = super().load(seed, data_dir)
        # A stream of its own: the pictures stay those of multi_digits.
        order = np.random.default_rng([seed, len(self.tasks)]).permutation(len(whole.train))
        targets = {name: target.clone() for name, target in whole.train.targets.items()}
        for place, target in enumerate(targets.values()):
            target[torch.from_numpy(order % len(targets) != place)] = UNLABELLED
        train = Split(whole.train.inputs, targets, whole.train.sources)
        return Splits.of(train, whole.validation, whole.test)
