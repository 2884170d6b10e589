"""One task for each domain, with data of its own: samples stacked, each with the label of its own task alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from .dataset import UNLABELLED, DatasetError, Split, Splits

SHARES = (0.6, 0.2, 0.2)  # LibMTL's for Office-31 and Office-Home


def domain_splits(
    domains: Mapping[str, tuple[Tensor, np.ndarray]],
    prepare: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None,
) -> Splits:
    """Train, validation and test of ``{domain: (inputs, labels)}``: 60/20/20 of every class of every domain.

    The split is one fixed draw, as in the literature. ``prepare`` gives from the training inputs of all domains
    the mean that is taken from every input, and the scale that divides it.
    """
    inputs = torch.cat([found for found, _ in domains.values()])
    labels = np.concatenate([found for _, found in domains.values()])
    place = np.repeat(np.arange(len(domains)), [len(found) for _, found in domains.values()])
    parts = _parts(list(domains), place, labels)
    if prepare is not None:
        mean, scale = prepare(inputs[torch.from_numpy(parts[0])])
        inputs = (inputs - mean) / scale

    def split(part: np.ndarray) -> Split:
        own = {name: np.where(place[part] == i, labels[part], UNLABELLED) for i, name in enumerate(domains)}
        chosen = torch.from_numpy(part)
        return Split(inputs[chosen], {name: torch.from_numpy(value) for name, value in own.items()}, chosen[:, None])

    return Splits.of(*map(split, parts))


def _parts(names: list[str], place: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    rng, parts = np.random.default_rng(0), ([], [], [])  # type: ignore[var-annotated]
    for domain in range(len(names)):
        for label in np.unique(labels[place == domain]):
            members = rng.permutation(np.flatnonzero((place == domain) & (labels == label)))
            if len(members) < len(SHARES):
                raise DatasetError(
                    f"class {label} of {names[domain]} has {len(members)} samples, but three splits need 3 or more"
                )
            held_out = max(1, round(SHARES[1] * len(members)))
            for part, chosen in zip(parts, np.split(members, [-2 * held_out, -held_out]), strict=True):
                part.append(chosen)
    return [rng.permutation(np.concatenate(part)) for part in parts]
