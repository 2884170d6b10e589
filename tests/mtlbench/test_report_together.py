"""The tables over all datasets as a reader sees them."""

from __future__ import annotations

import made_up
import pandas as pd
from made_up_scores import benchmark, broke

from mtlbench.analysis import load
from mtlbench.analysis.overall import overall, pool
from mtlbench.report import comparison, together
from mtlbench.report.tables import Table


def tables(runs: pd.DataFrame) -> list[Table]:
    return together.tables(overall(runs))


def cells(table, label):
    row = next(row for row in table.rows if row[0].text == label)
    return {column.title: entry for column, entry in zip(table.columns, row, strict=True)}


def test_one_table_per_track_with_marks_and_broken_runs():
    table = broke(benchmark(), "good", 1, "e")
    default, tuned = tables(pd.concat([table, benchmark(1).assign(track="tuned")]))
    assert (default.title, tuned.title) == ("Over all datasets", "Over all datasets, tuned")
    same, good = cells(default, "same")["Δm − equal"], cells(default, "good")
    assert same.text.startswith("≈")
    assert same.low < 0 < same.high
    assert (good["Δm − equal"].kind, good["broken"].text) == ("broken", "1/8")
    assert cells(tuned, "good")["Δm − equal"].kind == "better"
    assert (
        cells(tuned, "good")["better than equal"].text == "1.000"
        or cells(tuned, "good")["better than equal"].value == 1
    )
    assert cells(default, "equal")["Δm − equal"].text == "–"
    assert [column.title for column in default.columns[-3:]] == ["Δm d", "Δm e", "broken"]


def test_an_infinite_mean_is_said_and_sorted_last():
    table = benchmark()
    for seed in (0, 1, 2):
        table = broke(table, "same", seed)
    entry = cells(tables(table)[0], "same")["IQM"]
    assert (entry.text, entry.value) == ("∞", 1e308)


def test_the_interval_of_the_iqm_stands_beside_its_coverage_and_only_from_five_datasets_on():
    (few,) = tables(benchmark())
    assert not any("jackknife" in note for note in few.notes)
    assert cells(few, "good")["IQM"].low is None
    parts = [benchmark(k).replace({"dataset": {"d": f"d{k}", "e": f"e{k}"}}) for k in range(3)]
    (many,) = tables(pd.concat(parts))
    assert any("jackknife" in note and "% of cases" in note for note in many.notes)
    assert cells(many, "good")["IQM"].low is not None


def test_titles_of_datasets_are_safe_in_latex():
    table = benchmark().replace({"dataset": {"d": "a_b & 100%"}})
    (shown,) = tables(table)
    assert [column.tex for column in shown.columns[-3:-1]] == [r"$\Delta_m$ a\_b \& 100\%", r"$\Delta_m$ e"]


def test_one_dataset_has_no_table_over_all():
    assert tables(benchmark()[lambda table: table["dataset"] == "d"]) == []


def test_without_a_single_change_there_is_no_profile_and_the_ranks_stand(tmp_path):
    table = benchmark()
    comparison.write(tmp_path, table[table["label"] != "single_task"])
    assert {path.stem for path in tmp_path.iterdir()} == {"comparison_ranks"}


def test_the_legend_of_the_profile_has_the_methods_of_all_panels():
    tuned = benchmark(1).assign(track="tuned").replace({"label": {"good": "tuned only"}})
    pools = [(track, pool(part)) for track, part in pd.concat([benchmark(), tuned]).groupby("track")]
    figure = comparison.profiles(pools)
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named[:2] == ["single_task", "equal"]
    assert set(named[2:]) == {"good", "tuned only", "same", "bad"}


def test_two_datasets_have_a_profile_and_a_diagram_one_has_none(tmp_path):
    folder = made_up.build_results(tmp_path / "both")
    table = load.runs(folder)
    comparison.write(folder / "plots", table)
    drawn = sorted(path.name for path in (folder / "plots").glob("comparison_*.svg"))
    assert drawn == ["comparison_profile.svg", "comparison_ranks.svg"]
    profile = (folder / "plots" / "comparison_profile.svg").read_text(encoding="utf-8")
    assert all(f">{label}<" in profile for label in ("equal", "mgda", "single_task"))
    ranks = (folder / "plots" / "comparison_ranks.svg").read_text(encoding="utf-8")
    assert "with 2 datasets" in ranks
    comparison.write(tmp_path / "one", table[table["dataset"] == "digits"])
    assert not (tmp_path / "one").exists()
