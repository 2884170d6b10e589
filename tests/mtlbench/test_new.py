"""What ``mtlbench new`` writes works at once: listed, held to its contract, its test green. Wrong names are refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mtlbench import new
from mtlbench.errors import InputError

ROOT = Path(__file__).parents[2]
PARTS = ("mtlbench", "solvers", "tasks", "tests", "pyproject.toml", "docs")
NAME = "brand_new"
ROOMS = ("ball", "bargaining", "dual_cone", "min_norm")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout, its two links included."""
    leave = shutil.ignore_patterns("__pycache__", ".*")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, tmp_path / part, symlinks=True, ignore=leave)
        else:
            shutil.copy(ROOT / part, tmp_path / part)
    return tmp_path


def started(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in that checkout; plain, for compiling its solvers again would take longer than running them."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "NUMBA_DISABLE_JIT": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )


def test_all_that_is_written_is_listed_and_passes_its_tests_and_contracts(checkout):
    written = started(checkout, "-m", "mtlbench", "new", "method", NAME)
    assert written.returncode == 0, written.stderr
    assert str(checkout / "mtlbench" / "methods" / f"{NAME}.py") in written.stdout.splitlines()
    files = [*new.write("dataset", NAME, checkout)]
    for room in ROOMS:
        files += new.write("solver", f"{room}/{NAME}", checkout)
    assert all(file.is_file() for file in files)

    code = (
        "from mtlbench import catalogue\n"
        f"wanted = [('methods', '{NAME}'), ('datasets', '{NAME}'), *(('solvers', f'{{r}}/{NAME}') for r in {ROOMS})]\n"
        "for kind, name in wanted: assert name in catalogue.names(kind), name"
    )
    listed = started(checkout, "-c", code)
    assert listed.returncode == 0, listed.stderr

    own = [str(checkout / "tests" / "mtlbench" / f"test_methods_{NAME}.py")]
    own += [str(checkout / "tests" / "solvers" / f"test_{room}_{NAME}.py") for room in ROOMS]
    own += [str(checkout / "tests" / "tasks" / f"test_{NAME}.py")]
    contracts = ("mtlbench/test_methods_contract", "solvers/test_solver_contract", "tasks/test_dataset_contract")
    held = [str(checkout / "tests" / f"{contract}.py") for contract in contracts]
    ran = started(checkout, "-m", "pytest", "-q", "-x", "-k", NAME, "-p", "no:cacheprovider", *own, *held)
    assert ran.returncode == 0, ran.stdout
    summary = ran.stdout.splitlines()[-1]
    assert "passed" in summary
    assert "skipped" not in summary


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("metod", "mine", "unknown kind 'metod': did you mean 'method'?"),
        ("method", "Mine", "a name is a lower-case Python name such as my_method"),
        ("method", "../mine", "a method has no room"),
        ("method", "_mine", "a lower-case Python name"),
        ("method", "lambda", "a lower-case Python name"),
        ("method", "", "a lower-case Python name"),
        ("method", "mgda", "mgda.py exists already"),
        ("method", "method", "method.py exists already"),
        ("dataset", "multi_digits", "multi_digits.py exists already"),
        ("dataset", "metrics", "metrics.py exists already"),
        ("solver", "mine", "write it as ROOM/NAME, the room being one of ball, bargaining, dual_cone, min_norm"),
        ("solver", "min_nrom/mine", "unknown room 'min_nrom': did you mean 'min_norm'?"),
        ("solver", "min_norm/problem", "problem.py exists already"),
    ],
)
def test_what_cannot_be_written_is_said_and_nothing_is(kind, name, words, tmp_path):
    before = sorted(ROOT.rglob("*mine*.py"))
    with pytest.raises(InputError) as error:
        new.write(kind, name)
    assert words in str(error.value)
    assert sorted(ROOT.rglob("*mine*.py")) == before


def test_there_is_a_template_for_every_room():
    from mtlbench import solvers

    rooms = {path.parent.name for path in Path(solvers.__file__).parent.glob("*/problem.py")}
    assert rooms == set(ROOMS)
    assert {path.name.partition(".")[0] for path in (new.TEMPLATES / "solver").iterdir()} == rooms


def test_a_test_of_that_name_is_not_overwritten(tmp_path):
    taken = tmp_path / "tests" / "mtlbench" / "test_methods_mine.py"
    taken.parent.mkdir(parents=True)
    taken.write_text("# mine\n")
    with pytest.raises(InputError, match=r"test_methods_mine\.py exists already"):
        new.write("method", "mine", tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [taken]


def test_outside_a_checkout_there_is_nowhere_to_write(monkeypatch, tmp_path):
    monkeypatch.setattr(new, "__file__", str(tmp_path / "site-packages" / "mtlbench" / "new" / "__init__.py"))
    with pytest.raises(InputError, match="which is no checkout of it: clone the repository"):
        new.write("method", "mine")
