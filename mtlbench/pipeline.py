"""The pipeline's own steps: what the Snakefile asks, and what its rules run.

A rule is one line that calls one step here; a step reads files and writes files, so each can be done again alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from mtlbench import config, runs, tasks, tuning
from mtlbench.arena import TUNED
from mtlbench.errors import CheckFailed, InputError
from mtlbench.files import digest, write_atomically, write_json
from mtlbench.publication import constraints
from mtlbench.sections import SINGLE_TASK, Benchmark, Cell

# ---- what the Snakefile asks ----------------------------------------------------------------------------------


def resolve(content: object, where: str, stem: str | None = None) -> tuple[Benchmark, list[Cell]]:
    """Check the merged configuration and unfold it into cells, before anything runs and without writing anything.

    ``stem`` is that of the benchmark file. Files of datasets and the device are looked for here too, so that a machine
    that lacks them says so at once. Raises :class:`~mtlbench.errors.InputError` or
    :class:`~mtlbench.tasks.DatasetError`.
    """
    if stem is not None:
        config.read(Path(where))  # Snakemake's own reader lets a key stand twice
    benchmark = config.parse(content, where)
    if stem is not None and benchmark.name != stem:
        raise InputError(f"{where}: name is {benchmark.name!r} but must equal the file's stem, {stem!r}")
    if benchmark.device == "cuda" and not gpus():
        raise InputError(f"{where}: device is cuda, but no CUDA device is found here: use auto or cpu")
    cells = config.cells(benchmark)
    for cell in cells:
        config.check_plugins(cell)
    for dataset, entry in benchmark.datasets.items():
        tasks.get(dataset, **entry.parameters).check_files()
    return benchmark, cells


def canonical(content: object) -> str:
    """The configuration as one line that does not depend on the order or the layout of the file."""
    return json.dumps(content, sort_keys=True, ensure_ascii=False)


def keep_configuration(content: object, results: Path) -> None:
    """Keep the benchmark's whole configuration, and the versions that are installed, beside its results.

    Called once a run of the pipeline really starts.
    """
    # In the order of the file: a cell is named by its method's parameters as they stand there.
    write_json(results / "config.json", content)
    constraints.write(results)


def digest_of(value: str) -> str:
    """A short name for a long parameter."""
    return hashlib.sha256(value.encode()).hexdigest()


def marker(cell: Cell) -> str:
    """The file that says what a cell's runs are, relative to the results folder of its benchmark.

    It holds the digest of every ``run.json``: what is made from the runs is made again exactly when they change.
    """
    return f"logs/cells/{cell.folder}.json"


def reference(cell: Cell) -> list[str]:
    """The markers of the cells whose trials those of ``cell`` are measured against."""
    alone = cell.track != TUNED or cell.method == SINGLE_TASK
    return [] if alone else [marker(tuning.reference(cell))]


def attempt(cell: Cell, results: Path) -> int:
    """The number of the attempt that the cell is on: it grows while a run is missing, cut, stale, diverged or failed.

    Given to the rule as a parameter, it makes Snakemake take up again just the cells that are not done.
    """
    try:
        attempts = int(_attempts(cell, results).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 1
    return attempts + (not _all_done(cell, results))


def _attempts(cell: Cell, results: Path) -> Path:
    return results / "logs" / "attempts" / cell.folder


def _all_done(cell: Cell, results: Path) -> bool:
    if cell.track == TUNED:
        chosen = tuning.selected(cell, results)
        if chosen is None or tuning.failed(cell, results):
            return False
        cell = chosen
    here = runs.identity(cell)
    found = (runs.current(cell, seed, results / "runs" / cell.folder / f"seed-{seed}", here) for seed in cell.seeds)
    return all(record is not None and record["status"] == "done" for record in found)


def gpus() -> int:
    """How many GPUs torch can use here; counted without loading torch, so that the Snakefile stays quick."""
    if metadata.version("torch").endswith("+cpu"):
        return 0
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

    cell = step("cell", _cell, "folder")
    cell.add_argument("--attempt", type=int, default=1)
    cell.add_argument("--configuration", help="the digest of the cell that is meant")
    cell.add_argument("--died", metavar="STATUS", help="record that the cell's process ended with this status")
    step("problems", _problems)
    step("afterwards", _afterwards)
    step("judge", _judge, "algorithm")
    step("verdict", _verdict)
    step("timing", _timing)
    step("cost", _cost)
    step("check-verdict", _check_verdict)
    step("toy", _toy)
    step("cards", _cards)
    step("tables", _tables)
    step("report", _report)
    step("bundle", _bundle)


def _cell(options: argparse.Namespace) -> int:
    """Train every seed of one cell that is not done yet; a run that diverges or crashes is a result too."""
    from mtlbench.cli import restart_with_threads

    benchmark = config.load_resolved(options.results)
    restart_with_threads(benchmark.threads)
    cells = {cell.folder: cell for cell in config.cells(benchmark)}
    if options.folder not in cells:
        raise InputError(f"{options.results}/config.json has no cell {options.folder!r}")
    cell = cells[options.folder]
    if options.configuration not in (None, digest_of(cell.model_dump_json())):
        raise InputError(f"{options.results}/config.json was changed by another run of the pipeline: start again")
    from mtlbench.training.cell import record_death, run_cell

    def work(cell: Cell, folder: str) -> list[str]:
        if options.died is None:
            return run_cell(cell, options.results / folder, data_dir=None, progress=True)
        return record_death(
            cell, options.results / folder, f"the process ended with status {options.died} before the run did"
        )

    selection = {}
    if cell.track == TUNED:
        for trial in tuning.trial_cells(cell):
            work(trial, tuning.FOLDER)
        cell = tuning.select(cell, options.results)
        selection = {"selection": options.results / tuning.FOLDER / cell.folder / tuning.SELECTION}
    statuses = work(cell, "runs")
    write_atomically(_attempts(cell, options.results), f"{options.attempt}\n")
    records = {str(seed): options.results / "runs" / cell.folder / f"seed-{seed}" / runs.RUN for seed in cell.seeds}
    write_json(options.results / marker(cell), {name: digest(path) for name, path in (selection | records).items()})
    counts = (f"{statuses.count(status)} {status}" for status in ("done", "diverged", "failed") if status in statuses)
    print(f"{cell.dataset} {cell.label}: {', '.join(counts)}")
    return 0


def _problems(options: argparse.Namespace) -> int:
    """Draw the problem families, take up the recorded Gramians, and solve each with cvxpy for reference."""
    from mtlbench.cli import restart_with_threads
    from mtlbench.referee import problems

    restart_with_threads(1)
    settings = problems.Settings(**config.load_resolved(options.results).validate_solvers.model_dump())
    problems.build(options.results / "solvers", settings, recorded=options.results / "runs")
    return 0


def _afterwards(options: argparse.Namespace) -> int:
    """Solve the inner problems that the runs recorded once more, exactly, and compare."""
    from mtlbench.cli import restart_with_threads
    from mtlbench.referee import afterwards

    restart_with_threads(1)
    text = afterwards.compare(options.results).to_csv(index=False, lineterminator="\n")
    write_atomically(options.results / "solvers" / afterwards.FILE, text)
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
    from mtlbench.report import chapter

    path = options.results / "solvers" / "verdict.json"
    found = chapter.verdict(options.results)
    if found is None:
        raise CheckFailed(f"{path} is missing: run the pipeline's target validate")
    if found["passed"]:
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

    benchmark = config.load_resolved(options.results)
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


def _toy(options: argparse.Namespace) -> int:
    """Compute every method's paths through the toy problem of the report."""
    from mtlbench.cli import restart_with_threads
    from mtlbench.report import toy

    restart_with_threads(1)
    toy.keep(options.results)
    return 0


def _cards(options: argparse.Namespace) -> int:
    """Make the cards of the peers' implementations that are installed."""
    from mtlbench.cards import peers
    from mtlbench.cli import restart_with_threads
    from mtlbench.publication import manifest

    restart_with_threads(1)
    print(peers.write(options.results / "cards"))
    if (options.results / manifest.NAME).exists():
        manifest.write(options.results)
    return 0


def _tables(options: argparse.Namespace) -> int:
    """Write the leaderboard as csv, md, tex and html, and the table over all datasets."""
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
    from mtlbench.publication import bundle

    print(bundle.write(options.results))
    return 0
