"""``mtlbench validate``: its options, and what it does with them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mtlbench.errors import InputError

if TYPE_CHECKING:
    from mtlbench.referee.problems import Settings

DESCRIPTION = "Judge every convex solver, or one of your own, by what it promises; exit 1 if a promise is broken."


def add_options(parser: argparse.ArgumentParser, positive: Callable[[str], int], seed: Callable[[str], int]) -> None:
    """Give ``parser`` the command's options; ``positive`` and ``seed`` read whole numbers."""
    add = parser.add_argument
    add("--algorithm", action="append", metavar="NAME", help="only this one of ours (repeatable)")
    add("--solver", action="append", metavar="MODULE:FUNCTION", help="a function of yours, Gramian to weights")
    add("--package", action="append", metavar="NAME", help="a QP package for comparison, or 'all' (repeatable)")
    add("--config", type=Path, help="take sizes, counts and seed from this benchmark file")
    add("--size", type=positive, action="append", metavar="K", help="only problems of this many tasks (repeatable)")
    add("--per-size", type=positive, metavar="N", help="problems of every family at every size")
    add("--recorded", type=Path, metavar="RUNS", help="also judge on Gramians recorded in these runs")
    add("--random", type=positive, metavar="N", help="only: are the default algorithms exact on N random problems?")
    add("--room", action="append", metavar="NAME", help="with --random: only this room (repeatable)")
    add("--seed", type=seed, help="of the random problems (default 0)")
    add("--out", type=Path, default=Path("results/validate"), metavar="DIR")


def run(options: argparse.Namespace) -> int:
    """Validate, print the accuracy table and the verdict; 1 if a promise is broken."""
    from mtlbench import provenance
    from mtlbench.referee import outsider, packages, profile, table
    from mtlbench.referee.validate import validate

    _refuse_mixture(options)
    if options.random:
        return _exactness(options)
    settings = _settings(options)
    # Whatever is misspelt is answered before any work.
    guests = [outsider.guest(name) for name in dict.fromkeys(options.solver or ())]
    peers = outsider.packages(packages.chosen(options.package or ()))
    verdict = validate(
        options.out,
        algorithms=options.algorithm,
        outsiders=[*guests, *peers],
        settings=settings,
        recorded=options.recorded,
        progress=True,
        environment=provenance.collect(),
    )
    names = [*verdict.algorithms, *(peer.name for peer in peers)]
    found = table.records(options.out, names)
    profile.write({"time": profile.times(found)}, options.out)
    print(table.text(options.out), profile.text(found), verdict.sentence(), sep="\n\n")
    return 0 if verdict.passed else 1


def _settings(options: argparse.Namespace) -> Settings:
    """Those of the benchmark file, else the defaults; sizes and count as asked."""
    from mtlbench import config, sections
    from mtlbench.referee.problems import Settings

    section = sections.ValidateSection()
    if options.config:
        benchmark = config.load(options.config)
        for cell in config.cells(benchmark):
            config.check_plugins(cell)
        section = benchmark.validate_solvers
    asked = {"sizes": options.size, "per_size": options.per_size}
    return Settings(**(section.model_dump() | {key: value for key, value in asked.items() if value}))


def _exactness(options: argparse.Namespace) -> int:
    from mtlbench.referee import exactness

    found = exactness.judge(options.room or (), options.random, options.seed or 0, progress=True)
    exactness.write(options.out, found)
    print("\n".join(result.sentence() for result in found))
    return 1 if any(result.failed for result in found) else 0


def _refuse_mixture(options: argparse.Namespace) -> None:
    """``--random`` asks another question: none of the options that choose solvers or problems goes with it."""
    if options.random:
        for name in ("algorithm", "solver", "package", "config", "size", "per_size", "recorded"):
            if getattr(options, name):
                flag = name.replace("_", "-")
                raise InputError(f"--random judges the default algorithms on drawn problems: leave out --{flag}")
    elif options.room or options.seed is not None:
        raise InputError(f"--{'room' if options.room else 'seed'} goes with --random N only")
