"""The tuned track: the same trials for every row, a selection that can be checked, and fresh seeds for the report."""

from __future__ import annotations

import json
import math
import shutil
from argparse import Namespace

import pytest

from mtlbench import config, methods, overhead, pipeline, search, sections, tuning
from mtlbench.errors import CheckFailed, InputError
from mtlbench.report import leaderboard
from mtlbench.training.cell import run_cell
from mtlbench.training.paper_mode import summary

NAMES = ["single_task", "equal", "static", "cagrad", "pcgrad"]


def benchmark(**changes):
    content = {
        "name": "b",
        "seeds": 2,
        "tracks": ["tuned"],
        "tuning": {"trials": 4, "seeds": 2},
        "datasets": {"scaled_regression": {"epochs": 1, "methods": NAMES, "parameters": {"tasks": 3}}},
    }
    return config.parse(content | changes, "b.yaml")


def cells(**changes):
    return {cell.label: cell for cell in config.cells(benchmark(**changes))}


class TestTrials:
    def test_every_row_gets_the_same_number_and_is_paired_in_what_all_have(self):
        trials = {label: tuning.trial_cells(cell) for label, cell in cells().items()}
        assert {len(own) for own in trials.values()} == {4}
        for number in range(4):
            points = {(own[number].learning_rate, own[number].weight_decay) for own in trials.values()}
            assert len(points) == 1
        rates = [trial.learning_rate for trial in trials["equal"]]
        # Four points of a sequence in base 2: one in each quarter of the three decades.
        assert sorted(int(4 * math.log10(rate / 1e-4) / 3) for rate in rates) == [0, 1, 2, 3]
        assert all(1e-6 <= trial.weight_decay <= 1e-2 for trial in trials["equal"])

    def test_a_method_draws_its_own_options_unless_the_file_gives_them(self):
        found = cells()
        weights = [trial.tuned["weights"] for trial in tuning.trial_cells(found["static"])]
        assert all(len(own) == 3 and sum(own) == pytest.approx(1, abs=1e-3) and min(own) >= 0 for own in weights)
        assert [set(trial.tuned) for trial in tuning.trial_cells(found["cagrad"])] == [{"radius"}] * 4
        assert [trial.tuned for trial in tuning.trial_cells(found["pcgrad"])] == [{}] * 4
        given = {"scaled_regression": {"methods": ["single_task", {"cagrad": {"radius": 0.2}}]}}
        smooth = {"scaled_regression": {"methods": ["single_task", {"cagrad": {"smooth": 0.9}}]}}
        averaged = cells(datasets=smooth)["cagrad(smooth=0.9)"]
        assert [set(trial.tuned) for trial in tuning.trial_cells(averaged)] == [{"radius"}] * 4
        fixed = cells(datasets=given)["cagrad(radius=0.2)"]
        assert {trial.options["radius"] for trial in tuning.trial_cells(fixed)} == {0.2}
        assert all(trial.label == "cagrad(radius=0.2)" for trial in tuning.trial_cells(fixed))

    def test_more_trials_leave_the_first_ones_as_they_are(self):
        few, many = (tuning.trial_cells(cells(tuning={"trials": count, "seeds": 2})["cagrad"]) for count in (3, 5))
        assert [trial.run_configuration() for trial in few] == [trial.run_configuration() for trial in many[:3]]

    def test_trials_and_reports_never_share_a_seed(self):
        for cell in cells().values():
            assert not {seed for trial in tuning.trial_cells(cell) for seed in trial.seeds} & set(cell.seeds)
        assert sections.Benchmark.model_fields["seeds"].metadata[1].le == tuning.FIRST_SEED

    def test_a_weight_decay_that_is_compared_is_not_drawn(self):
        entry = {"methods": ["single_task"], "optimizer": ["sgd", "adam"], "weight_decay": [0.0, 1e-3]}
        found = config.cells(benchmark(datasets={"multi_digits": entry}))
        assert [cell.setting for cell in found] == [
            "sgd, weight decay 0",
            "sgd, weight decay 0.001",
            "adam, weight decay 0",
            "adam, weight decay 0.001",
        ]
        assert len({cell.folder for cell in found}) == 4
        assert {trial.weight_decay for trial in tuning.trial_cells(found[1])} == {1e-3}

    @pytest.mark.parametrize("name", methods.built_in())
    def test_every_range_gives_options_that_the_method_takes(self, name):
        for option, found in methods.get(name).search.items():
            for uniform in (0.0, 0.5, 1 - 1e-12):
                value = found.at([uniform] * found.dimensions(4), 4)
                methods.get(name, **{option: value}).check_tasks(4)

    def test_ranges(self):
        assert search.Linear(1.0, 3.0).at([0.5], 2) == 2.0
        assert search.Log(1e-4, 1.0).at([0.5], 2) == pytest.approx(1e-2)
        assert [search.Choice(("a", "b")).at([u], 2) for u in (0.0, 0.49, 0.5, 0.999)] == ["a", "a", "b", "b"]
        assert search.Simplex().at([0.75, 0.25], 3) == [0.25, 0.5, 0.25]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    results = tmp_path_factory.mktemp("tuned")
    for label in ("single_task", "equal"):
        for trial in tuning.trial_cells(cells()[label]):
            run_cell(trial, results / tuning.FOLDER)
    return results


