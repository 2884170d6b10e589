"""Jobs beside each other: the same files on any number of cores, and an error as the job raised it."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from mtlbench.errors import CheckFailed, InputError
from mtlbench.report import parallel, style


def _write(folder: Path, name: str) -> None:
    (folder / name).write_text(str(os.getpid()))


def _fail(kind: type[Exception], message: str) -> None:
    raise kind(message)


def _figure(slope: float) -> Figure:
    figure, (ax,) = style.grid(1, 1, 2, 2)
    ax.plot([0, 1], [0, slope], label="line")
    ax.set_title("a title")
    figure.legend(loc="outside lower center")
    return figure


def test_every_job_is_done_in_processes_of_its_own_or_in_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cores in (1, 3):
        monkeypatch.setattr(parallel, "cores", lambda cores=cores: cores)
        folder = tmp_path / str(cores)
        folder.mkdir()
        parallel.run([partial(_write, folder, str(index)) for index in range(7)])
        written = {path.name: path.read_text() for path in folder.iterdir()}
        assert set(written) == set("0123456")
        assert (str(os.getpid()) in written.values()) == (cores == 1)
    parallel.run([])


@pytest.mark.parametrize("cores", [1, 2])
def test_the_first_job_that_fails_says_so_in_its_own_words(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "cores", lambda: cores)
    jobs = [partial(_fail, CheckFailed, "a.csv: its digest differs"), partial(_fail, InputError, "b.csv is cut")]
    with pytest.raises(CheckFailed, match=r"^a\.csv: its digest differs$"):
        parallel.run(jobs)
    with pytest.raises(InputError, match=r"^b\.csv is cut$"):
        parallel.run(jobs[::-1])


def test_pictures_have_the_same_bytes_on_any_number_of_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    for cores in (1, 2):
        monkeypatch.setattr(parallel, "cores", lambda cores=cores: cores)
        folder = tmp_path / str(cores)
        parallel.run([partial(style.picture, folder, f"line-{slope}", _figure, slope) for slope in (1.0, 2.0)])
        drawn.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert drawn[0] == drawn[1]
    assert set(drawn[0]) == {f"line-{slope}.{kind}" for slope in (1.0, 2.0) for kind in style.FORMATS}
