"""docs/methods.md is what the methods declare."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mtlbench import catalogue, cli, methods
from mtlbench.errors import InputError
from mtlbench.methods import Method

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_what_the_methods_declare():
    committed = (DOCS / "methods.md").read_text(encoding="utf-8")
    assert committed == catalogue.methods_page(), (
        "a method's declarations have changed: mtlbench list methods --markdown > docs/methods.md"
    )


def test_every_method_stands_in_each_table_once():
    page = catalogue.methods_page()
    for name in methods.built_in():
        assert len(re.findall(rf"^\| `{name}` \|", page, flags=re.MULTILINE)) == 3 + len(methods.get(name).search)
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.count(" | ") for line in rows if line.startswith("| `mgda` | gramian")} == {9}
    (mgda,) = [line for line in rows if line.startswith("| `mgda` | gramian")]
    assert mgda == "| `mgda` | gramian | K | 1 | yes | c^0 | none | yes | direction | min_norm |"


@pytest.mark.parametrize(
    ("cost", "formula"),
    [(lambda k: 1, "1"), (lambda k: k, "K"), (lambda k: 3 * k, "3K"), (lambda k: k + 1, "K + 1"), (lambda k: 2, "2")],
)
def test_the_cost_is_a_formula_in_the_number_of_tasks(cost, formula):
    method = type("Costly", (Method,), {"cost": lambda self, tasks: cost(tasks), "weights": None})
    method.__abstractmethods__ = frozenset()
    assert catalogue._passes(object.__new__(method)) == formula


def test_a_bar_in_a_cell_is_escaped():
    assert catalogue.table(("a", "b"), [("|x|", 1)]) == "| a | b |\n| --- | --- |\n| \\|x\\| | 1 |"


def test_only_methods_have_a_page(capsys):
    parser = cli._parser()
    options = parser.parse_args(["list", "methods", "--markdown"])
    assert options.run(options) == 0
    assert capsys.readouterr().out == catalogue.methods_page()
    options = parser.parse_args(["list", "solvers", "--markdown"])
    with pytest.raises(InputError, match="--markdown is for methods, not for solvers"):
        options.run(options)
