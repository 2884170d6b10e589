"""Architectures in a benchmark file: their parameters, what a reader sees, and which sources they stand for."""

from __future__ import annotations

import json

import pytest

from mtlbench import architectures, catalogue, config
from mtlbench.errors import InputError
from mtlbench.runs import read
from mtlbench.sections import Cell
from mtlbench.sources import cell_sources
from mtlbench.training.cell import run_cell


def parsed(architecture, method="equal"):
    content = {"name": "x", "seeds": 1, "datasets": {"multi_digits": {"architecture": architecture}}}
    content["datasets"]["multi_digits"]["methods"] = [method]
    return config.cells(config.parse(content, "x.yaml"))


@pytest.mark.parametrize(
    ("architecture", "labels"),
    [
        ("mmoe", ["mmoe"]),
        ({"mmoe": {"experts": 8}}, ["mmoe(experts=8)"]),
        ({"mmoe": None}, ["mmoe"]),
        (["hard_sharing", {"ple": {"levels": 3}}], ["hard_sharing", "ple(levels=3)"]),
        (
            {"small_towers": {"gamma": 2, "base": {"hard_sharing": {"encoder": {"mlp": {"width": 9}}}}}},
            ["small_towers(gamma=2, base=hard_sharing(encoder=mlp(width=9)))"],
        ),
    ],
)
def test_a_file_gives_architectures_parameters_and_each_is_an_arena(architecture, labels):
    cells = parsed(architecture)
    assert [cell.architecture_label for cell in cells] == labels
    assert len({cell.folder for cell in cells}) == len(labels)
    for cell in cells:
        config.check_plugins(cell)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("mmoo", "unknown architecture 'mmoo': did you mean 'mmoe'"),
        ([{"mmoe": {"experts": 2}}, {"mmoe": {"experts": 2}}], r"architecture: mmoe\(experts=2\) is listed twice"),
        ({"mmoe": {}, "ple": {}}, "an architecture is written as its name, or as"),
        ({"mmoe": 3}, "an architecture is written as its name, or as"),
        ([], "datasets.multi_digits.architecture: .*at least 1 item"),
    ],
)
def test_a_wrong_entry_is_answered_when_the_file_is_read(architecture, message):
    with pytest.raises(InputError, match=message):
        parsed(architecture)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"mmoe": {"expert": 2}}, "unknown parameter of mmoe 'expert': did you mean 'experts'"),
        ({"mmoe": {"experts": 0}}, "experts of mmoe: input should be greater than 0, got 0"),
        ({"mmoe": {"experts": "4"}}, "experts of mmoe: input should be a valid integer, got '4'"),
        ({"cross_stitch": {"same": 1.5}}, "same of cross_stitch: input should be less than or equal to 1, got 1.5"),
        ({"hard_sharing": {"encoder": "le_net"}}, "unknown encoder 'le_net': did you mean 'lenet'"),
        ({"ple": {"encoder": {"mlp": {"widht": 3}}}}, "unknown parameter of mlp 'widht': did you mean 'width'"),
        ({"ple": {"head": "linnear"}}, "unknown head 'linnear': did you mean 'linear'"),
        ({"ple": {"head": ["mlp"]}}, "head of ple: a head is written as its name, or as"),
        ({"small_towers": {"base": "ple"}}, "small_towers cannot wrap ple: .*; wrap hard_sharing or mmoe"),
        ({"small_towers": {"base": "mmoo"}}, "unknown architecture 'mmoo': did you mean 'mmoe'"),
        ({"small_towers": {"base": {"mmoe": {"expert": 2}}}}, "unknown parameter of mmoe 'expert'"),
        ({"small_towers": {"gamma": -1}}, "gamma of small_towers: input should be greater than or equal to 0, got -1"),
        (
            {"small_towers": {"auxiliary": "pseudo_tasks", "gamma": 2}},
            "gamma of small_towers has no meaning with auxiliary: pseudo_tasks: leave it out",
        ),
        ({"small_towers": {"auxiliary": "same_sizes"}}, "auxiliary of small_towers: input should be 'small'"),
    ],
)
def test_a_wrong_parameter_is_answered_before_anything_trains(architecture, message):
    (cell,) = parsed(architecture)
    with pytest.raises(InputError, match=f"multi_digits, equal: {message}"):
        config.check_plugins(cell)


def test_a_method_at_the_representation_needs_an_architecture_that_has_one():
    (cell,) = parsed({"mtan": {"depth": 1}}, "mgda_ub")
    with pytest.raises(InputError, match="mgda_ub compares the tasks at one representation, and mtan shares several"):
        config.check_plugins(cell)


def test_parameters_of_one_cell_are_checked_too():
    with pytest.raises(InputError, match="did you mean 'experts'"):
        config.single_cell(
            "multi_digits", "equal", architecture="mmoe", architecture_parameters={"expert": 1}, seeds=(0,)
        )


def test_a_run_says_which_architecture_it_trained(tiny, tiny_cell, tmp_path):
    cell = tiny_cell(architecture="mmoe", architecture_parameters={"experts": 2}, epochs=1)
    assert run_cell(cell, tmp_path, progress=False) == ["done"]
    record = read(tmp_path / cell.folder / "seed-0")
    assert record["architecture"] == "mmoe(experts=2)"
    assert record["configuration"]["architecture_parameters"] == {"experts": 2}


def test_a_cell_depends_on_its_own_architecture_and_encoder_alone():
    def names(architecture, **parameters):
        made = {"architecture": architecture, "architecture_parameters": parameters}
        cell = Cell(benchmark="b", dataset="multi_digits", method="equal", seeds=(0,), **made)
        return {path.name for path in cell_sources(cell) if "architectures" in path.parts}

    assert {"hard_sharing.py", "architecture.py", "heads.py", "_parts.py"} <= names("hard_sharing")
    assert not {"mmoe.py", "ple.py", "lenet.py", "small_towers.py", "mtan.py", "segnet.py"} & names("hard_sharing")
    assert {"mmoe.py", "lenet.py"} <= names("mmoe", encoder={"lenet": {"kernel": 3}})
    assert {"small_towers.py", "hard_sharing.py"} <= names("small_towers")
    assert {"mmoe.py", "mlp.py"} <= names("small_towers", base={"mmoe": {"encoder": "mlp"}})
    assert "segnet.py" in names("mtan")


def test_the_list_shows_every_architecture_with_its_parameters():
    found = {entry["name"]: entry for entry in catalogue.describe("architectures")}
    assert list(found) == list(architectures.names())
    assert found["mmoe"]["parameters"] == {"encoder": None, "head": None, "trunk": False, "experts": 4}
    assert found["small_towers"]["parameters"]["base"] == "hard_sharing"
    assert all(entry["summary"].endswith(".") for entry in found.values())
    json.dumps(list(found.values()))
