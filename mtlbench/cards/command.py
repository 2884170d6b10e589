"""``mtlbench check``: its options, and what it does with them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

DESCRIPTION = "Print the card of a method, yours or anybody's; exit 1 if a promise that it claims is broken."


def add_options(parser: argparse.ArgumentParser, positive: Callable[[str], int], seed: Callable[[str], int]) -> None:
    """Give ``parser`` the command's options; ``positive`` and ``seed`` read whole numbers."""
    add = parser.add_argument
    add("subject", metavar="MODULE:NAME", help="a function, a class or an instance, or the name of a method of ours")
    add("--claims", metavar="METHOD", help="which of our methods it claims to be")
    add("--takes", choices=("auto", "jacobian", "gramian", "method"), default="auto", help="default: found by asking")
    add("--arrays", choices=("auto", "numpy", "torch"), default="auto", help="default: found by asking")
    add("--option", action="append", default=[], metavar="KEY=VALUE", help="an argument of the class; K: tasks")
    add("--claims-option", action="append", default=[], metavar="KEY=VALUE", help="an option of the claimed method")
    add("--size", type=positive, action="append", metavar="K", help="problems of this many tasks (repeatable)")
    add("--per-size", type=positive, default=3, metavar="N", help="problems of every family at every size")
    add("--tolerance", type=float, default=1e-3, help="relative errors up to this are agreement")
    add("--seed", type=seed, default=0, help="of the problems")
    add("--json", type=Path, metavar="FILE", help="write the card there as well")


def run(options: argparse.Namespace, assignments: Callable[[list[str], str], dict[str, Any]]) -> int:
    """Make the card, print it, write it; 1 if a promise is broken."""
    from mtlbench.cards import agreement, subject
    from mtlbench.cards.card import Settings, card
    from mtlbench.cards.text import text
    from mtlbench.errors import InputError
    from mtlbench.files import write_json
    from mtlbench.referee.families import LARGEST_SIZE

    if not 0 < options.tolerance < 1:
        raise InputError(f"--tolerance must lie between 0 and 1, got {options.tolerance:g}")
    sizes = tuple(dict.fromkeys(options.size or Settings.sizes))
    if max(sizes) > LARGEST_SIZE:
        raise InputError(f"--size {max(sizes)}: problems have at most {LARGEST_SIZE} tasks")
    claims_options = assignments(options.claims_option, "--claims-option")
    if claims_options and not options.claims:
        raise InputError("--claims-option needs --claims: which method the option is of")
    claim = agreement.claim(options.claims, claims_options) if options.claims else None
    asked = subject.find(
        options.subject,
        takes=options.takes,
        arrays=options.arrays,
        options=assignments(options.option, "--option"),
    )
    if options.json and options.json.is_dir():
        raise InputError(f"--json {options.json} is a folder: name a file in it")
    made = card(asked, claim, Settings(sizes, options.per_size, options.seed, options.tolerance))
    print(text(made))
    if options.json:
        write_json(options.json, made)
    return 0 if made["passed"] else 1
