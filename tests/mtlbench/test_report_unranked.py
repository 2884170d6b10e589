"""A benchmark that says ``ranking: false`` shows what ran: no rank, no verdict, no best."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up import build_results

from mtlbench.analysis import load
from mtlbench.analysis.leaderboard import leaderboard, unranked
from mtlbench.report import leaderboard as written
from mtlbench.report import summary
from mtlbench.report.tables import tables


@pytest.mark.parametrize("ranking", [True, False])
def test_ranks_and_verdicts_are_shown_where_the_benchmark_compares(tmp_path: Path, ranking: bool) -> None:
    runs = load.runs(build_results(tmp_path))
    board = leaderboard(runs)
    shown = tables(runs, board if ranking else unranked(board))
    said = " ".join(
        sentence for _, found in summary.sentences(runs, board if ranking else unranked(board)) for sentence in found
    )
    titles = {column.title for table in shown for column in table.columns}
    kinds = {entry.kind for table in shown for row in table.rows for entry in row}
    assert ({"mean rank", "Δm − equal"} <= titles) == ranking
    assert bool({"best", "better", "worse"} & kinds) == ranking
    assert ("lowest Δm" in said) == ranking
    assert "did not end" in said
    assert all(("ranked" in " ".join(table.notes)) != ranking for table in shown)


def test_the_configuration_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = build_results(tmp_path)
    assert "mean_rank" in written.computed(results).board
    monkeypatch.setattr(written, "_ranks", lambda results: False)
    assert not {"mean_rank", "against_equal"} & set(written.computed(results).board)
