"""``mtlbench plan | verify | compare | reproduce`` and ``leaderboard --with``: their options, and what they do."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from mtlbench.errors import CheckFailed, InputError

SHOWN = 20
"""So many differing files are named one by one."""

RESULT = "a results folder, such as results/quick, or a bundle"


def add_commands(command: Callable[..., argparse.ArgumentParser], whole: Callable[[str], int]) -> None:
    """Declare the commands with ``command(name, run, text)``; ``whole`` reads a whole number of at least 1."""
    sub = command("plan", _plan, "Say what a benchmark will run, and how long that takes, before anything runs.")
    sub.add_argument("config", type=Path, metavar="CONFIG")
    sub.add_argument("--cores", type=whole, metavar="N", help="cells that train at a time; default: all cores")
    sub.add_argument("--cost", type=Path, metavar="FILE", help="take step times from the cost.csv of an earlier run")
    sub.add_argument("--steps", type=whole, default=5, metavar="N", help="steps measured of each cell")
    sub.add_argument("--data-dir", type=Path, metavar="DIR", help="default: $MTLBENCH_DATA, else ./data")

    sub = command("verify", _verify, "Check every digest, and compute the leaderboard again; exit 1 if one differs.")
    sub.add_argument("paths", type=Path, nargs="+", metavar="BUNDLE|RESULTS", help=RESULT)

    sub = command("compare", _compare, "Say what differs between two results beyond its interval.")
    sub.add_argument("one", type=Path, metavar="A", help=RESULT)
    sub.add_argument("other", type=Path, metavar="B", help=RESULT)

    sub = command("reproduce", _reproduce, "Train one cell again and compare; exit 1 if it differs.")
    sub.add_argument("path", type=Path, metavar="BUNDLE|RESULTS", help=RESULT)
    sub.add_argument("--cell", required=True, metavar="DATASET/METHOD/SEED", help="METHOD as in the leaderboard")
    sub.add_argument("--track", help="where the cell is there in several")
    sub.add_argument("--setting", help="where the cell is there in several")
    sub.add_argument("--architecture", help="where the cell is there in several")
    sub.add_argument("--out", type=Path, metavar="DIR", help="keep the new run there")
    sub.add_argument("--data-dir", type=Path, metavar="DIR", help="default: $MTLBENCH_DATA, else ./data")


def add_foreign(parser: argparse.ArgumentParser) -> None:
    """The options of ``leaderboard`` that put numbers from elsewhere beside ours."""
    text = "put the numbers of this table beside ours (docs/bring-your-own.md; repeatable)"
    parser.add_argument("--with", dest="tables", type=Path, action="append", default=[], metavar="TABLE.csv", help=text)
    parser.add_argument("--out", type=Path, metavar="DIR", help="of the leaderboard with them; default: RESULTS-with")


def beside(options: argparse.Namespace) -> int:
    """Write the leaderboard with foreign tables into a folder of its own."""
    from mtlbench.publication import foreign

    out = options.out or foreign.default_folder(options.results)
    for path in foreign.write(options.results, options.tables, out):
        print(path)
    return 0


def _verify(options: argparse.Namespace) -> int:
    from mtlbench.publication.verify import verify

    status = 0
    for path in options.paths:
        try:
            found = verify(path)
        except CheckFailed as error:
            found = [str(error)]
        if isinstance(found, list):
            status = 1
            for sentence in found[:SHOWN]:
                print(f"mtlbench: {sentence}", file=sys.stderr)
            if len(found) > SHOWN:
                print(f"mtlbench: and {len(found) - SHOWN} more", file=sys.stderr)
        else:
            print(
                f"{path}: {found.files} files as their digests say, {found.runs} runs, "
                f"and leaderboard.csv and overall.csv come out of them to the same bytes\n"
                f"{path}: the manifest's sha256 is {found.fingerprint}"
            )
    return status


def _compare(options: argparse.Namespace) -> int:
    from mtlbench.publication import compare

    print("\n".join(compare.sentences(options.one, options.other)))
    return 0


def _reproduce(options: argparse.Namespace) -> int:
    from mtlbench.cli import restart_with_threads
    from mtlbench.publication import reproduce

    if options.out and options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise InputError(f"--out {options.out} is not empty: the cell is trained again into a new folder")
    wanted = {name: getattr(options, name) for name in ("architecture", "track", "setting")}
    with reproduce.recorded(options.path, options.cell, wanted) as found:
        threads = found.cell.threads
    restart_with_threads(threads)
    with reproduce.recorded(options.path, options.cell, wanted) as found:
        judged = reproduce.again(found, options.out, options.data_dir)
    print("\n".join(judged.said))
    return 0 if judged.passed else 1


def _plan(options: argparse.Namespace) -> int:
    from mtlbench import config, pipeline
    from mtlbench.cli import restart_with_threads

    path = options.config
    benchmark, cells = pipeline.resolve(config.read(path), str(path), path.stem)
    restart_with_threads(benchmark.threads)
    from mtlbench.publication import plan

    gpus = pipeline.gpus() if benchmark.device != "cpu" else 0
    slots = plan.slots(benchmark, options.cores, gpus)
    lines = plan.measured(cells, options.data_dir, options.cost, options.steps)
    print("\n".join(plan.sentences(benchmark, lines, slots)))
    return 0
