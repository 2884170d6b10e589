"""Going on after an interruption: a run is kept at epoch ends and gives the same bytes when taken up.

The file holds tensors, numbers and strings only and is read with ``weights_only``: a damaged or foreign file
cannot run code. It is thrown away when the run is recorded.
"""

from __future__ import annotations

import io
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch

from mtlbench.files import write_atomically
from mtlbench.training.loop import State

log = logging.getLogger(__name__)

_FIELDS = (
    "step",
    "epoch",
    "curves",
    "tested",
    "best_epoch",
    "best_score",
    "best_validation",
    "best_weights",
    "seconds",
)


def name(network: str) -> str:
    """The file of one network of a run."""
    return f"mtlbench-checkpoint-{network}.pt"


def ours(path: Path) -> bool:
    """Whether a file has the name of a checkpoint of ours."""
    return path.name.startswith("mtlbench-checkpoint-")


def keeper(path: Path, identity: str, device: torch.device, interval: float) -> Callable[[State], None]:
    """A function to call after every epoch: saves if ``interval`` seconds went by since it last saved.

    ``identity`` says which run it is (configuration, code, data), see :func:`resume`.
    """
    last = monotonic()

    def keep(state: State) -> None:
        nonlocal last
        if monotonic() - last >= interval:
            save(path, state, identity, device)
            last = monotonic()

    return keep


def save(path: Path, state: State, identity: str, device: torch.device) -> None:
    """Write ``state`` and the global random state to ``path``, whole or not at all."""
    content = {name: getattr(state, name) for name in _FIELDS} | {
        "identity": identity,
        "model": state.model.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "method": _plain(state.method.state_dict()),
        "audit": state.audit.state_dict(),
        "step_size": None if state.step_size is None else state.step_size.state_dict(),
        "batches": [stream.get_state() for stream in state.batches],
        "random": torch.get_rng_state(),
        "device_random": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_atomically(path, buffer.getvalue())


def resume(path: Path, state: State, identity: str, device: torch.device) -> bool:
    """Take ``state`` and the global random state up from ``path``; False, and nothing changed, if it cannot.

    A file that is damaged, or of a run with another ``identity``, is left alone with a note in the log.
    """
    if not path.exists():
        return False
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        same = content["identity"] == identity
    except (
        OSError,
        RuntimeError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        pickle.UnpicklingError,
    ) as error:
        log.warning("%s is damaged (%s) and ignored", path, type(error).__name__)
        return False
    if not same:
        log.warning("%s belongs to another configuration, code or data and is ignored", path)
        return False
    state.model.load_state_dict(content["model"])
    state.optimizer.load_state_dict(content["optimizer"])
    state.method.load_state_dict(_restored(content["method"]))
    state.audit.load_state_dict(content["audit"])
    if state.step_size is not None:
        state.step_size.load_state_dict(content["step_size"], device)
    for stream, saved in zip(state.batches, content["batches"], strict=True):
        stream.set_state(saved)
    for name in _FIELDS:
        setattr(state, name, content[name])
    torch.set_rng_state(content["random"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(content["device_random"], device)
    return True


def _plain(value: Any) -> Any:
    """``value`` with numpy arrays and numbers as what ``weights_only`` reads: arrays as marked tensors."""
    if isinstance(value, np.ndarray):
        return {"ndarray": torch.from_numpy(value.copy())}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(entry) for entry in value)
    return value


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"ndarray"}:
            return value["ndarray"].numpy()
        return {key: _restored(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_restored(entry) for entry in value)
    return value
