"""All files of a dataset: which are missing, from which address they come, and what to do where none answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import pooch
from filelock import FileLock
from requests.exceptions import RequestException

from mtlbench.download import unpack
from mtlbench.download.transfer import Resuming, reason
from mtlbench.errors import CheckFailed, InputError
from mtlbench.tasks import DatasetError, MultiTaskDataset, Source, SourceFile, data_directory, files

Show = Callable[[int, int | None], None]
Progress = Callable[[str], AbstractContextManager[Show]]


class _WrongFile(Exception):
    """What arrived has not the sha256 of the file."""


def folder_of(dataset: MultiTaskDataset, data_dir: Path | None) -> Path:
    """The folder of the dataset's files."""
    return (data_directory(data_dir) / dataset.source.folder).absolute()


def fetch(dataset: MultiTaskDataset, data_dir: Path | None, seconds: float, progress: Progress) -> dict[Path, bool]:
    """Get every file that is missing or not the right one; which are there now, and whether each is new.

    Raises :class:`~mtlbench.errors.CheckFailed` where an address gave the wrong file,
    :class:`~mtlbench.errors.InputError` where none answered; both say what to put where by hand.
    """
    pooch.get_logger().setLevel(logging.WARNING)
    source, folder = dataset.source, folder_of(dataset, data_dir)
    found = {folder / file.name: _wrong(source, file, folder) for file in source.files}
    if not any(found.values()) and not any(file.unpack for file in source.files):
        return found  # the folder may be one that nobody may write to
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            for file in source.files:
                if _wrong(source, file, folder):  # still: another process may have fetched it meanwhile
                    _fetch(source, file, folder, seconds, progress)
                if file.unpack:
                    unpack.unpack(folder / file.name, (folder / file.name).parent, file.unpack)
            for archive in {_archive(url, folder) for file in source.files if file.member for url in _addresses(file)}:
                archive.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}") from None
    return found


def _fetch(source: Source, file: SourceFile, folder: Path, seconds: float, progress: Progress) -> None:
    path, failures, wrong = folder / file.name, [], False
    for url in _addresses(file):
        try:
            with progress(file.name) as show:
                if file.member:
                    _from_archive(file, url, path, folder, seconds, show)
                else:
                    _retrieve(url, file.sha256, path, file.bytes, seconds, show)
            return
        except RequestException as error:
            failures.append(f"{url} {reason(error)}")
        except DatasetError as error:
            failures.append(f"{url} holds no archive of it: {error}")
        except _WrongFile as error:
            wrong = True
            failures.append(f"{url} {error}")
    missing = [file for file in source.files if _wrong(source, file, folder)]
    listed = ", ".join(f"{f.name} ({f.bytes} bytes, sha256 {f.sha256}, {f.url})" for f in missing)
    kind = CheckFailed if wrong else InputError
    raise kind(
        f"{file.name} could not be fetched: {'; '.join(failures)}; try again, or put the files of {source.home} into "
        f"{folder} by hand: {listed}"
    )


def _retrieve(url: str, sha256: str | None, path: Path, size: int | None, seconds: float, show: Show) -> None:
    part = path.with_name(f".{path.name}.part")
    resumed = part.exists() and part.stat().st_size > 0
    path.parent.mkdir(parents=True, exist_ok=True)
    downloader = Resuming(part, size, seconds, show)
    try:
        pooch.retrieve(url, sha256 and f"sha256:{sha256}", fname=path.name, path=path.parent, downloader=downloader)
    except RequestException:
        raise
    except ValueError:
        if not resumed:
            raise _WrongFile(f"holds another file, whose sha256 is not {sha256}") from None
        # What lay here from before may have been the fault; it is gone now.
        _retrieve(url, sha256, path, size, seconds, show)


def _from_archive(file: SourceFile, url: str, path: Path, folder: Path, seconds: float, show: Show) -> None:
    """The member of the archive at ``url``, which stays until all of the dataset's files have come out of it."""
    archive, unchecked = _archive(url, folder), path.with_name(f".{path.name}.unchecked")
    _retrieve(url, None, archive, None, seconds, show)
    try:
        unpack.extract(archive, file.member, unchecked, file.bytes)
        found = files.problem(file, unchecked, url)
        if found:
            raise _WrongFile(f"holds another {file.member}: it {found}")
        unchecked.replace(path)
    except BaseException:
        archive.unlink(missing_ok=True)
        raise
    finally:
        unchecked.unlink(missing_ok=True)


def _wrong(source: Source, file: SourceFile, folder: Path) -> bool:
    return files.problem(file, folder / file.name, source.home) is not None


def _addresses(file: SourceFile) -> tuple[str, ...]:
    return (file.url, *file.mirrors)


def _archive(url: str, folder: Path) -> Path:
    return folder / f".{PurePosixPath(urlsplit(url).path).name or 'archive'}.fetched"
