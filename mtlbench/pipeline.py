"""The pipeline's own steps: what the Snakefile asks, and what its rules run.

A rule is one line that calls one step here; a step reads files and writes files, so each can be done again alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from mtlbench import config
from mtlbench.errors import InputError
from mtlbench.files import write_atomically, write_json

# ---- what the Snakefile asks ----------------------------------------------------------------------------------


def resolve(content: object, where: str, results: Path) -> tuple[config.Benchmark, list[config.Cell]]:
    """Check the merged configuration, keep it as ``config.json`` in the results folder, and unfold it into cells.

    The steps read that file, so ``--config seeds=3`` on the command line reaches every job.
    """
    benchmark = config.parse(content, where)
    cells = config.cells(benchmark)
    for cell in cells:
        config.check_plugins(cell)
    path = results / benchmark.name / "config.json"
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_atomically(path, text)
    return benchmark, cells


def marker(cell: config.Cell) -> str:
    """The file that says a cell was attempted, relative to the results folder of its benchmark."""
    return f"logs/cells/{cell.folder}.json"


def attempt(cell: config.Cell, results: Path) -> int:
    """The number of the attempt that the cell is on: it grows while a run is missing, cut, diverged or failed.

    Given to the rule as a parameter, it makes Snakemake take up again just the cells that are not done.
    """
    try:
        attempts = int(json.loads((results / marker(cell)).read_text(encoding="utf-8"))["attempts"])
    except (OSError, ValueError, KeyError, TypeError):
        return 1
    return attempts + (not all(_done(results / "runs" / cell.folder / f"seed-{seed}") for seed in cell.seeds))


def _done(folder: Path) -> bool:
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and record.get("status") == "done" and record.get("complete") is True


def gpus() -> int:
    """How many GPUs this machine offers; counted without loading torch, so that the Snakefile stays quick."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([part for part in visible.split(",") if part.strip() not in ("", "-1")])
    if shutil.which("nvidia-smi") is None:
        return 0
    listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return sum(line.startswith("GPU ") for line in listing.stdout.splitlines()) if listing.returncode == 0 else 0


# ---- what the rules run ---------------------------------------------------------------------------------------


def add_steps(parser: argparse.ArgumentParser) -> None:
    """Declare every step as a subcommand of ``mtlbench step``."""
    steps = parser.add_subparsers(metavar="STEP", required=True)

    def step(name: str, run: Callable[[argparse.Namespace], int], *arguments: str) -> argparse.ArgumentParser:
        sub = steps.add_parser(name, description=(run.__doc__ or "").splitlines()[0])
        sub.add_argument("results", type=Path)
        for argument in arguments:
            sub.add_argument(argument)
        sub.set_defaults(run=run)
        return sub

    step("cell", _cell, "folder").add_argument("--attempt", type=int, default=1)
    step("problems", _problems)
    step("judge", _judge, "algorithm")
    step("verdict", _verdict)
    step("timing", _timing)
    step("cost", _cost)
    step("check-verdict", _check_verdict)
    step("tables", _tables)
    step("report", _report)
    step("bundle", _bundle)


def _load(results: Path) -> config.Benchmark:
    path = results / "config.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    return config.parse(content, str(path))


def _cell(options: argparse.Namespace) -> int:
    """Train every seed of one cell that is not done yet; a run that diverges or crashes is a result too."""
    from mtlbench.cli import restart_with_threads

    benchmark = _load(options.results)
    restart_with_threads(benchmark.threads)
    cells = {cell.folder: cell for cell in config.cells(benchmark)}
    if options.folder not in cells:
        raise InputError(f"{options.results}/config.json has no cell {options.folder!r}")
    cell = cells[options.folder]
    from mtlbench.training.cell import run_cell

    statuses = run_cell(cell, options.results / "runs", data_dir=None, progress=True)
    counts = {status: statuses.count(status) for status in ("done", "diverged", "failed") if status in statuses}
    write_json(options.results / marker(cell), {"attempts": options.attempt, "runs": counts})
    summary = ", ".join(f"{count} {status}" for status, count in counts.items())
    print(f"{cell.dataset} {cell.label}: {summary}")
    return 0


def _problems(options: argparse.Namespace) -> int:
    """Draw the problem families, take up the recorded Gramians, and solve each with cvxpy for reference."""
    from mtlbench.cli import restart_with_threads
    from mtlbench.referee import problems

    restart_with_threads(1)
    settings = problems.Settings(**_load(options.results).validate_solvers.model_dump())
    problems.build(options.results / "solvers", settings, recorded=options.results / "runs")
    return 0


def _judge(options: argparse.Namespace) -> int:
    """Run one algorithm on every problem and check each of its promises."""
    from mtlbench.cli import restart_with_threads
    from mtlbench.referee.validate import run_algorithm

    restart_with_threads(1)
    run_algorithm(options.results / "solvers", options.algorithm)
    return 0


def _verdict(options: argparse.Namespace) -> int:
    """Put the algorithms' parts together into the verdict."""
    from mtlbench import provenance
    from mtlbench.referee import verdict

    print(verdict.merge(options.results / "solvers", environment=provenance.collect()).sentence())
    return 0


def _check_verdict(options: argparse.Namespace) -> int:
    """Fail if a promise is broken."""
    path = options.results / "solvers" / "verdict.json"
    if json.loads(path.read_text(encoding="utf-8"))["passed"]:
        return 0
    print(f"mtlbench: a solver broke a promise; {path} says which", file=sys.stderr)
    return 1


def _timing(options: argparse.Namespace) -> int:
    """Time the solvers with the project's pytest-benchmark suite and tabulate it."""
    from mtlbench.cli import restart_with_threads
    from mtlbench.referee import timing

    restart_with_threads(1)
    suite = Path(__file__).parents[1] / "tests" / "benchmarks" / "test_min_norm_speed.py"
    if not suite.is_file():
        raise InputError(f"the timing suite {suite} is not there: run the pipeline from a checkout of mtlbench")
    measured = options.results / "logs" / "benchmark.json"
    measured.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-m", "pytest", str(suite), "-q", "-p", "no:cacheprovider"]
    status = subprocess.run(
        [*command, "--benchmark-enable", "--benchmark-only", f"--benchmark-json={measured}"], check=False
    ).returncode
    if status:
        print(f"mtlbench: the timing suite ended with status {status}", file=sys.stderr)
        return 1
    table = timing.table(measured)
    write_atomically(options.results / "solvers" / "timing.csv", table.to_csv(index=False))
    return 0


def _cost(options: argparse.Namespace) -> int:
    """Measure seconds per step and memory of every cell, alone on the machine."""
    from mtlbench.cli import restart_with_threads

    benchmark = _load(options.results)
    restart_with_threads(benchmark.threads)
    from mtlbench.training import cost

    cost.measure(
        config.cells(benchmark),
        data_dir=None,
        out=options.results / "cost.csv",
        steps=benchmark.cost.steps,
        warmup=benchmark.cost.warmup,
    )
    return 0


def _tables(options: argparse.Namespace) -> int:
    """Write the leaderboard as csv, md, tex and html."""
    from mtlbench.report import leaderboard

    leaderboard.write(options.results)
    return 0


def _report(options: argparse.Namespace) -> int:
    """Write the plots, the report and the manifest."""
    from mtlbench.report import build

    build.write(options.results)
    return 0


def _bundle(options: argparse.Namespace) -> int:
    """Write the publication archive."""
    from mtlbench.report import bundle

    print(bundle.write(options.results))
    return 0
