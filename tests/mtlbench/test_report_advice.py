"""Which method to try first, and which are the same: the pages say what the numbers and the atlas say, no more."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up import build_results
from made_up_scores import benchmark

from mtlbench.analysis import load
from mtlbench.analysis.leaderboard import leaderboard
from mtlbench.arena import Arena
from mtlbench.report import advice, summary, tables

pytestmark = pytest.mark.xdist_group("report")


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    effects = {"single_task": 0.0, "equal": 0.05, "mgda": -0.04, "static": 0.3, "unit_gradient": 0.2}
    return list(advice.page(build_results(tmp_path_factory.mktemp("results"), effects)))


def test_known_effects_become_the_known_words(lines: list[str]) -> None:
    digits = lines[lines.index("## digits") : lines.index("## scales")]
    assert any(line.startswith("- Lowest Δm: `mgda`, Δm −3.") for line in digits)
    assert "- Runs that diverged or failed: `unit_gradient`." in digits
    assert any(
        "Of the 2 other methods 1 came out better, 1 worse, and 0 cannot be told from it" in line for line in digits
    )
    (best,) = [line for line in digits if line.startswith("| like the best")]
    assert "`mgda`" in best
    (worse,) = [line for line in digits if line.startswith("| worse than equal")]
    assert "`static`" in worse


def test_what_cannot_be_told_apart_stands_together(tmp_path_factory: pytest.TempPathFactory) -> None:
    effects = {"single_task": 0.0, "equal": 0.05, "mgda": 0.05, "static": 0.05}
    page = "\n".join(advice.page(build_results(tmp_path_factory.mktemp("alike"), effects)))
    assert "Not to be told from it over these seeds" in page
    assert "worse than equal" not in page


def test_one_seed_in_common_tells_nothing_apart() -> None:
    table = benchmark()
    one = table[(table["label"] != "bad") | (table["seed"] == 0)]
    arena = Arena("d", "hard_sharing")
    own, board = arena.among(one), arena.among(leaderboard(one))
    said = summary.sentences(own, board)[0][1]
    assert "Not to be told apart from good: bad." in said
    assert "Fewer than two seeds in common with good give no interval: bad." in said
    lines = list(advice._dataset("d", board, own, None))
    assert "- Not to be told from it over these seeds: `bad`." in lines
    alone = "- Fewer than two seeds in common with it, so there is no interval and nothing can be told: `bad`."
    assert alone in lines
    assert not any("worse than equal" in line for line in lines)
    whole = summary.sentences(arena.among(table), arena.among(leaderboard(table)))[0][1]
    assert "Every other method that ended all its runs is worse than good beyond its interval." in whole


def test_without_a_reference_nothing_is_said(tmp_path_factory: pytest.TempPathFactory) -> None:
    page = list(advice.page(build_results(tmp_path_factory.mktemp("bare"), {"equal": 0.05, "mgda": 0.0})))
    assert page.count("No method ran to its end with a single-task reference beside it: nothing can be said.") == 2


def test_the_leaderboard_marks_rows_that_are_one_method_under_two_names(tmp_path: Path) -> None:
    effects = {"single_task": 0.0, "equal": 0.05, "gls": 0.1, "running_loss": 0.11, "imtl_g": 0.02, "config": 0.03}
    table = load.runs(build_results(tmp_path / "results", effects | {"unit_gradient": 0.2}))
    digits, scales = tables.tables(table, leaderboard(table))

    def marked(board: tables.Table) -> set[str]:
        return {row[0].text for row in board.rows if "≡" in row[0].text}

    assert marked(digits) == {"gls ≡", "running_loss ≡", "imtl_g ≡", "config ≡", "unit_gradient ≡"}
    assert marked(scales) == {"gls ≡", "running_loss ≡"}
    (note,) = [note for note in digits.notes if note.startswith("≡")]
    assert "imtl_g and unit_gradient (same direction)" in note
