"""``mtlbench data list | path | fetch | check``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from mtlbench import tasks
from mtlbench.errors import CheckFailed, InputError
from mtlbench.tasks import MultiTaskDataset

Assignments = Callable[[list[str], str], dict[str, Any]]


def add_commands(parser: argparse.ArgumentParser, assignments: Assignments) -> None:
    """Declare the commands as subcommands of ``mtlbench data``; ``assignments`` reads KEY=VALUE options."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(run=run, assignments=assignments)
        sub.add_argument("--data-dir", type=Path, metavar="DIR", help="default: $MTLBENCH_DATA, else ./data")
        return sub

    sub = command("list", _list, "Say of every dataset which files it needs, whether they are there, and the licence.")
    form = sub.add_mutually_exclusive_group()
    form.add_argument("--plain", action="store_true", help="name, state, bytes and licence of one dataset a line")
    form.add_argument("--json", action="store_true", help="everything, file by file, as JSON")
    for sub in (
        command("path", _path, "Print the folder of a dataset's files, whether it is there or not."),
        command("fetch", _fetch, "Download the files of a dataset that are missing or damaged."),
        command("check", _check, "Check the files of a dataset by size and sha256; exit status 1 if one is not right."),
    ):
        sub.add_argument("dataset", metavar="NAME")
        sub.add_argument("--parameter", action="append", default=[], metavar="KEY=VALUE", help="of the dataset")
    sub = commands.choices["fetch"]
    sub.add_argument("--timeout", type=_seconds, default=30.0, metavar="SECONDS", help="of silence; default: 30")


def describe(name: str, data_dir: Path | None) -> dict[str, Any]:
    """What ``mtlbench data list`` knows of a dataset; files count as present by their size, none is read."""
    dataset = tasks.get(name)
    source, folder = dataset.source, _folder(dataset, data_dir)
    listed = [
        {"name": f.name, "bytes": f.bytes, "sha256": f.sha256, "url": f.url, "state": _state(folder / f.name, f.bytes)}
        for f in source.files
    ]
    listed += [
        {"name": name, "bytes": None, "sha256": None, "url": None, "state": _state(folder / name, None)}
        for name in source.layout
    ]
    absent = sum(file["state"] != "present" for file in listed)
    return {
        "name": name,
        "state": "none needed" if not listed else f"{absent} of {len(listed)} missing" if absent else "present",
        "bytes": sum(f.bytes for f in source.files),
        "licence": source.licence,
        "home": source.home,
        "citation": source.citation,
        "folder": str(folder) if listed else None,
        "files": listed,
    }


def _state(path: Path, size: int | None) -> str:
    if not path.exists():
        return "missing"
    return "present" if size in (None, path.stat().st_size) else "wrong size"


def _list(options: argparse.Namespace) -> int:
    entries = [describe(name, options.data_dir) for name in tasks.names()]
    if options.json:
        print(json.dumps(entries, indent=1, ensure_ascii=False))
        return 0
    if options.plain:
        for entry in entries:
            print(entry["name"], entry["state"], entry["bytes"], entry["licence"], sep="\t")
        return 0
    rows = [(entry["name"], entry["state"], decimal(entry["bytes"]), entry["licence"]) for entry in entries]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, entry in zip(rows, entries, strict=True):
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
        for file in entry["files"]:
            size = "" if file["bytes"] is None else decimal(file["bytes"])
            print(f"    {file['state']:<10}  {size:>8}  {entry['folder']}/{file['name']}")
    return 0


def _path(options: argparse.Namespace) -> int:
    dataset = _dataset(options)
    if not (dataset.source.files or dataset.source.layout):
        raise InputError(f"{dataset.name} needs no files and has no folder")
    print(_folder(dataset, options.data_dir))
    return 0


def _fetch(options: argparse.Namespace) -> int:
    dataset = _dataset(options)
    source = dataset.source
    print(f"{dataset.name}: {source.home}\nlicence: {source.licence}\nplease cite: {source.citation}")
    if not source.files:
        from mtlbench.tasks import files

        # Files that no address gives to everybody are there already, or the sentence says what to put where.
        for path in files.locate(source, _folder(dataset, options.data_dir)).values():
            print(f"{path} (there already)")
        if not source.layout:
            print("no files are needed")
        return 0
    from mtlbench.download.fetch import fetch

    for path, new in fetch(dataset, options.data_dir, options.timeout, _progress).items():
        print(f"{path} ({'fetched' if new else 'there already'})")
    return 0


def _check(options: argparse.Namespace) -> int:
    from mtlbench.tasks import files

    dataset = _dataset(options)
    folder, wrong = _folder(dataset, options.data_dir), []
    for file in dataset.source.files:
        found = files.problem(file, folder / file.name, dataset.source.home)
        print(f"{folder / file.name} {found or 'is right'}")
        wrong += [file.name] if found else []
    for name in dataset.source.layout:
        there = (folder / name).exists()
        print(f"{folder / name} {'is there; what it holds is checked when it is read' if there else 'is missing'}")
        wrong += [] if there else [name]
    needed = len(dataset.source.files) + len(dataset.source.layout)
    if wrong:
        by_hand = f"put the files of {dataset.source.home} into {folder}"
        get = by_hand if dataset.source.layout else f"`mtlbench data fetch {dataset.name}` gets them"
        raise CheckFailed(f"{dataset.name}: {len(wrong)} of {needed} files are not right ({', '.join(wrong)}): {get}")
    if not needed:
        print(f"{dataset.name} needs no files")
    return 0


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _dataset(options: argparse.Namespace) -> MultiTaskDataset:
    return tasks.get(options.dataset, **options.assignments(options.parameter, "--parameter"))


def _folder(dataset: MultiTaskDataset, data_dir: Path | None) -> Path:
    return (tasks.data_directory(data_dir) / dataset.source.folder).absolute()


def _seconds(text: str) -> float:
    value = float(text) if text.replace(".", "", 1).isdecimal() else 0.0
    if not value > 0:
        raise argparse.ArgumentTypeError(f"must be a positive number of seconds, got {text!r}")
    return value
