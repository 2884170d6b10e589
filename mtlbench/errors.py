"""The errors that the command line turns into one sentence: exit status 2 for wrong input, 1 for a failed check."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """The user's input is wrong; the message says what, where, and what would be right."""


class CheckFailed(InputError):
    """A check failed: a file of a result is missing or cut, or a digest differs; the message says which."""


def unknown_name(kind: str, name: object, valid: Iterable[str], where: str = "") -> InputError:
    """Build the error for a name that does not exist, offering the nearest valid one.

    ``kind`` is what the name should name ("method"); ``where`` says where it was found
    ("config/quick.yaml: datasets.multi_digits").
    """
    names = sorted(valid)
    near = get_close_matches(str(name), names, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}? " if near else ""
    place = f"{where}: " if where else ""
    return InputError(f"{place}unknown {kind} {str(name)!r}: {hint}valid: {', '.join(names) or 'none'}")


def one_line(message: object) -> str:
    """A library's message as the end of a sentence of ours."""
    text = " ".join(str(message).split())
    return text[:1].lower() + text[1:]
