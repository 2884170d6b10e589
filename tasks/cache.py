"""Built data, kept: what a loader made of its source files is read back where nothing that decided it has changed.

One safetensors file for each dataset and its parameters, in the folder that MTLBENCH_CACHE names, else in the user's
cache folder. It is read through a memory map, needs no pickle, and is used only if

- its key fits: the sha256 over the contents of the source files, the parameters, the code of this folder and the
  versions of numpy and torch;
- its checksum fits: the sha256 over the key and every byte of every tensor.

Else the data are built again and the file is replaced as a whole, so that two processes never see a part of it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from platformdirs import user_cache_path
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from . import files
from .dataset import Source, Split, Splits

log = logging.getLogger(__name__)

_SPLITS = ("train", "validation", "test")
_PORTION = 4096


def cache_directory() -> Path:
    """The folder of built data: what MTLBENCH_CACHE says, else the user's cache folder of this system."""
    return Path(os.environ.get("MTLBENCH_CACHE") or user_cache_path("mtlbench", appauthor=False))


def cached(
    name: str,
    source: Source,
    paths: Mapping[str, Path],
    parameters: Mapping[str, object],
    build: Callable[[], Splits],
) -> Splits:
    """What ``build()`` returns for the dataset ``name``, read from the cache where that is current.

    ``paths`` are the files of ``source`` as :func:`.files.locate` found them. All are read for their digest, and one
    that has changed, or is damaged, brings the call of ``build``, which says what is wrong with it.
    ``parameters`` hold all else that decides the data, as JSON can write it: those of the dataset, a seed, the version
    of another library. Inputs that are a byte over 255 are kept as bytes, and read back with the same bits.

    A folder that cannot be written costs a warning, not the data.
    """
    named = json.dumps(parameters, sort_keys=True)
    path = cache_directory() / name / f"{hashlib.sha256(named.encode()).hexdigest()[:16]}.safetensors"
    key = _key(source, paths, named)
    splits = _read(path, key)
    if splits is None:
        splits = build()
        try:
            _write(path, key, splits)
        except OSError as error:
            log.warning("%s: the built data are not kept, %s cannot be written: %s", name, path, error)
    return splits


def _key(source: Source, paths: Mapping[str, Path], parameters: str) -> str:
    decides = {
        "sources": {name: files.sha256(path) for name, path in paths.items()},
        # What the files should be decides too: who trusts other files must not be given these.
        "declared": [(file.name, file.sha256) for file in source.files],
        "parameters": parameters,
        "code": _code(),
        "versions": [np.__version__, torch.__version__],
    }
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


@functools.cache
def _code() -> str:
    """The sha256 over this whole folder: any of its files may have had a hand in the data, and building is cheap."""
    total = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        total.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()


def _write(path: Path, key: str, splits: Splits) -> None:
    tensors = {}
    for name in _SPLITS:
        split: Split = getattr(splits, name)
        packed = _packed(split.inputs)
        # Inputs that are bytes by themselves stay bytes.
        tensors[f"{name}/{'inputs' if packed.dtype == split.inputs.dtype else 'bytes'}"] = packed
        tensors |= {f"{name}/targets/{task}": target.contiguous() for task, target in split.targets.items()}
        if split.sources is not None:
            tensors[f"{name}/sources"] = split.sources.contiguous()
    metadata = {"key": key, "digest": splits.digest, "checksum": _checksum(key, splits.digest, tensors)}
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(descriptor)
    try:
        # Through numpy: the function for torch refuses tensors that share memory, as the slices of one table do.
        save_file({name: tensor.numpy() for name, tensor in tensors.items()}, temporary, metadata)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except SafetensorError as error:  # how safetensors reports a full disk
        raise OSError(str(error)) from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def _read(path: Path, key: str) -> Splits | None:
    """The data in the file at ``path``; None where there is none, it is stale, or a bit of it has changed."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("key") != key:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (a handle, not a mapping)
        if metadata["checksum"] != _checksum(key, metadata["digest"], tensors):
            log.warning("%s is damaged: the data are built again", path)
            return None
    except FileNotFoundError:
        return None
    except (OSError, KeyError, SafetensorError, RuntimeError) as error:
        # RuntimeError: torch opens the file once more to map it, and another process may have replaced it meanwhile.
        log.warning("%s cannot be used, the data are built again: %s", path, error)
        return None
    train, validation, test = (_split(name, tensors) for name in _SPLITS)
    return Splits(train, validation, test, metadata["digest"])


def _split(name: str, tensors: Mapping[str, Tensor]) -> Split:
    start = f"{name}/targets/"
    targets = {key.removeprefix(start): tensor for key, tensor in tensors.items() if key.startswith(start)}
    packed = tensors.get(f"{name}/bytes")
    inputs = tensors[f"{name}/inputs"] if packed is None else _unpacked(packed)
    return Split(inputs, targets, tensors.get(f"{name}/sources"))


def _checksum(key: str, digest: str, tensors: Mapping[str, Tensor]) -> str:
    total = hashlib.sha256(f"{key} {digest}\n".encode())
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.numpy().data)
    return total.hexdigest()


def _packed(inputs: Tensor) -> Tensor:
    """``inputs`` as bytes where each is a byte over 255, to the last bit; else as they are."""
    if inputs.dtype != torch.float32:
        return inputs.contiguous()
    packed = torch.empty(inputs.shape, dtype=torch.uint8)
    for part, whole in zip(packed.split(_PORTION), inputs.split(_PORTION), strict=True):
        # What a number that is no byte becomes as one depends on the machine.
        part.copy_((whole * 255).round().clamp(0, 255).nan_to_num())
        # Bit by bit: a zero may have a sign.
        if not torch.equal(_unpacked(part).view(torch.int32), whole.contiguous().view(torch.int32)):
            return inputs.contiguous()
    return packed


def _unpacked(inputs: Tensor) -> Tensor:
    unpacked = torch.empty(inputs.shape, dtype=torch.float32)
    # In portions: torch first makes floats of all the bytes it is given at once.
    for part, whole in zip(inputs.split(_PORTION), unpacked.split(_PORTION), strict=True):
        torch.div(part, 255, out=whole)
    return unpacked
