"""The parts of the report's pages: columns, bars, formulas, addresses, pictures of sixty methods, and trials."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up import build_results, trials

from mtlbench import methods
from mtlbench.analysis import budget, load
from mtlbench.analysis.leaderboard import leaderboard, metrics
from mtlbench.arena import Arena
from mtlbench.methods.method import Method
from mtlbench.report import appendix, bars, formula, pages, plots, style, summary, tables
from mtlbench.report.columns import Column, Entry, entries, interval, present
from mtlbench.report.trials import edges, of_label

pytestmark = pytest.mark.xdist_group("report")


class TestTrials:
    def test_the_expected_best_is_the_mean_over_all_orders(self) -> None:
        scores = np.random.default_rng(0).normal(size=6)
        orders = np.array(list(itertools.permutations(scores)))
        expected = np.minimum.accumulate(orders, axis=1).mean(axis=0)
        np.testing.assert_allclose(budget.expected_best(scores), expected, rtol=1e-12)

    def test_a_trial_without_an_end_counts_as_the_worst_of_all(self) -> None:
        rows = [("a", "done", 1.0), ("a", "diverged", np.nan), ("b", "done", 9.0), ("c", "failed", np.nan)]
        found = budget.curves(pd.DataFrame(rows, columns=["label", "status", "score"]))
        assert found["label"].tolist() == ["a", "a", "b"]
        assert found["score"].tolist() == [5.0, 1.0, 9.0]

    def test_the_reference_has_a_scale_of_its_own(self) -> None:
        rows = [("a", "done", 1.0), ("a", "diverged", np.nan), ("b", "done", 2.0), ("single_task", "done", 900.0)]
        found = budget.curves(pd.DataFrame(rows, columns=["label", "status", "score"]))
        assert found["label"].tolist() == ["a", "a", "b"]
        assert found["score"].tolist() == [1.5, 1.0, 2.0]
        tried = pd.DataFrame(columns=load.TRIAL_COLUMNS)
        own, others = ({column.title for column in of_label(label, tried).columns} for label in ("single_task", "a"))
        assert own ^ others == {"against the median of its trials", "validation Δm"}
        assert "validation Δm" in others

    def test_the_edge_is_told_in_the_table_and_in_words(self, tmp_path: Path) -> None:
        folder = build_results(tmp_path / "r", {"single_task": 0.0, "equal": 0.05, "mgda": -0.04}, seeds=(0, 1))
        table, found = load.runs(folder), edges(trials(folder))
        board = leaderboard(table)
        arena = Arena("digits", "hard_sharing")
        assert found[arena] == {"mgda": "learning_rate low"}
        digits, _ = tables.tables(table, tables.with_costs(board, tables.costs(folder)), found)
        assert [row[0].text for row in digits.rows] == ["single_task", "mgda ⇥", "equal"]
        said = dict(summary.sentences(table, tables.with_costs(board, tables.costs(folder)), found))[arena]
        assert any("at the edge of the range searched" in line and "mgda (learning_rate low)" in line for line in said)
        assert any("a step takes 1.5 times as long as with equal weighting" in line for line in said)


class TestColumns:
    def test_a_column_is_shown_where_its_numbers_are_and_its_best_is_marked(self) -> None:
        rows = [
            {"label": "single_task", "method": "single_task", "done": 2, "runs": 2, "score": 0.1},
            {"label": "a", "method": "a", "done": 2, "runs": 2, "score": 0.5},
            {"label": "b", "method": "b", "done": 2, "runs": 2, "score": 0.4},
            {"label": "c", "method": "c", "done": 1, "runs": 2, "score": 0.2},
            {"label": "tied", "method": "tied", "done": 1, "runs": 2, "score": 0.4},
        ]
        wanted = [Column("s", "", "", "", "score", best="lowest"), Column("t", "", "", "", "elsewhere")]
        (column,) = present(wanted, rows)
        assert [cell.kind for (cell,) in entries(rows, [column])] == ["", "", "best", "", ""]

    def test_bars_lie_where_the_intervals_do(self) -> None:
        column = Column("s", "", "")
        cells = [Entry("x", 0.0, "", low, low + 1) for low in (0.0, 1.0, 3.0)]
        table = tables.Table(None, [column], [[cell] for cell in cells])
        (limits,) = bars.limits(table)
        assert limits == (0.0, 4.0)
        # A background of width 25 % at position p starts 0.75 p from the left.
        assert [str(bars.bar(cell, limits)) for cell in cells] == [
            f'<i style="--p:{place};--w:25"></i>' for place in (0, 33, 100)
        ]
        assert bars.bar(Entry("–"), limits) == ""

    def test_one_method_far_out_does_not_squeeze_the_others(self) -> None:
        cells = [[Entry("x", 0.0, "", low, low + 1)] for low in (*range(9), 1e6)]
        (limits,) = bars.limits(tables.Table(None, [Column("s", "", "")], cells))
        assert limits is not None
        assert limits[1] < 30
        assert interval({"label": "a", "m": 1.0, "m_half_width": 0.5}, "m") == Entry("1.00 ± 0.50", 1.0, "", 0.5, 1.5)


class TestFormulas:
    @pytest.mark.parametrize("name", methods.built_in())
    def test_every_method_shows_its_formula(self, name: str) -> None:
        page = formula.of(methods.get(name))
        assert "<math" in page
        assert "\\" not in page.replace("\\(", "")

    def test_what_is_not_latex_is_shown_as_it_is(self) -> None:
        assert formula._formula(r".. math:: \frac{1}{") == r"<pre>\frac{1}{</pre>"
        assert "<script" not in formula._formula(r".. math:: \text{<script>alert(1)</script>}")
        assert formula._paragraph("see :mod:`a.b` & ``<i>``") == (
            "<p>see <code>a.b</code> &amp; <code>&lt;i&gt;</code></p>"
        )


def test_names_that_look_alike_get_addresses_of_their_own() -> None:
    found = pages.addresses("method", ["a b", "a-b", "<>", "mgda"])
    assert found["method/mgda"] == "/method/mgda"
    assert len(set(found.values())) == 4
    assert all(" " not in address and "<" not in address for address in found.values())


def test_promises_are_told_as_declared() -> None:
    for name in methods.built_in():
        method: Method = methods.get(name)
        said = dict(pages._promises(method))
        assert said["No task's loss rises to first order"].startswith("yes") == method.promises.non_conflicting
        assert said["The order of the tasks does not matter"] == ("yes" if method.promises.permutation else "no")


def test_pictures_of_sixty_methods_name_the_leading_ones_and_count_the_others(tmp_path: Path) -> None:
    labels = {"single_task": 0.0, "equal": 0.05} | {f"m{index:02}": 0.01 * index for index in range(58)}
    folder = build_results(tmp_path / "r", labels, seeds=(0,))
    records = load.read(folder)
    table, curves = load.table(records), load.curves(records)
    board = leaderboard(table)
    own = board[board["dataset"] == "digits"]
    shown = plots.leading(own["label"])
    assert shown == ["single_task", "equal", *(f"m{index:02}" for index in range(6))]
    described = metrics(table)[lambda frame: (frame["dataset"] == "digits") & frame["main"]]
    with style.canvas():
        figure = plots.learning_curves(curves[curves["dataset"] == "digits"], described, style.looks(shown), shown)
        rows = plots.leaderboard(own, style.looks(own["label"])).axes[0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [*shown, "52 other methods"]
    assert len(rows.get_yticks()) == plots.ROWS
    assert rows.get_title(loc="left") == "digits (24 of 60 methods)"


def test_many_tasks_have_a_panel_for_some_and_columns_in_the_csv_alone(tmp_path: Path) -> None:
    folder = build_results(tmp_path / "r", {"single_task": 0.0, "equal": 0.05}, seeds=(0, 1))
    digits = folder / "runs" / "digits"
    for path in digits.rglob("run.json"):
        run = json.loads(path.read_text(encoding="utf-8"))
        for name in ("metrics", "validation", "test"):
            run[name] = {f"task_{k:03}": run[name]["left" if k % 2 else "right"] for k in range(60)}
        path.write_text(json.dumps(run), encoding="utf-8")
        curve = pd.read_csv(path.with_name("curves.csv"))
        left = curve[curve["task"] == "left"]
        many = pd.concat([left.assign(task=f"task_{k:03}") for k in range(60)])
        many.to_csv(path.with_name("curves.csv"), index=False)
    records = load.read(folder)
    table, curves = load.table(records), load.curves(records)
    board = leaderboard(table)
    assert {f"task_{k:03}.accuracy_half_width" for k in range(60)} <= set(board.columns)
    own, _ = tables.tables(table, board)
    assert not any(column.name.startswith("task_") for column in own.columns)
    assert "60 tasks, too many for columns of their own here: leaderboard.csv has them all." in own.notes
    described = metrics(table)[lambda frame: (frame["dataset"] == "digits") & frame["main"]]
    with style.canvas():
        figure = plots.learning_curves(
            curves[curves["dataset"] == "digits"], described, style.looks(["equal"]), ["equal"]
        )
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert len(titles) == tables.MANY_TASKS
    assert (titles[0], titles[-1]) == ("task_000", "task_059")


def test_options_that_differ_say_where_each_holds(tmp_path: Path) -> None:
    folder = build_results(tmp_path / "r", {"equal": 0.05}, seeds=(0, 1))
    for path in folder.rglob("run.json"):
        run = json.loads(path.read_text())
        alpha = 0.5 if run["dataset"] == "digits" else 2.0
        run["options"] = {"alpha": alpha, "level": "shared", "seed": run["seed"]}
        path.write_text(json.dumps(run))
    records = load.read(folder)
    (page,) = pages.of_methods(records, leaderboard(load.table(records)), trials(folder))
    assert page.options == [("alpha", ["0.5 (digits)", "2.0 (scales)"]), ("level", ["shared"])]


def test_the_appendix_has_every_digest(tmp_path: Path) -> None:
    folder = build_results(tmp_path / "r", {"single_task": 0.0, "equal": 0.05}, seeds=(0, 1))
    for path in folder.rglob("run.json"):
        run = json.loads(path.read_text())
        run["provenance"] |= {"data": f"data-{run['dataset']}-{run['seed']}", "code": f"code-{run['label']}"}
        path.write_text(json.dumps(run))
    facts = dict(appendix.facts(load.read(folder)))
    assert dict(facts["Data digests"])["digits"] == ["seed 0: data-digits-0", "seed 1: data-digits-1"]
    assert facts["Code digests"] == [("equal", ["code-equal"]), ("single_task", ["code-single_task"])]
    assert dict(facts["Software and hardware"])["commit"] == ["0123456789abcdef"]
