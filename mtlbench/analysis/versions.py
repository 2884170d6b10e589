"""Results of different versions or configurations do not merge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mtlbench.arena import GROUP
from mtlbench.errors import InputError

if TYPE_CHECKING:
    from mtlbench.analysis.load import Run

SHARED = ("protocol_version", "epochs", "batch_size", "benchmark_seed", "precision", "step_size_adapter")
"""What all rows of an arena are trained with; a tuned row has its own learning rate, weight decay and options."""


def check(found: list[Run]) -> None:
    """Refuse runs that cannot stand in one table, naming two of them.

    The runs of one dataset must share its ``protocol_version``, the versions of the packages and of Python; those of
    one arena :data:`SHARED` of the configuration; the seeds of one row the whole configuration and the digest of the
    code, which differs from method to method.
    """
    first: dict[tuple[str, Any], tuple[Run, Any]] = {}
    for run in found:
        for what, scope, value in _stated(run):
            twin, other = first.setdefault((what, scope), (run, value))
            if value != other:
                raise InputError(
                    f"{run.folder / 'run.json'}: {what} is {_said(what, value)}, but {_said(what, other)} in "
                    f"{twin.folder / 'run.json'}; results of different versions or configurations do not merge: "
                    "run the pipeline again"
                )


def _stated(run: Run) -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """What the run says of its making, and which other runs have to say the same."""
    dataset, arena = (run.dataset,), tuple(getattr(run, name) for name in GROUP)
    row = (*arena, run.label)
    made = run.provenance
    yield "protocol_version", dataset, run.recipe.get("protocol_version")
    yield "Python", dataset, made.get("python")
    for name, version in (made.get("versions") or {}).items():
        yield name, dataset, version
    for name, value in run.configuration.items():
        yield name, arena if name in SHARED else row, value
    yield "code", row, made.get("code")


def _said(what: str, value: object) -> str:
    """A value, or as much of a digest as tells two apart."""
    return str(value)[:12] if what == "code" else str(value)
