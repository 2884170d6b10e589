"""The study of the model's size: volumes by hand, made-up runs whose answer is known, and runs that were trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mtlbench import config
from mtlbench.analysis import load
from mtlbench.analysis.load import Audit, MetricInfo, Run
from mtlbench.errors import InputError
from mtlbench.studies import model_size
from mtlbench.studies.model_size import Model, hypervolume, measure
from mtlbench.tasks.dataset import Split
from mtlbench.training import cell as cell_module
from mtlbench.training.cell import run_cell
from mtlbench.training.evaluation import Diverged
from mtlbench.training.start import spread

SMALL, LARGE = ({"encoder": {"mlp": {"width": width}}, "head": "linear"} for width in (2, 8))
WIDE = LARGE | {"head": {"mlp": {"width": 99}}}


def test_the_volume_is_that_of_the_box_that_the_front_dominates():
    front = np.array([[0.2, 0.6], [0.5, 0.3]])  # 0.8 · 0.4 + 0.5 · 0.3
    assert hypervolume(front, np.ones(2)) == pytest.approx(47)
    dominated = np.vstack([front, [[0.6, 0.7]]])
    assert hypervolume(dominated, np.ones(2)) == pytest.approx(47)
    assert hypervolume(front * [3, 0.1], np.array([3, 0.1])) == pytest.approx(47)
    assert hypervolume(np.array([[0.0, 0.0]]), np.zeros(2)) == 100, "no run errs in any task"
    assert hypervolume(np.array([[0.0, 0.5, 0.5]]), np.ones(3)) == pytest.approx(25)


def test_an_architecture_is_taken_apart_whatever_the_order_of_its_parameters():
    one = Model.of("hard_sharing", {"encoder": {"mlp": {"width": 4, "depth": 1}}, "head": {"mlp": {"width": 8}}})
    other = Model.of("hard_sharing", {"head": {"mlp": {"width": 8}}, "encoder": {"mlp": {"depth": 1, "width": 4}}})
    assert one == other == Model("mlp(depth=1, width=4)", "mlp(width=8)")
    towers = Model.of("small_towers", {"base": {"hard_sharing": SMALL}, "gamma": 2})
    assert towers == Model("mlp(width=2)", "linear", "small_towers(gamma=2)")
    assert Model.of("small_towers", {}) == Model("hard_sharing", "dataset", "small_towers")
    assert Model.of("mmoe", {"experts": 2}) == Model("mmoe(experts=2)", "dataset")


def run(name, parameters, label, seed, train, test, sizes, status="done", conflict=0.0):
    """A run with the errors ``train`` and ``test``, of an accuracy and of a squared error."""

    def scores(errors):
        return {"a": {"accuracy": 1 - errors[0]}, "b": {"mse": errors[1]}} if status == "done" else {}

    return Run(
        folder=Path("f"),
        benchmark="b",
        dataset="d",
        architecture=f"{name}{parameters}",
        method=label.split("(")[0],
        label=label,
        seed=seed,
        epochs=1,
        status=status,
        train=scores(train),
        test=scores(test),
        parameters=dict(zip(("network", "heads", "auxiliary"), sizes, strict=True)) if status == "done" else {},
        metrics={
            "a": {"accuracy": MetricInfo(higher_is_better=True), "more": MetricInfo(higher_is_better=True)},
            "b": {"mse": MetricInfo(higher_is_better=False)},
        },
        audit=Audit(interval=1, steps=1, conflict_rate=conflict, noise_floor=0.1),
        configuration={"architecture": name, "architecture_parameters": parameters},
    )


TOWERS = {"base": {"hard_sharing": LARGE}, "gamma": 1}


@pytest.fixture
def made():
    """In training the large model is best, on test the small one; every reference is (0.5, 2)."""
    runs = []
    for seed, luck in ((0, 0.0), (1, 0.05), (2, 0.0)):
        for label in ("equal", "static(weights=0.2/0.8)"):
            worse = 0.0 if label == "equal" else 0.1
            runs += [
                run("hard_sharing", SMALL, label, seed, (0.25 + worse, 1), (0.25 + luck, 1), (30, 10, 0), conflict=0.8),
                run("hard_sharing", LARGE, label, seed, (0, 0), (0.5, 2), (130, 10, 0), conflict=0.2),
            ]
    runs += [
        run("small_towers", TOWERS, label, seed, (0, 0), (0.25, 1), (135, 10, 5))
        for seed in (0, 1)
        for label in ("equal", "static(weights=0.2/0.8)")
    ]
    return runs


def test_made_up_runs_give_their_volumes(made):
    points = measure(made).set_index(["sweep", "model"])
    trunk = points.loc["trunk, heads linear"]
    assert list(trunk.index) == ["mlp(width=2)", "mlp(width=8)"]
    assert list(trunk["size"]) == [20, 120]
    small, large = trunk.loc["mlp(width=2)"], trunk.loc["mlp(width=8)"]
    # (1 − 0.25/0.5)(1 − 1/2); the static point is dominated. On test the second seed has 1 − 0.3/0.5 in the first task.
    assert small["train_hypervolume"] == pytest.approx(25)
    assert small["test_hypervolume"] == pytest.approx((25 + 20 + 25) / 3)
    assert (large["train_hypervolume"], large["test_hypervolume"]) == (100, 0)
    assert small["train_difference"] == pytest.approx(-75)
    assert small["train_difference_half_width"] == 0
    assert small["test_difference"] == small["test_hypervolume"]
    assert np.isnan(large["test_difference"])
    assert (small["train_error"], large["train_error"]) == (pytest.approx((0.25 + 1) / 2), 0)
    assert (small["conflict"], large["conflict"], small["noise_floor"]) == pytest.approx((80, 20, 10))
    towers = points.loc["auxiliary to linear on mlp(width=8)"].iloc[0]
    assert (towers["size"], towers["seeds"]) == (5, 2)
    assert towers["test_difference"] == pytest.approx(25)


def test_a_front_without_one_of_its_points_does_not_count(made):
    # Nor that of a model which lacks a point altogether, as after a pipeline that was stopped.
    stopped = [r for r in made if r.method == "equal" or r.architecture != f"small_towers{TOWERS}"]
    assert measure(stopped).set_index("model").loc["small_towers(gamma=1)", "seeds"] == 0
    lost = run("hard_sharing", SMALL, "equal", 1, (), (), (), status="diverged")
    kept = [r for r in made if not (r.seed == 1 and r.label == "equal" and r.configuration == lost.configuration)]
    small = measure([*kept, lost]).set_index("model").loc["mlp(width=2)"]
    assert (small["seeds"], small["broken"]) == (2, 1)
    assert small["test_hypervolume"] == pytest.approx(25)


def test_the_sentences_say_who_is_told_apart(made):
    points = measure(made)
    first, second, third = model_size.STUDY.findings(points)
    assert "of 1 model smaller than the largest, which has 120 parameters there" in first
    assert "1 (mlp(width=2)) is below and none is above it beyond the 95 % interval" in first
    assert first.endswith("on test none is below and 1 (mlp(width=2)) is above.")
    assert "equal weighting goes from 0.62 to 0 in training and from 0.63 to 1.2 on test" in second
    assert "its share of conflicts from 80 ± 0 % (noise floor 10 %) to 20 ± 0 % (noise floor 10 %)" in second
    assert second.endswith("the hypervolume on test is largest at mlp(width=2).")
    assert third.endswith("small_towers(gamma=1) moves the hypervolume on test by 25 ± 0 points, in training by 0 ± 0.")
    assert model_size.STUDY.draw(points).axes
    one_seed = measure([r for r in made if r.seed == 0])
    assert "nothing can be told apart" in model_size.STUDY.findings(one_seed)[0]
    alone = measure([r for r in made if r.configuration["architecture"] == "small_towers"])
    assert "has no base to be compared with" in model_size.STUDY.findings(alone)[0]
    assert "No two models" in model_size.STUDY.findings(measure([]))[0]


def test_heads_and_trunk_are_sweeps_of_their_own(made):
    wide = [
        run("hard_sharing", WIDE, label, seed, (0, 0), (0.5, 2), (900, 780, 0))
        for seed in range(3)
        for label in ("equal", "static(weights=0.2/0.8)")
    ]
    points = measure([*made, *wide])
    assert list(points["sweep"].unique()[:2]) == ["trunk, heads linear", "heads, trunk mlp(width=8)"]
    heads = points[points["sweep"] == "heads, trunk mlp(width=8)"]
    assert list(heads["model"]) == ["linear", "mlp(width=99)"]
    assert list(heads["size"]) == [10, 780]


def test_the_study_is_refused_where_training_is_not_evaluated():
    content = {"name": "b", "study": "model_size", "datasets": {"multi_digits": {"methods": ["equal"]}}}
    with pytest.raises(InputError, match="model_size compares training with test: add evaluate_training: true"):
        config.parse(content, "b.yaml")
    assert config.parse(content | {"evaluate_training": True}, "b.yaml").evaluate_training


def test_samples_are_spread_over_the_whole_split():
    split = Split(torch.arange(10.0)[:, None], {"t": torch.arange(10)}, torch.arange(10)[:, None])
    found = spread(split, 4)
    assert found.targets["t"].tolist() == [0, 2, 5, 7] == found.inputs[:, 0].tolist() == found.sources[:, 0].tolist()
    assert spread(split, 10) is split


def test_the_tested_network_is_looked_at_in_training_where_the_file_asks_for_it(tiny, tiny_cell, tmp_path):
    def trained(folder, **changes):
        tiny.judged.clear()
        cell = tiny_cell(epochs=2, **changes)
        run_cell(cell, tmp_path / folder / "runs")
        (found,) = load.read(tmp_path / folder)
        return found

    off = trained("off")
    assert tiny.judged[29] == 3, "three tasks of the test split"
    on = trained("on", evaluate_training=True)
    # At most as many samples as test has: the tiny dataset tells its splits apart by their lengths.
    assert (tiny.judged[29], tiny.judged[70]) == (6, 0)
    assert (on.test, on.validation) == (off.test, off.validation)
    assert (on.folder / "curves.csv").read_bytes() == (off.folder / "curves.csv").read_bytes()
    assert (off.train, off.parameters) == ({}, {})
    assert set(on.train) == set(on.test)
    assert on.train != on.test
    encoder, heads = (6 * 12 + 12) + 2 * 12 + (12 * 8 + 8), 5 * (8 + 1)
    assert on.parameters == {"network": encoder + heads, "heads": heads, "auxiliary": 0}
    table = load.table([on])
    assert set(table["split"]) == {"validation", "test", "train"}
    assert "train" not in set(load.table([off])["split"])
    few = trained("few", evaluate_training=True, training_samples=20)
    assert (few.train != on.train, tiny.judged[20]) == (True, 3)


def test_a_run_is_judged_by_its_test_split_whatever_training_says(tiny, tiny_cell, tmp_path, monkeypatch):
    look = cell_module._Run._look

    def infinite_in_training(run, name, split):
        if name == "training":
            raise Diverged("the outputs are not finite")
        return look(run, name, split)

    monkeypatch.setattr(cell_module._Run, "_look", infinite_in_training)
    assert run_cell(tiny_cell(epochs=1, evaluate_training=True), tmp_path / "runs") == ["done"]
    (found,) = load.read(tmp_path)
    assert found.test
    assert found.train == {}
    assert measure([found]).empty


def test_more_training_samples_than_there_are_is_refused(tiny, tiny_cell, tmp_path):
    with pytest.raises(InputError, match="tiny: training_samples is 71, but the training split has 70 samples"):
        run_cell(tiny_cell(training_samples=71), tmp_path)
    with pytest.raises(InputError, match="batch_size is 16, but the training split has 10 samples"):
        run_cell(tiny_cell(training_samples=10), tmp_path)


def test_trained_runs_have_their_sweeps(tiny, tiny_cell, tmp_path):
    encoders = [{"encoder": {"mlp": {"width": width, "depth": 1}}} for width in (2, 8)]
    models = [("hard_sharing", encoder) for encoder in encoders]
    models += [("small_towers", {"base": {"hard_sharing": encoders[1]}, "auxiliary": "same_size"})]
    for name, parameters in models:
        cell = tiny_cell(
            "equal",
            architecture=name,
            architecture_parameters=parameters,
            seeds=(0, 1),
            epochs=1,
            evaluate_training=True,
        )
        run_cell(cell, tmp_path / "runs")
    points = measure(load.read(tmp_path))
    assert list(points["size"]) == [6 * 2 + 2, 6 * 8 + 8, 5 * (8 + 1)]
    assert points[["train_hypervolume", "test_hypervolume"]].ge(0).all(axis=None)
    assert points["conflict"].between(0, 100).all()
