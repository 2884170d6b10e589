"""The command line: ``mtlbench list | train | validate | check | new | leaderboard | report | data | gramians``,
its steps, and ``plan | verify | compare | reproduce``.

Wrong input ends in one sentence on standard error and exit status 2, a failed check in 1. Heavy libraries are
imported by the command that needs them, so ``mtlbench list`` answers at once.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from mtlbench.errors import CheckFailed, InputError, unknown_name

LISTED = ("methods", "datasets", "architectures", "solvers")

_formatted = warnings.formatwarning

# Read by the numerical libraries when they are loaded, hence set before the interpreter starts.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class _Parser(argparse.ArgumentParser):
    """Answers wrong arguments with one sentence, the nearest valid word in it, in place of a page of usage."""

    def error(self, message: str) -> NoReturn:
        found = re.fullmatch(r"argument (\S+): invalid choice: '(.*)' \(choose from (.*)\)", message)
        if found:
            argument, given, valid = found.groups()
            words = [word.strip(" '") for word in valid.split(",") if word.strip(" '") != "step"]
            message = str(unknown_name(argument.lower(), given, words))
        self.exit(2, f"mtlbench: {message} (see {self.prog} --help)\n")


def main() -> NoReturn:
    """Run one command and leave with its exit status: 0 done, 1 a check failed, 2 the input is wrong."""
    options = _parser().parse_args()
    warnings.formatwarning = _warning
    try:
        sys.exit(options.run(options))
    except BrokenPipeError:
        # The reader (head, less) has left: nothing more to say, and nothing went wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        print("mtlbench: interrupted; the same command goes on where it stopped", file=sys.stderr)
        sys.exit(130)
    except ValueError as error:
        if not isinstance(error, _input_errors()):
            raise
        print(f"mtlbench: {error}", file=sys.stderr)
        sys.exit(1 if isinstance(error, CheckFailed) else 2)


def _warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    from mtlbench.plugins import NameTaken

    if issubclass(category, NameTaken):
        return f"mtlbench: {message}\n"
    return _formatted(message, category, filename, lineno, line)


def _input_errors() -> tuple[type[ValueError], ...]:
    from mtlbench.solvers import InvalidGramian
    from mtlbench.tasks import DatasetError

    return InputError, DatasetError, InvalidGramian


def _parser() -> argparse.ArgumentParser:
    from mtlbench import new, pipeline
    from mtlbench.cards import command as cards
    from mtlbench.download import command as data
    from mtlbench.gramians import commands as gramians
    from mtlbench.publication import command as publication
    from mtlbench.referee import command as validation

    parser = _Parser(prog="mtlbench", description="The reproducible benchmark suite for multi-task learning.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run)
        return sub

    sub = command("list", _list, "Name the methods, datasets, architectures or solvers that are there.")
    sub.add_argument("kind", metavar="|".join(LISTED))
    form = sub.add_mutually_exclusive_group()
    form.add_argument("--plain", action="store_true", help="one name a line")
    form.add_argument("--json", action="store_true", help="everything that is declared, as JSON")
    form.add_argument("--markdown", action="store_true", help="of methods: the page docs/methods.md")

    sub = command("train", _train, "Train one cell as the pipeline does; DIR/run.json holds the result.")
    _add_train_options(sub)

    sub = command("validate", _validate, validation.DESCRIPTION)
    validation.add_options(sub, _positive, _non_negative)

    sub = command("check", _check, cards.DESCRIPTION)
    cards.add_options(sub, _positive, _non_negative)

    sub = command("new", _new, "Write a method, solver or dataset that works, and its test, into this checkout.")
    sub.add_argument("kind", metavar="|".join(new.KINDS))
    sub.add_argument("name", metavar="NAME", help="of a solver ROOM/NAME")

    sub = command("leaderboard", _leaderboard, "Write the leaderboard of a results folder again.")
    sub.add_argument("results", type=Path, metavar="RESULTS")
    publication.add_foreign(sub)
    sub = command("report", _report, "Write the plots and the report of a results folder again.")
    sub.add_argument("results", type=Path, metavar="RESULTS")
    sub.add_argument("--bundle", action="store_true", help="also write the publication archive")

    publication.add_commands(command, _positive)
    text = "List, find, fetch or check the files of the datasets."
    data.add_commands(commands.add_parser("data", help=text, description=text), _assignments)

    text = "List, record or check the collected Gramians."
    gramians.add_commands(commands.add_parser("gramians", help=text, description=text))

    pipeline.add_steps(commands.add_parser("step", description="The steps that the pipeline's rules call."))
    return parser


def _add_train_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("dataset", metavar="DATASET")
    sub.add_argument("method", metavar="METHOD")
    sub.add_argument("--seed", type=_non_negative, default=0)
    sub.add_argument("--epochs", type=_positive, help="instead of the dataset's protocol")
    sub.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    sub.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32")
    sub.add_argument("--architecture", default="hard_sharing")
    text = "a parameter of the architecture"
    sub.add_argument("--architecture-parameter", action="append", default=[], metavar="KEY=VALUE", help=text)
    sub.add_argument("--threads", type=_positive, choices=range(1, 1025), metavar="N", default=1)
    sub.add_argument("--learning-rate", type=float, help="instead of the dataset's protocol")
    sub.add_argument("--step-size-adapter", type=float, default=0.0, metavar="RATE", help="adapt the step size; 0: no")
    sub.add_argument("--audit-interval", type=_non_negative, default=100, help="steps between audits; 0: none")
    sub.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="an option of the method")
    sub.add_argument("--parameter", action="append", default=[], metavar="KEY=VALUE", help="a parameter of the dataset")
    sub.add_argument("--out", type=Path, metavar="DIR", help="default: results/train/DATASET/METHOD/seed-N")
    sub.add_argument("--data-dir", type=Path, metavar="DIR", help="default: $MTLBENCH_DATA, else ./data")


def _list(options: argparse.Namespace) -> int:
    from mtlbench import catalogue

    if options.kind not in LISTED:
        raise unknown_name("list", options.kind, LISTED)
    if options.markdown:
        if options.kind != "methods":
            raise InputError(f"--markdown is for methods, not for {options.kind}: use --json")
        print(catalogue.methods_page(), end="")
    elif options.json:
        print(json.dumps(catalogue.describe(options.kind), indent=1, ensure_ascii=False))
    elif options.plain:
        print("\n".join(catalogue.names(options.kind)))
    else:
        entries = catalogue.describe(options.kind)
        width = max(len(entry["name"]) for entry in entries)
        print("\n".join(f"{entry['name']:<{width}}  {entry['summary']}" for entry in entries))
    return 0


def _train(options: argparse.Namespace) -> int:
    from mtlbench import config

    restart_with_threads(options.threads)
    cell = config.single_cell(
        options.dataset,
        options.method,
        architecture=options.architecture,
        architecture_parameters=_assignments(options.architecture_parameter, "--architecture-parameter"),
        dataset_parameters=_assignments(options.parameter, "--parameter"),
        method_parameters=_assignments(options.option, "--option"),
        seeds=(options.seed,),
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        step_size_adapter=options.step_size_adapter,
        audit_interval=options.audit_interval,
        device=options.device,
        precision=options.precision,
        threads=options.threads,
    )
    from mtlbench.training.cell import run_seed

    dataset, *_, label = Path(cell.folder).parts
    default = Path("results/train") / dataset / label / f"seed-{options.seed}"
    out = options.out or default
    record = run_seed(cell, options.seed, out, data_dir=options.data_dir, progress=True)
    for task, metrics in record["test"].items():
        print(f"{task}: " + ", ".join(f"test {metric} {value:.4g}" for metric, value in metrics.items()))
    print(f"{record['status']}{': ' + record['reason'] if record['reason'] else ''} ({out / 'run.json'})")
    return 0 if record["status"] == "done" else 1


def _validate(options: argparse.Namespace) -> int:
    from mtlbench.referee import command as validation

    restart_with_threads(1)
    return validation.run(options)


def _check(options: argparse.Namespace) -> int:
    from mtlbench.cards import command as cards

    restart_with_threads(1)
    return cards.run(options, _assignments)


def _new(options: argparse.Namespace) -> int:
    from mtlbench import new

    written = new.write(options.kind, options.name)
    print(*written, sep="\n")
    print(f"change it, and see whether it keeps its contract: pytest {written[-1].parent} -k {written[0].stem}")
    return 0


def _leaderboard(options: argparse.Namespace) -> int:
    from mtlbench.publication import command, manifest
    from mtlbench.report import leaderboard

    if options.tables:
        return command.beside(options)
    if options.out:
        raise InputError("--out is where the leaderboard with foreign tables goes: it needs --with TABLE.csv")
    results = existing(options.results)
    for path in leaderboard.write(results):
        print(path)
    if (results / "manifest.json").exists():
        manifest.write(results)
    return 0


def _report(options: argparse.Namespace) -> int:
    from mtlbench.publication import bundle
    from mtlbench.report import build, leaderboard

    results = existing(options.results)
    leaderboard.write(results)
    build.write(results)
    print(results / "report.html")
    if options.bundle:
        print(bundle.write(results))
    return 0


def existing(results: Path) -> Path:
    """``results`` if it is a folder with runs in it, else the sentence that says so."""
    if not results.is_dir():
        raise InputError(f"the results folder {results} does not exist")
    if not (results / "runs").is_dir():
        raise InputError(f"{results} holds no runs/: give the folder of one benchmark, such as results/quick")
    return results


def fixed_environment(threads: int) -> dict[str, str]:
    """What has to stand in the environment before the interpreter starts, for the same bytes every time.

    Float sums depend on the number of threads, and the numerical libraries read it when they are loaded.
    """
    return dict.fromkeys(_THREAD_VARIABLES, str(threads)) | {
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "PYTHONHASHSEED": "0",
    }


def restart_with_threads(threads: int) -> None:
    """Start this very command again in the :func:`fixed_environment` of ``threads``, unless it runs there already."""
    wanted = fixed_environment(threads)
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, "-P", "-m", "mtlbench", *sys.argv[1:]], os.environ | wanted)


def _assignments(pairs: list[str], flag: str) -> dict[str, Any]:
    import yaml

    from mtlbench import config

    values = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise InputError(f"{flag} {pair!r}: write it as KEY=VALUE, such as solver=frank_wolfe")
        try:
            values[key] = config.numbers(yaml.safe_load(value))
        except yaml.YAMLError:
            raise InputError(f"{flag} {pair!r}: the value is not valid YAML") from None
    return values


def _positive(text: str) -> int:
    value = _non_negative(text)
    if value == 0:
        raise argparse.ArgumentTypeError("must be at least 1, got 0")
    return value


def _non_negative(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number that is not negative, got {text!r}")
    return int(text)
