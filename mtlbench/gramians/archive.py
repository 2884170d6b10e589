"""The files of a collection: ``NAME.npz`` with the numbers, ``NAME.json`` with what each of them is.

The archive holds float64 stacks ``gramians_K`` and ``noise_K``, shape (n, K, K), for every number of tasks K: the i-th
of a stack belongs to the i-th record of K tasks in the index. It is stored, not compressed, with fixed order and times,
so that the same numbers are the same bytes. The index names the archive's sha256.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mtlbench.errors import CheckFailed, InputError
from mtlbench.files import write_atomically

if TYPE_CHECKING:
    from mtlbench.solvers.gramian import Array

STAGES = ("early", "middle", "late")

Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Meta(_Strict):
    """Where one Gramian comes from.

    ``step``: updates done before it was taken; ``epoch``: the one it was taken in, from 1. ``batch_size`` samples made
    the Gramian, in ``micro_batches`` parts its noise. ``losses`` (K,): of that batch.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.=/-]+$")]
    dataset: Text
    parameters: dict[str, Any]
    architecture: Text
    method: Text
    seed: Annotated[int, Field(ge=0)]
    stage: Literal["early", "middle", "late"]
    step: Annotated[int, Field(ge=0)]
    epoch: Count
    tasks: Count
    batch_size: Count
    micro_batches: Annotated[int, Field(ge=2)]
    optimizer: Text
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    shared_parameters: Count
    losses: list[Number]

    @model_validator(mode="after")
    def _fits(self) -> Meta:
        if len(self.losses) != self.tasks:
            raise ValueError(f"{len(self.losses)} losses for {self.tasks} tasks")
        if self.batch_size % self.micro_batches:
            raise ValueError(f"a batch of {self.batch_size} cannot be cut into {self.micro_batches} equal parts")
        return self


class Index(_Strict):
    """The content of ``NAME.json``; ``recorded_with`` and ``recipe`` are for people who want to record it again."""

    format: Literal[1]
    title: Text
    version: Count
    licence: Text
    citation: Text
    sources: dict[str, dict[str, str]]
    recorded_with: Annotated[dict[str, Any], Field(min_length=1)]
    recipe: Annotated[list[Any], Field(min_length=1)]
    archive: Text
    sha256: Text
    records: Annotated[list[Meta], Field(min_length=1)]

    @model_validator(mode="after")
    def _names(self) -> Index:
        names = [record.name for record in self.records]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"the name {name!r} stands twice")
        if Path(self.archive).name != self.archive:
            raise ValueError(f"archive is {self.archive!r} but must be a file name: it lies beside the index")
        return self


@dataclass(frozen=True, eq=False)
class Record:
    """One Gramian and its sampling noise, float64 (K, K), under a name that never changes its meaning."""

    name: str
    gramian: Array
    noise: Array
    meta: Meta


def write(path: Path, about: Mapping[str, Any], records: Sequence[Record]) -> None:
    """Write the index to ``path``, a ``.json``, and the archive beside it; ``about``: the other fields of
    :class:`Index`.
    """
    archive = path.with_suffix(".npz")
    content = _pack(records)
    digest = sha256(content).hexdigest()
    head = {"format": 1, **about, "archive": archive.name, "sha256": digest}
    metas = [record.meta.model_dump(mode="json") for record in records]
    index = _index(path, head | {"records": metas})
    write_atomically(archive, content)
    # A line for each record: a reader finds it, and a difference shows it.
    lines = ",\n  ".join(json.dumps(meta, ensure_ascii=False) for meta in metas)
    opening = json.dumps(index.model_dump(mode="json", exclude={"records"}), indent=1, ensure_ascii=False)
    write_atomically(path, f'{opening[:-2]},\n "records": [\n  {lines}\n ]\n}}\n')


def read(path: Path) -> list[Record]:
    """The records of the collection whose index is ``path``, the archive's digest compared.

    Raises :class:`~mtlbench.errors.InputError` where the index does not exist, and
    :class:`~mtlbench.errors.CheckFailed`, one sentence, where a file is missing, damaged or of the wrong form.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"the collection {path} does not exist") from None
    except (OSError, ValueError) as error:
        raise CheckFailed(f"{path} cannot be read as JSON: {error}") from None
    index = _index(path, content)
    archive = path.with_name(index.archive)
    try:
        whole = archive.read_bytes()
    except OSError as error:
        raise CheckFailed(f"{archive}, the archive of {path.name}, cannot be read: {error.strerror}") from None
    if sha256(whole).hexdigest() != index.sha256:
        raise CheckFailed(f"{archive} is damaged: its sha256 is not the one in {path.name}")
    return _unpack(archive, whole, index.records)


def check(path: Path) -> list[Record]:
    """:func:`read`, and every Gramian and noise valid by :func:`mtlbench.solvers.gramian.check` and symmetric."""
    from mtlbench.solvers import InvalidGramian
    from mtlbench.solvers.gramian import check as check_gramian

    records = read(path)
    for record in records:
        for what, matrix in (("Gramian", record.gramian), ("noise", record.noise)):
            try:
                check_gramian(matrix)
            except InvalidGramian as error:
                raise CheckFailed(f"{path}: the {what} of {record.name} is not valid: {error}") from None
            if not (matrix == matrix.T).all():
                raise CheckFailed(f"{path}: the {what} of {record.name} is not exactly symmetric: average it with Gᵀ")
    return records


def _pack(records: Sequence[Record]) -> bytes:
    stacks: dict[str, list[Array]] = {}
    for size in sorted({record.meta.tasks for record in records}):
        same = [record for record in records if record.meta.tasks == size]
        stacks[f"gramians_{size}"] = [record.gramian for record in same]
        stacks[f"noise_{size}"] = [record.noise for record in same]
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{key: np.stack(stack) for key, stack in stacks.items()})
    return buffer.getvalue()


def _unpack(archive: Path, content: bytes, metas: Sequence[Meta]) -> list[Record]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            stacks = {key: file[key] for key in file}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise CheckFailed(f"{archive} is not a whole npz archive: {error}") from None
    sizes = [meta.tasks for meta in metas]
    wanted = {f"{kind}_{K}": (sizes.count(K), K, K) for K in sorted(set(sizes)) for kind in ("gramians", "noise")}
    if stacks.keys() != wanted.keys():
        raise CheckFailed(
            f"{archive} holds {', '.join(sorted(stacks))}; the index asks for {', '.join(sorted(wanted))}"
        )
    for key, shape in wanted.items():
        if stacks[key].shape != shape or stacks[key].dtype != np.float64:
            found = f"{stacks[key].dtype} {stacks[key].shape}"
            raise CheckFailed(f"{archive}: {key} is {found}; the index asks for float64 {shape}")
    places: dict[str, Iterator[Array]] = {key: iter(stack) for key, stack in stacks.items()}
    return [
        Record(meta.name, next(places[f"gramians_{meta.tasks}"]), next(places[f"noise_{meta.tasks}"]), meta)
        for meta in metas
    ]


def _index(path: Path, content: Any) -> Index:
    try:
        return Index.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the index"
        raise CheckFailed(f"{path}: {place}: {first['msg'].removeprefix('Value error, ')}") from None
