"""Numbers of other groups: beside ours, marked, and never in our own table."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from mtlbench.analysis.statistics import directions, wide
from mtlbench.analysis.unpaired import welch_interval
from mtlbench.errors import InputError
from mtlbench.publication import foreign
from mtlbench.publication.verify import Verified, verify
from mtlbench.report import leaderboard

pytestmark = pytest.mark.xdist_group("publication")


@pytest.fixture
def theirs(trained: Path, tmp_path: Path) -> Path:
    """A table of another group: two methods, one with a seed only."""
    run = json.loads((trained / "runs/scaled_regression/hard_sharing/equal/seed-0/run.json").read_text())
    rows = [
        f"scaled_regression,{method},{seed},{task},{metric},{value * (1 + 0.1 * seed)}"
        for method, seeds in (("mgda", (10, 11, 12, 13)), ("new", (7,)))
        for seed in seeds
        for task, found in run["test"].items()
        for metric, value in found.items()
    ]
    path = tmp_path / "doe2024.csv"
    path.write_text("\n".join(["dataset,method,seed,task,metric,value", *rows]) + "\n")
    return path


def test_foreign_rows_stand_below_ours_and_change_nothing_of_them(trained: Path, theirs: Path, tmp_path: Path) -> None:
    before = (trained / "leaderboard.csv").read_bytes()
    foreign.write(trained / "small.zip", [theirs], tmp_path / "out")
    both = pd.read_csv(tmp_path / "out" / "leaderboard.csv")
    assert both["source"].tolist() == ["mtlbench"] * 3 + ["doe2024.csv"] * 2
    assert sorted(both["label"][3:]) == ["mgda [doe2024]", "new [doe2024]"]
    assert both["delta_m"][3:].is_monotonic_increasing
    pd.testing.assert_frame_equal(both[:3].drop(columns="source"), pd.read_csv(trained / "leaderboard.csv"))
    assert both["mean_rank"].isna().tolist() == [True, False, False, True, True]
    assert (trained / "leaderboard.csv").read_bytes() == before
    assert isinstance(verify(trained), Verified)
    text = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "which mtlbench has not checked" in text
    assert "One seed only, so no interval: new." in text
    assert "doe2024" in (tmp_path / "out" / "leaderboard.html").read_text()
    assert "mgda [doe2024]" in (tmp_path / "out" / "leaderboard.tex").read_text()


def test_delta_m_of_a_foreign_row_is_unpaired(trained: Path, theirs: Path, tmp_path: Path) -> None:
    foreign.write(trained, [theirs], tmp_path / "out")
    row = pd.read_csv(tmp_path / "out" / "leaderboard.csv").set_index("label").loc["mgda [doe2024]"]
    table = leaderboard.computed(trained).table
    single = table[(table["label"] == "single_task") & (table["split"] == "test")]
    own, base, sign = wide(pd.read_csv(theirs).query("method == 'mgda'")), wide(single), directions(single)
    # Δm by hand: the mean over tasks of the mean over their metrics, relative to single-task means.
    sides = [100 * (frame / base.mean()).mul(sign.map({True: -1, False: 1})) for frame in (own, base)]
    expected = welch_interval(*(side.T.groupby("task").mean().mean() for side in sides))
    assert row["delta_m"] == pytest.approx(expected.mean, rel=1e-6)
    assert row["delta_m_half_width"] == pytest.approx(expected.half_width, rel=1e-6)
    assert pd.isna(
        pd.read_csv(tmp_path / "out" / "leaderboard.csv").set_index("label").loc["new [doe2024]", "delta_m_half_width"]
    )


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("dataset,method", "dataset,methode", "unknown column 'methode': did you mean 'method'?"),
        ("task,metric,value", "task,metric", "line 2: 6 fields, but the head names 5 columns"),
        (
            "scaled_regression,mgda,10",
            "scaled_regresion,mgda,10",
            "line 2: unknown dataset 'scaled_regresion': did",
        ),
        (",10,task_1,nmse", ",10,task_9,nmse", "line 2: unknown task 'task_9': did you mean"),
        (",10,task_1,nmse", ",10,task_1,nmsee", "line 2: unknown metric 'nmsee': did you mean 'nmse'?"),
        (",10,task_1,nmse,", ",10,task_1,nmse,low", "line 2: value is 'low"),
        (",10,task_1,nmse,", ",10,task_1,nmse,inf,", "line 2: 7 fields, but the head names 6 columns"),
        (",10,task_1,nmse,", ",10,task_1,nmse,nan", "line 2: value is 'nan"),
        (",10,task_1,nmse,", ",10,task_1,nmse,1_", "line 2: value is '1_"),
        ("metric,value", "value,value", "the column 'value' stands twice"),
        (",metric,value", ",status,value", "lacks the column 'metric'"),
        (",10,task_1,nmse,", ",-1,task_1,nmse,", "line 2: seed is '-1'"),
        (",10,task_1,nmse,", ",11,task_1,nmse,", "is given twice"),
        ("mgda,10,task_1,nmse,", "new,7,task_1,nmse,", "is given twice"),
        ("mgda,10,task_1,nmse,", "other,10,task_1,nmse,", "mgda: seed 10 has no task_1 nmse, but seed 11 has"),
        ("mgda,10,task_1,nmse,", ",10,task_1,nmse,", "line 2: the method is '', which is no name"),
        ("mgda,10,task_1,nmse,", "a\x1b[2J,10,task_1,nmse,", "which is no name"),
    ],
)
def test_a_wrong_table_is_answered_with_its_line(
    trained: Path, theirs: Path, tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    text = theirs.read_text()
    assert old in text
    theirs.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=sentence) as caught:
        foreign.write(trained, [theirs], tmp_path / "out")
    assert "doe2024.csv" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_broken_runs_of_others_are_counted_and_metrics_may_be_left_out(
    trained: Path, theirs: Path, tmp_path: Path
) -> None:
    lines = [line for line in theirs.read_text().splitlines() if ",rmse," not in line and ",new," not in line]
    head, *rows = lines
    rows = [f"{row},{'diverged' if ',13,' in row else 'done'}" for row in rows if ",13,task_2" not in row]
    theirs.write_text("\n".join([f"{head},status", *rows]) + "\n")
    foreign.write(trained, [theirs], tmp_path / "out")
    row = pd.read_csv(tmp_path / "out" / "leaderboard.csv").set_index("label").loc["mgda [doe2024]"]
    assert (row["runs"], row["done"], row["diverged"]) == (4, 3, 1)


def test_a_seed_that_ended_in_two_ways_is_refused(trained: Path, theirs: Path, tmp_path: Path) -> None:
    head, *rows = theirs.read_text().splitlines()
    rows = [f"{row},{'diverged' if ',13,task_2' in row else 'done'}" for row in rows]
    theirs.write_text("\n".join([f"{head},status", *rows]) + "\n")
    with pytest.raises(InputError, match=r"doe2024\.csv: scaled_regression, mgda: seed 13 is done and diverged"):
        foreign.write(trained, [theirs], tmp_path / "out")


def test_two_tables_of_one_name_and_a_results_folder_are_refused(trained: Path, theirs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two tables are named 'doe2024'"):
        foreign.write(trained, [theirs, theirs], tmp_path / "out")
    with pytest.raises(InputError, match="is a results folder"):
        foreign.write(trained, [theirs], trained)
    assert foreign.default_folder(trained).name == "small-with"
    assert foreign.default_folder(trained / "small.zip") == trained / "small-with"
