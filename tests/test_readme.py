"""What README and docs promise is true: the example runs, the links lead somewhere, the names exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READMES = [ROOT / folder / "README.md" for folder in (".", "mtlbench/gramians", "results/published")]
# What the pages have their reader write, and a file of the results.
WRITTEN = {
    *("tasks/heating.py", "mtlbench/methods/inverse_loss.py", "tests/mtlbench/test_methods_inverse_loss.py"),
    *("mtlbench/architectures/task_layers.py", "solvers/inner_weights.csv"),
}
PAGES = sorted([*READMES, *(ROOT / "docs").glob("*.md")])


def _python_blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_backward_example_runs_as_it_stands(tmp_path):
    (example,) = _python_blocks(ROOT / "README.md")
    check = "\nassert all(p.grad is not None for p in parameters)\nassert method.solution.converged\n"
    done = subprocess.run(
        [sys.executable, "-c", example + check], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_between_files_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_both_commands_start_from_nothing_but_python():
    commands = re.findall(r"^    (python3 -m venv .*)$", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    assert len(commands) == 2
    assert commands[0].endswith("snakemake --cores all")
    assert ".venv/bin/pytest" in commands[1]


def test_the_links_that_make_solvers_and_tasks_importable_are_relative():
    for room in ("solvers", "tasks"):
        link = ROOT / "mtlbench" / room
        assert link.is_symlink()
        assert str(link.readlink()) == f"../{room}"


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_every_path_into_the_project_exists(page):
    rooms = "|".join(path.name for path in ROOT.iterdir() if path.is_dir() and path.name not in ("results", "data"))
    for path in re.findall(rf"`((?:{rooms})/[\w./-]+)`", page.read_text(encoding="utf-8")):
        assert (ROOT / path).exists() or path in WRITTEN or "NAME" in path, f"{page.name} names {path}"
