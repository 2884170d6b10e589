"""A method's file reaches its own cells only; the core reaches every cell."""

from __future__ import annotations

from mtlbench.sections import Cell
from mtlbench.sources import cell_sources, code_digest, module_closure


def _cell(method: str, **parameters: str) -> Cell:
    return Cell(benchmark="b", dataset="multi_digits", method=method, method_parameters=parameters, seeds=(0,))


def _names(cell: Cell) -> set[str]:
    return {f"{path.parent.name}/{path.name}" for path in cell_sources(cell)}


def test_a_cell_depends_on_its_own_plug_ins_and_the_core():
    names = _names(_cell("mgda", solver="frank_wolfe"))
    assert {"methods/mgda.py", "tasks/multi_digits.py", "min_norm/frank_wolfe.py"} <= names
    assert {"training/loop.py", "mtlbench/gradients.py", "architectures/hard_sharing.py"} <= names
    assert not {"methods/equal.py", "tasks/multimnist.py", "min_norm/exact.py"} & names


def test_the_default_solver_counts_as_a_source():
    assert "min_norm/active_set.py" in _names(_cell("mgda"))


def test_training_does_not_depend_on_report_or_command_line():
    folders = {path.parent.name for path in cell_sources(_cell("equal"))}
    assert not {"report", "analysis", "referee"} & folders
    assert "mtlbench/cli.py" not in _names(_cell("equal"))


def test_digests_tell_methods_apart_and_repeat():
    assert code_digest(_cell("mgda")) == code_digest(_cell("mgda"))
    assert code_digest(_cell("mgda")) != code_digest(_cell("equal"))


def test_relative_imports_are_followed():
    files = {path.name for path in module_closure("mtlbench.solvers.min_norm")}
    assert {"gramian.py", "solution.py", "problem.py"} <= files


def test_the_templates_of_the_report_count_as_its_sources():
    assert "report.html.j2" in {path.name for path in module_closure("mtlbench.report.build")}


def test_a_method_depends_on_the_solver_that_it_uses_and_on_no_other_room():
    assert "dual_cone/greedy.py" in _names(_cell("greedy_primary_auxiliary"))
    assert "bargaining/newton.py" in _names(_cell("nash_mtl"))
    assert not {"ball/reduction.py", "bargaining/newton.py", "dual_cone/active_set.py"} & _names(_cell("equal"))
