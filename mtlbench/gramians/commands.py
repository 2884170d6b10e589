"""``mtlbench gramians list | record | check``."""

from __future__ import annotations

import argparse
from pathlib import Path

from mtlbench.errors import InputError


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Declare the commands as subcommands of ``mtlbench gramians``."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    sub = commands.add_parser("list", description="Print the names of the collected Gramians, one a line.")
    sub.set_defaults(run=_list)
    _add_version(sub)

    sub = commands.add_parser("record", description="Record a collection again, from the recipe of its version.")
    sub.set_defaults(run=_record)
    _add_version(sub)
    sub.add_argument("--out", type=Path, default=Path("results/gramians"), metavar="DIR")
    sub.add_argument("--data-dir", type=Path, metavar="DIR", help="default: $MTLBENCH_DATA, else ./data")

    sub = commands.add_parser("check", description="Check a collection, one's own or a submitted one.")
    sub.set_defaults(run=_check)
    sub.add_argument("file", type=Path, metavar="FILE", help="the index, NAME.json; the archive lies beside it")


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version", type=int, metavar="N", help="default: the newest")


def _list(options: argparse.Namespace) -> int:
    from mtlbench import gramians

    print("\n".join(gramians.names(gramians.LATEST if options.version is None else options.version)))
    return 0


def _record(options: argparse.Namespace) -> int:
    from mtlbench.cli import restart_with_threads
    from mtlbench.gramians.recipe import RECIPES

    version = max(RECIPES) if options.version is None else options.version
    if version not in RECIPES:
        raise InputError(f"there is no recipe of collection {version}: there are {', '.join(map(str, RECIPES))}")
    restart_with_threads(1)
    from mtlbench.gramians.record import record

    print(record(options.out, version, RECIPES[version], data_dir=options.data_dir, progress=True))
    return 0


def _check(options: argparse.Namespace) -> int:
    from mtlbench import gramians

    records = gramians.check(options.file)
    sizes = sorted({record.meta.tasks for record in records})
    print(f"{options.file}: {len(records)} Gramians of {sizes[0]} to {sizes[-1]} tasks, all valid")
    return 0
