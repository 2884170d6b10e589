"""A primary task and what stands beside it: noise, refusals, the epoch, the trials, the study."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from mtlbench import config, tasks, tuning
from mtlbench.analysis import load
from mtlbench.errors import InputError
from mtlbench.primary import dataset_of, noisy
from mtlbench.sections import Auxiliaries, Cell
from mtlbench.studies import primary_auxiliary as study
from mtlbench.training.cell import run_cell, run_seed


def test_exchanged_labels_keep_their_distribution_and_their_gaps():
    target = torch.arange(1000.0)
    target[::10] = torch.nan
    some, more = (noisy(target, rate, 3, "t") for rate in (0.2, 0.5))
    labelled = ~target.isnan()
    assert torch.equal(some.isnan(), ~labelled)
    assert torch.equal(some[labelled].sort().values, target[labelled])
    moved, further = (labelled & (found != target) for found in (some, more))
    assert (moved.sum(), further.sum()) == (180, 450)
    assert bool((further | ~moved).all())
    again, other = (noisy(target, 0.2, seed, "t") for seed in (3, 4))
    assert torch.equal(some.nan_to_num(), again.nan_to_num())
    assert not torch.equal(some.nan_to_num(), other.nan_to_num())
    classes = torch.tensor([0, 1, -100, 2])
    assert noisy(classes, 0.99, 0, "t")[2] == -100
    assert sorted(noisy(classes, 0.99, 0, "t").tolist()) == [-100, 0, 1, 2]


def test_only_training_labels_of_auxiliary_tasks_are_touched(tiny, tiny_cell):
    plain = dataset_of(tiny_cell())
    found = dataset_of(tiny_cell(primary="b", auxiliary=Auxiliaries(tasks=["a"], label_noise=0.4)))
    assert [task.name for task in found.tasks] == ["b", "a"]
    before, after = plain.load(5), found.load(5)
    for part in ("train", "validation", "test"):
        one, other = getattr(before, part), getattr(after, part)
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets["b"], other.targets["b"])
        assert torch.equal(one.targets["a"], other.targets["a"]) == (part != "train")
    assert after.digest == found.load(5).digest != before.digest


def test_a_run_without_a_primary_task_says_nothing_of_one(tiny_cell):
    assert not {"primary", "auxiliary"} & set(tiny_cell().run_configuration())
    cell = tiny_cell(primary="b", auxiliary=Auxiliaries(regularisers=[{"r_drop": {"rate": 0.1}}]))
    assert cell.run_configuration()["auxiliary"]["regularisers"] == [{"r_drop": {"rate": 0.1}}]
    assert Cell.model_validate_json(cell.model_dump_json()) == cell


def test_the_single_task_network_of_the_primary_task_is_the_same_everywhere(tiny, tiny_cell, tmp_path):
    settings = [{}, {"primary": "b", "auxiliary": Auxiliaries(label_noise=0.5, regularisers=["weight_decay"])}]
    found = [run_seed(tiny_cell("single_task", **own), 0, tmp_path / str(i)) for i, own in enumerate(settings)]
    assert found[0]["test"]["b"] == found[1]["test"]["b"]
    flooded = tiny_cell("single_task", primary="b", auxiliary=Auxiliaries(flooding=1e6))
    third = run_seed(flooded, 0, tmp_path / "3")
    assert third["test"]["b"] != found[0]["test"]["b"]
    assert third["test"]["a"] == found[0]["test"]["a"]


def test_validation_chooses_the_epoch_by_the_primary_task(tiny, tiny_cell, tmp_path):
    for primary in ("a", "b"):
        record = run_seed(tiny_cell(primary=primary), 0, tmp_path / primary)
        curves = pd.read_csv(tmp_path / primary / "curves.csv")
        own = curves[(curves["split"] == "validation") & (curves["task"] == primary) & (curves["metric"] == "error")]
        assert record["best_epoch"] == own.loc[own["value"].idxmin(), "epoch"]


def test_trials_are_judged_by_the_primary_task():
    validation = {"a": {"m": 1.0}, "b": {"m": 2.0}}
    record = {"seed": 0, "validation": validation, "configuration": {"primary": "b"}}
    assert list(tuning._wide([record]).columns) == [("b", "m")]
    assert len(tuning._wide([record | {"configuration": {}}]).columns) == 2


def parsed(**section):
    entry = {"methods": ["single_task", "equal"], **section}
    return config.parse({"name": "b", "datasets": {"multi_digits": entry}}, "f")


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"auxiliary": {"label_noise": 0.2}}, "name that one as primary"),
        ({"primary": "left", "auxiliary": {"label_noise": 1}}, "label_noise: input should be less than 1, got 1"),
        ({"primary": "left", "auxiliary": {"label_noise": -0.1}}, "greater than or equal to 0, got -0.1"),
        ({"primary": "left", "auxiliary": {"label_nois": 0.1}}, "did you mean 'label_noise'"),
        ({"primary": "left", "auxiliary": {"label_noise": 0.1, "tasks": []}}, "leaves none"),
        ({"primary": "left", "auxiliary": {"regularisers": ["rdrop"]}}, "did you mean 'r_drop'"),
        ({"primary": "left", "auxiliary": {"regularisers": ["r_drop", "r_drop"]}}, "a regulariser is listed twice"),
        ({"primary": "left", "auxiliary": [{}, {}]}, "auxiliary is listed twice"),
    ],
)
def test_a_section_that_makes_no_sense_is_answered_in_a_sentence(section, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        parsed(**section)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"primary": "lefft"}, "unknown primary task 'lefft': did you mean 'left'"),
        ({"primary": "left", "auxiliary": Auxiliaries(tasks=["rigt"])}, "unknown auxiliary task 'rigt': did you mean"),
        ({"primary": "left", "auxiliary": Auxiliaries(tasks=["left"])}, "unknown auxiliary task 'left'"),
    ],
)
def test_an_unknown_task_is_answered_with_the_nearest(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        config.single_cell("multi_digits", "equal", seeds=(0,), **settings)


def test_settings_are_named_by_what_stands_beside_the_task():
    wanted = [{}, {"label_noise": 0.2}, {"tasks": [], "regularisers": [{"r_drop": {"rate": 0.1}}], "flooding": 0.1}]
    assert [cell.setting for cell in config.cells(parsed(primary="left", auxiliary=wanted))][::2] == [
        "auxiliary tasks as they are",
        "label noise 0.2",
        "beside no task, regularised by r_drop(rate=0.1), flooding 0.1",
    ]
    assert {cell.setting for cell in config.cells(parsed(primary="left", auxiliary={"label_noise": 0.2}))} == {""}


@pytest.fixture
def points(tiny, tiny_cell, tmp_path):
    beside = [Auxiliaries(), Auxiliaries(label_noise=0.5), Auxiliaries(tasks=[], regularisers=["weight_decay"])]
    for auxiliary in (*beside, Auxiliaries(flooding=0.2)):
        for method in ("single_task", "equal"):
            common = {"primary": "b", "auxiliary": auxiliary, "setting": auxiliary.title}
            run_cell(tiny_cell(method, seeds=(0, 1), epochs=1, **common), tmp_path / "runs")
    return study.measure(load.read(tmp_path)), load.read(tmp_path)


def test_the_study_sets_every_setting_beside_the_task_alone(points):
    table, records = points
    assert list(table["label"]) == ["equal", "equal", "equal", "single_task", "equal"]
    assert list(table["noise"]) == [0, 0.5, 0, 0, 0]
    score = {(r.setting, r.label, r.seed): r.test["b"]["error"] for r in records}
    noisy_row = table.iloc[1]
    # The error is better where it is lower: the gain is turned.
    gains = [score["label noise 0.5", "single_task", s] - score["label noise 0.5", "equal", s] for s in (0, 1)]
    assert noisy_row["gain"] == pytest.approx(np.mean(gains))
    assert noisy_row["gain_half_width"] == pytest.approx(12.706 * abs(gains[0] - gains[1]) / 2, rel=1e-3)
    assert study.draw(table).axes
    assert study.measure([]).empty
    assert "of 1 row" in study.findings(table)[1]
    # The tidy table has no task that a setting leaves out.
    tidy = load.table(records)
    assert set(tidy[tidy["setting"].str.startswith("beside no task")]["task"]) == {"b"}


def test_the_findings_name_who_gains_beyond_the_interval():
    rows = [("equal", -2.0, 1.0), ("pcgrad", 0.5, 1.0), ("static", 3.0, 0.5)]
    table = pd.DataFrame(rows, columns=["label", "gain", "gain_half_width"]).assign(
        dataset="d", beside="label noise 0.5", primary="p", metric="auc ↑", alone=0.9
    )
    first, second = study.findings(table)
    assert "of 3 rows 1 (static by 3.0) is better than the task alone (auc ↑, 0.900) beyond the 95 % interval" in first
    assert first.endswith("1 (equal by 2.0) is worse.")
    assert "Of 3 comparisons" in second
    assert "No run has a primary task" in study.findings(table.iloc[:0])[0]


def test_an_encoder_of_the_file_stands_on_the_columns_of_the_dataset_with_a_primary_task_too():
    cell = Cell(benchmark="b", dataset="adult", method="equal", seeds=(0,), primary="income")
    stem = tasks.get("adult").stem()
    assert stem is not None
    assert type(dataset_of(cell).stem()) is type(stem)