class TestSelection:
    def test_the_best_by_validation_is_reported(self, results):
        found = cells()
        with pytest.raises(CheckFailed, match="single_task are not done"):
            tuning.select(found["equal"], results)
        for label in ("single_task", "equal"):
            assert tuning.selected(found[label], results) is None
            chosen = tuning.select(found[label], results)
            content = tuning.read(results / tuning.FOLDER / found[label].folder / tuning.SELECTION)
            scores = [trial["score"] for trial in content["trials"]]
            best = content["trials"][scores.index(min(scores))]
            assert [trial["chosen"] for trial in content["trials"]].count(True) == 1
            assert best["chosen"]
            assert (chosen.learning_rate, chosen.weight_decay) == (best["learning_rate"], best["weight_decay"])
            assert chosen.trial is None
            assert chosen.seeds == (0, 1)
            assert tuning.selected(found[label], results) == chosen
        # By hand: the score of one trial from the records' own numbers.
        single = tuning.read(results / tuning.FOLDER / found["single_task"].folder / tuning.SELECTION)
        number = next(trial["trial"] for trial in single["trials"] if trial["chosen"])
        means = {}
        for label, of in (("single_task", number), ("equal", 0)):
            folder = results / tuning.FOLDER / found[label].folder / f"trial-{of}"
            records = [json.loads(path.read_text()) for path in sorted(folder.glob("*/run.json"))]
            assert [record["test"] for record in records] == [{}, {}]
            means[label] = {
                (task, metric): sum(record["validation"][task][metric] for record in records) / 2
                for task, metrics in records[0]["metrics"].items()
                for metric in metrics
            }
        changes = [(means["equal"][key] - base) / abs(base) for key, base in means["single_task"].items()]
        content = tuning.read(results / tuning.FOLDER / found["equal"].folder / tuning.SELECTION)
        assert content["trials"][0]["score"] == pytest.approx(100 * sum(changes) / len(changes))

    def test_a_selection_of_other_trials_does_not_count(self, results, tmp_path):
        cell, results = cells()["single_task"], shutil.copytree(results, tmp_path / "tuned")
        tuning.select(cell, results)
        path = results / tuning.FOLDER / cell.folder / tuning.SELECTION
        content = tuning.read(path)
        assert tuning.selected(cell, results) is not None
        name = next(iter(content["runs"]))
        path.write_text(json.dumps(content | {"runs": content["runs"] | {name: "0" * 64}}))
        assert tuning.selected(cell, results) is None
        path.write_text('{"trials": [')
        with pytest.raises(CheckFailed, match="cut off"):
            tuning.read(path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tuning": {"trials": 0}}, "tuning.trials"),
        ({"tuning": None}, "add tuning"),
        ({"tracks": ["out_of_the_box"]}, "add tracks"),
        ({"tracks": ["tuned", "tuned"]}, "listed twice"),
        ({"tuning": {"trials": 3, "learning_rate": [1e-3, 1e-2]}}, "three decades"),
        ({"tuning": {"trials": 3, "trails": 3}}, "did you mean 'trials'"),
        ({"datasets": {"multi_digits": {"methods": ["equal"]}}}, "single_task: add it to the list"),
        ({"datasets": {"multi_digits": {"methods": ["single_task"], "learning_rate": 0.1}}}, "is drawn"),
        (
            {"datasets": {"multi_digits": {"methods": ["single_task"], "weight_decay": 0.0}}},
            "a list of values to compare",
        ),
        ({"datasets": {"multi_digits": {"methods": ["single_task"], "optimizer": ["sgd", "sgd"]}}}, "listed twice"),
    ],
)
def test_bad_input_is_one_sentence(changes, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        benchmark(**changes)
    assert "\n" not in str(caught.value)


def test_paper_mode_by_hand():
    class Main:
        name, higher_is_better = "accuracy", True

    class Task:
        name, metrics = "a", (Main,)

    epochs = [{"a": {"accuracy": value}} for value in (0.9, *[0.5] * 5, *[0.7] * 5)]
    found = summary([((Task,), epochs)])
    assert found["best_test_epoch"] == {"a": {"accuracy": 0.9}}
    assert found["last_10_epochs"]["a"]["accuracy"] == pytest.approx(0.6)
    assert summary([((Task,), [])]) is None
    assert summary([((Task,), [*epochs, {}])]) is None


def test_overhead_by_hand(tmp_path):
    folder = tmp_path / "runs" / "d" / "a" / "m" / "seed-0"
    folder.mkdir(parents=True)
    (folder / "run.time.json").write_text(json.dumps({"started": "2026-01-01T00:00:10+00:00", "seconds": 60.0}))
    began = 1767225600.0
    (tmp_path / "logs").mkdir()
    lines = [("cell", 5, 75), ("problems", 75, 85), ("cost", 85, 90), ("report", -50, -40)]
    text = "".join(f"{name}\t{began + start}\t{began + end}\n" for name, start, end in lines)
    (tmp_path / overhead.STEPS).write_text(text + "cell\t17")
    # 200 core seconds; apart 10 of one core and 5 of both; 60 of the 180 others trained.
    assert overhead.sentence(tmp_path, began, began + 100, 2) == (
        "100 s on 2 cores: training 30 %; apart: solver validation 5 %, measuring cost 5 %; overhead of training 67 %"
    )
    assert overhead.sentence(tmp_path, began + 1000, began + 1100, 2) is None
    # A cell of two threads trains on both cores; a report asks for the whole machine.
    (tmp_path / overhead.STEPS).write_text(f"cell\t{began + 5}\t{began + 75}\nreport\t{began + 75}\t{began + 95}\n")
    assert overhead.sentence(tmp_path, began, began + 100, 2, threads=2) == (
        "100 s on 2 cores: training 60 %; apart: report 20 %; overhead of training 25 %"
    )


@pytest.fixture
def pipeline_cell(tmp_path, monkeypatch):
    """Run the pipeline's step of one cell of a small tuned benchmark in this process, as it is or as one that died."""
    monkeypatch.setattr("mtlbench.cli.restart_with_threads", lambda threads: None)
    entry = {"epochs": 1, "methods": ["single_task", "equal"], "parameters": {"tasks": 2}}
    content = {"name": "b", "seeds": 2, "tracks": ["tuned"], "tuning": {"trials": 2}, "paper_mode": True}
    pipeline.keep_configuration(content | {"datasets": {"scaled_regression": entry}}, tmp_path)
    found = {cell.label: cell for cell in config.cells(config.load_resolved(tmp_path))}

    def run(label, died=None):
        options = Namespace(results=tmp_path, folder=found[label].folder, attempt=1, configuration=None, died=died)
        assert pipeline._cell(options) == 0
        return found[label]

    return run


def statuses(cell, results):
    trials = tuning.read(results / tuning.FOLDER / cell.folder / tuning.SELECTION)["trials"]
    paths = sorted((results / "runs" / cell.folder).glob("seed-*/run.json"))
    return [row["status"] for row in trials], [json.loads(path.read_text())["status"] for path in paths]


class TestDeath:
    def test_what_is_done_stays_and_the_tables_are_made(self, pipeline_cell, tmp_path):
        pipeline_cell("single_task")
        cell = pipeline_cell("equal")
        assert pipeline.attempt(cell, tmp_path) == 1
        folder = tmp_path / "runs" / cell.folder
        before = (folder / "seed-0" / "run.json").read_bytes()
        (folder / "seed-1" / "run.json").unlink()
        assert pipeline.attempt(cell, tmp_path) == 2
        pipeline_cell("equal", died="137")
        assert (folder / "seed-0" / "run.json").read_bytes() == before
        assert statuses(cell, tmp_path) == (["done", "done"], ["done", "failed"])
        leaderboard.write(tmp_path)
        row = next(line for line in (tmp_path / "leaderboard.csv").read_text().splitlines() if ",equal,equal," in line)
        assert ",2,1,0,1," in row  # runs, done, diverged, failed
        assert json.loads(before)["paper"].keys() == {"last_10_epochs", "best_test_epoch"}

    def test_a_death_in_the_trials_is_shown_and_tried_again(self, pipeline_cell, tmp_path):
        pipeline_cell("single_task")
        cell = pipeline_cell("equal", died="137")
        assert statuses(cell, tmp_path) == (["failed", "failed"], ["failed", "failed"])
        leaderboard.write(tmp_path)
        assert pipeline.attempt(cell, tmp_path) == 2
        pipeline_cell("equal")
        assert statuses(cell, tmp_path) == (["done", "done"], ["done", "done"])
        assert pipeline.attempt(cell, tmp_path) == 1

    def test_without_a_reference_the_first_trial_that_ended_stands(self, pipeline_cell, tmp_path):
        pipeline_cell("single_task", died="137")
        cell = pipeline_cell("equal")
        content = tuning.read(tmp_path / tuning.FOLDER / cell.folder / tuning.SELECTION)
        assert [(row["score"], row["chosen"]) for row in content["trials"]] == [(None, True), (None, False)]
        assert content["edge"] == ""
