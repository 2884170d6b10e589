"""The solver that docs/add-a-solver.md writes down works as it stands, and the referee passes it."""

import re
import sys
import types
from pathlib import Path

import pytest

from mtlbench.referee import validate
from mtlbench.referee.families import FAMILIES
from mtlbench.referee.problems import COLLECTION, RECORDED, Settings
from mtlbench.solvers import min_norm

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def documented(monkeypatch):
    text = (DOCS / "add-a-solver.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    module = types.ModuleType(f"{min_norm.__name__}.projected_gradient")
    module.__package__ = min_norm.__name__
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, "add-a-solver.md", "exec"), module.__dict__)
    record = module.ALGORITHM
    monkeypatch.setattr(min_norm, "_ALGORITHMS", {**min_norm._ALGORITHMS, record.name: record})
    monkeypatch.setattr(min_norm, "ALGORITHMS", (*min_norm.ALGORITHMS, record.name))
    return record


def test_the_documented_solver_keeps_its_promises(documented, tmp_path):
    settings = Settings(sizes=(1, 2, 5, 16), per_size=2, iterations=100)
    result = validate.validate(tmp_path, settings, algorithms=[documented.name])
    assert result.passed, result.sentence()
    checked = {entry["promise"] for entry in result.algorithms[documented.name]["promises"]}
    assert {"theory bound", "monotone decrease", "reach of relative gap 0.01"} <= checked


def test_validate_md_names_every_family():
    text = (DOCS / "validate.md").read_text(encoding="utf-8")
    assert all(f"| `{family}` |" in text for family in (*FAMILIES, COLLECTION, RECORDED))


def test_validate_md_names_every_promise_that_is_checked(tmp_path):
    text = (DOCS / "validate.md").read_text(encoding="utf-8")
    settings = Settings(sizes=(3,), per_size=1, iterations=20)
    result = validate.validate(tmp_path, settings)
    for judged in result.algorithms.values():
        for entry in judged["promises"]:
            name = re.sub(r"reach of relative gap .*", "reach of relative gap", entry["promise"])
            assert f"| {name} " in text, entry["promise"]
