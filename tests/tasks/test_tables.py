"""The datasets of tables: targets and inputs kept apart, disjoint data, splits, and what is wrong with a file."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import made_census_income
import made_mulan
import made_parkinsons
import made_sarcos
import made_school
import numpy as np
import pytest
import torch
from made_tables import describe
from scipy.io import savemat

from mtlbench import catalogue, config, tasks
from mtlbench.errors import InputError
from mtlbench.sources import cell_sources
from mtlbench.tasks import DatasetError, Splits, tables

REAL = Path(os.environ.get("MTLBENCH_DATA") or "data")
NAMES = [
    *("census_income", "census_income:education", "adult", "sarcos", "school", "parkinsons", "parkinsons:subjects"),
    *(f"mulan:{variant}" for variant in tasks.variants("mulan")),
]


@cache
def loaded(name: str) -> Splits:
    return tasks.get(name).load(0, REAL)


def on_real_files(name: str) -> tuple[tasks.MultiTaskDataset, Splits]:
    dataset = tasks.get(name)
    try:
        dataset.check_files(REAL)
    except DatasetError as error:
        pytest.skip(str(error))
    return dataset, loaded(name)


@pytest.mark.parametrize("name", NAMES)
def test_real_files_fill_the_networks_and_every_metric_is_defined(name):
    dataset, splits = on_real_files(name)
    assert dataset.protocol.batch_size <= len(splits.train)
    encoder = dataset.encoder()
    with torch.no_grad():
        assert torch.isfinite(encoder(splits.train.inputs[:32])).all()
    for split in (splits.train, splits.validation, splits.test):
        for task in dataset.tasks:
            target = split.targets[task.name].numpy()
            for metric in task.metrics:
                assert np.isfinite(metric.compute(target, np.full(target.shape, 0.1, dtype=np.float32)))


def test_census_labels_correlate_as_in_the_paper():
    """Ma et al. 2018: 0.1768 and 0.2373 in absolute value."""
    for name, expected in (("census_income", -0.1768), ("census_income:education", -0.2373)):
        _, splits = on_real_files(name)
        first, second = (target.numpy()[:, 0] for target in splits.train.targets.values())
        assert np.corrcoef(first, second)[0, 1] == pytest.approx(expected, abs=0.004)
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [199_523, 49_881, 49_881]


def swapped(data_dir: Path, name: str, content: bytes | str) -> tasks.Source:
    (path,) = data_dir.rglob(name)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return describe(path.parent)


@pytest.mark.parametrize("variant", ["income", "education"])
def test_no_input_of_census_knows_a_target_or_the_weight(ready, variant):
    """Whatever those fields hold, the inputs stay the same."""
    dataset, data_dir = ready("census_income", variant=variant)
    before = dataset.load(0, data_dir)
    fields = list(made_census_income.ATTRIBUTES)
    hidden = ["weight", "income", "marital_status", *(["education"] if variant == "education" else [])]
    table = made_census_income.rows(np.random.default_rng(0), 300)
    for row in table[::2]:
        for field, other in zip(hidden, ("1.00", "50000+.", "Never married", "10th grade"), strict=False):
            row[fields.index(field)] = other
    made_census_income.write(data_dir / "census_income_kdd" / made_census_income.TRAIN, table)
    dataset.source = describe(data_dir / "census_income_kdd")
    after = dataset.load(0, data_dir)
    assert torch.equal(after.train.inputs, before.train.inputs)
    assert not torch.equal(after.train.targets["never_married"], before.train.targets["never_married"])


def test_one_hot_expands_codes_and_leaves_unknown_values_out():
    layer = tables.OneHot({"age": 0, "sex": 2, "wage": 0, "state": 3})
    found = layer(torch.tensor([[0.5, -1.5, 1.0, 2.0], [0.0, 0.0, -1.0, 0.0]]))
    assert layer.width == 7
    assert found.tolist() == [[0.5, -1.5, 0, 1, 0, 0, 1], [0, 0, 0, 0, 1, 0, 0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: [*row[:-1], "60000."], r"holds the label '60000\.', but labels are - 50000\. and 50000\+\."),
        (lambda row: ["young", *row[1:]], "is no table of 42 fields: could not convert string to float"),
        (lambda row: ["inf", *row[1:]], "row 1 has no age, or one that is not finite"),
        (lambda row: row[:-1], "row 1 has no income"),
        (lambda row: [*row, "x"], "is no table of 42 fields"),
    ],
)
def test_a_wrong_row_of_census_is_one_sentence(ready, change, message):
    dataset, data_dir = ready("census_income")
    table = made_census_income.rows(np.random.default_rng(0), 300)
    made_census_income.write(data_dir / "census_income_kdd" / made_census_income.TRAIN, [change(table[0]), *table[1:]])
    dataset.source = describe(data_dir / "census_income_kdd")
    with pytest.raises(DatasetError, match=message) as caught:
        dataset.load(0, data_dir)
    assert made_census_income.TRAIN in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_values_than_a_field_has_are_refused(ready):
    dataset, data_dir = ready("census_income")
    table = made_census_income.rows(np.random.default_rng(0), 300)
    for number, row in enumerate(table):
        row[12] = f"sex {number}"
    made_census_income.write(data_dir / "census_income_kdd" / made_census_income.TRAIN, table)
    dataset.source = describe(data_dir / "census_income_kdd")
    with pytest.raises(DatasetError, match="the field sex has 300 values, but there are 2"):
        dataset.load(0, data_dir)


def test_every_pupil_belongs_to_one_school_and_every_school_to_every_split(ready):
    dataset, data_dir = ready("school")
    splits = dataset.load(0, data_dir)
    for split in (splits.train, splits.validation, splits.test):
        known = ~torch.stack([split.targets[task.name] for task in dataset.tasks]).isnan()
        assert (known.sum(0) == 1).all()
        assert (known.sum(1) > 0).all()
    scores = np.concatenate([cell[:, 0] for cell in made_school.cells()[1].flat])
    assert len(splits.train) + len(splits.validation) + len(splits.test) == len(scores)


def test_a_school_whose_scores_do_not_fit_is_named(ready):
    dataset, data_dir = ready("school")
    inputs, scores = made_school.cells()
    scores[0, 6] = scores[0, 6][:-1]
    savemat(data_dir / "school" / "school.mat", {"X": inputs, "Y": scores})
    dataset.source = describe(data_dir / "school")
    with pytest.raises(DatasetError, match=r"school\.mat: school 7 has inputs .* and scores"):
        dataset.load(0, data_dir)


def test_sarcos_trains_on_the_training_file_where_it_is_there_without_the_rows_of_the_test(ready):
    dataset, data_dir = ready("sarcos")
    alone = dataset.load(0, data_dir)
    assert [len(s) for s in (alone.train, alone.validation, alone.test)] == [120, 40, 40]
    test = made_sarcos.rows(0, 200)
    savemat(data_dir / "sarcos" / "sarcos_inv.mat", {"sarcos_inv": np.concatenate([made_sarcos.rows(1, 500), test])})
    with pytest.raises(DatasetError, match=r"sarcos_inv\.mat has 700 rows instead of 44484"):
        dataset.load(0, data_dir)
    dataset.training_rows = 700
    both = dataset.load(0, data_dir)
    assert [len(s) for s in (both.train, both.validation, both.test)] == [450, 50, 200]
    (data_dir / "sarcos" / "sarcos_inv.mat").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(DatasetError, match=r"sarcos_inv\.mat is a Git LFS pointer"):
        dataset.load(0, data_dir)
    savemat(data_dir / "sarcos" / "sarcos_inv.mat", {"sarcos": test})
    with pytest.raises(DatasetError, match=r"sarcos_inv\.mat lacks the variable sarcos_inv"):
        dataset.load(0, data_dir)


def test_subjects_of_parkinsons_are_in_one_split_only(ready):
    dataset, data_dir = ready("parkinsons", variant="subjects")
    splits = dataset.load(0, data_dir)
    lines = [line.split(",") for line in made_parkinsons.table()[1:]]
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [120, 40, 40]
    # The order of the file is kept, so 20 rows in a row are one subject's: each shows its own ages, scaled alike.
    ages = np.array([float(line[1]) for line in lines]).reshape(10, 20)
    for split in (splits.train, splits.validation, splits.test):
        scaled = split.inputs[:, 0].numpy().astype(np.float64).reshape(-1, 20)
        for block in scaled:
            assert max(np.corrcoef(block, own)[0, 1] for own in ages) == pytest.approx(1)


def test_nominal_inputs_of_mulan_are_expanded_and_missing_ones_are_the_mean(tmp_path):
    (tmp_path / "mulan_mtr").mkdir()
    (tmp_path / "mulan_mtr" / "sf1.arff").write_text(made_mulan.flares())
    inputs, targets = tables.read_arff(tmp_path / "mulan_mtr" / "sf1.arff", 3)
    assert inputs.shape == (120, tasks.get("mulan:sf1").table.inputs)
    assert targets.shape == (120, 3)
    assert (inputs[1:].sum(axis=1) == 10).all()
    assert inputs[0].sum() == 9
    dataset = tasks.get("mulan:sf1")
    dataset.source = describe(tmp_path / "mulan_mtr")
    assert dataset.load(0, tmp_path).train.inputs.shape == (72, 33)
    (split, _) = tables.regression_splits(
        ["y"], np.array([[1.0], [3.0], [np.nan]]), np.array([[0.0], [2.0], [4.0]]), [np.array([0, 1, 2]), np.array([0])]
    )
    assert split.inputs[:, 0].tolist() == [-1, 1, 0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("@relation x\n@attribute a numeric\n@data\nx\n", "is no ARFF file that can be read"),
        (made_mulan.river(20).replace("@attribute 'a0' numeric\n", "", 1), "is no ARFF|63 columns|has 6"),
        (made_mulan.arff(["numeric"] * 71 + ["{a,b}"], [["1"] * 71 + ["a"]] * 9), "targets and must be numeric"),
        (made_mulan.arff(["numeric"] * 72, [["1"] * 71 + ["?"]] * 9), "row 1 holds a number that is not finite"),
        (made_mulan.arff(["numeric"] * 72, [["1"] * 72] * 9), "the target 'chsi2' does not vary in the training split"),
        ("", "is no ARFF file that can be read"),
    ],
)
def test_what_is_wrong_with_an_arff_file_is_one_sentence(ready, content, message):
    dataset, data_dir = ready("mulan")
    dataset.source = swapped(data_dir, "rf1.arff", content)
    with pytest.raises(DatasetError, match=message) as caught:
        dataset.load(0, data_dir)
    assert "\n" not in str(caught.value)


def test_a_variant_is_part_of_the_name():
    assert [task.name for task in tasks.get("mulan:enb").tasks] == ["y1", "y2"]
    assert tasks.get("mulan:enb").source == tasks.get("mulan", variant="enb").source
    assert tasks.file_name("mulan:enb") == tasks.file_name("mulan") == "mulan"
    for name, parameters, message in (
        ("mulan:rf2", {}, "unknown variant of dataset mulan 'rf2': did you mean 'sf2'"),
        ("mulan:", {}, "unknown variant of dataset mulan ''"),
        ("mulan", {"variant": 3}, "unknown variant of dataset mulan '3'"),
        ("mulan:rf1", {"variant": "enb"}, "mulan:rf1 names its variant: leave the parameter variant out"),
        ("multi_digits:x", {}, "dataset multi_digits has no variants: write 'multi_digits'"),
        ("mulam:rf1", {}, "unknown dataset 'mulam': did you mean 'mulan'"),
    ):
        with pytest.raises(DatasetError, match=message):
            tasks.get(name, **parameters)


def test_variants_are_named_in_lists_benchmark_files_and_folders():
    assert {"mulan", "mulan:enb", "census_income:education"} <= set(catalogue.names("datasets"))
    content = {"name": "b", "datasets": {name: {"methods": ["equal"]} for name in ("mulan:enb", "mulan:slump")}}
    cells = config.cells(config.parse(content, "b.yaml"))
    assert [cell.folder.partition("/")[0] for cell in cells] == ["mulan-enb", "mulan-slump"]
    assert "mulan.py" in {path.name for path in cell_sources(cells[0])}
    with pytest.raises(InputError, match="unknown dataset 'mulam:enb': did you mean 'mulan'"):
        config.single_cell("mulam:enb", "equal")
    with pytest.raises(InputError, match="unknown variant of dataset mulan 'enp'"):
        config.single_cell("mulan:enp", "equal", seeds=(0,))


@pytest.mark.parametrize("widths", [(), [0], 64, ["64"], [True]])
def test_widths_are_whole_numbers(widths):
    with pytest.raises(DatasetError, match=r"adult: widths is .* but must be a list of whole numbers"):
        tasks.get("adult", widths=widths)
