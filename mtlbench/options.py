"""Parameters of architectures, encoders, heads and regularisers: checked by pydantic, answered in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mtlbench.errors import InputError, unknown_name

Count = Annotated[int, Field(gt=0, le=1_000_000)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Options(BaseModel):
    """A plug-in whose fields are the parameters that a benchmark file may give; the first line says what it is."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, arbitrary_types_allowed=True)

    @property
    def name(self) -> str:
        """The name of the file that defines it."""
        return type(self).__module__.rpartition(".")[2]

    @classmethod
    def summary(cls) -> str:
        """What it is, in one line."""
        return (cls.__doc__ or "").strip().splitlines()[0]


T = TypeVar("T", bound=Options)


def checked(name: str, kind: type[T], parameters: Mapping[str, Any]) -> T:
    """``kind`` with these parameters; ``name`` is what errors call it.

    Raises :class:`~mtlbench.errors.InputError`: the nearest valid name for an unknown parameter, or what is wrong with
    a value.
    """
    for parameter in parameters:
        if parameter not in kind.model_fields:
            raise unknown_name(f"parameter of {name}", parameter, kind.model_fields)
    try:
        return kind(**parameters)
    except ValidationError as error:
        first = error.errors()[0]
    message, cause = first["msg"].removeprefix("Value error, "), first.get("ctx", {}).get("error")
    if isinstance(cause, InputError):
        raise cause
    place = f"{'.'.join(map(str, first['loc']))} of {name}" if first["loc"] else name
    raise InputError(f"{place}: {message[0].lower()}{message[1:]}, got {first['input']!r}")


def only_subclass(module: ModuleType, base: type[T]) -> type[T]:
    """The one subclass of ``base`` that ``module`` defines."""
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__
    ]
    if len(found) != 1:
        raise InputError(f"{module.__name__} must define one {base.__name__}, but defines {len(found)}")
    return found[0]
