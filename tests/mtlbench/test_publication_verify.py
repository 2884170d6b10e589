"""One digit changed anywhere, and ``verify`` names the file."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path

import bundles
import pytest

from mtlbench.analysis import load
from mtlbench.errors import CheckFailed, InputError
from mtlbench.files import digest
from mtlbench.publication import manifest
from mtlbench.publication.verify import Verified, verify

pytestmark = pytest.mark.xdist_group("publication")
RUN = "runs/scaled_regression/hard_sharing/equal/seed-1"


def _said(path: Path) -> str:
    """What verify says against ``path``, and that it says something."""
    try:
        found = verify(path)
    except CheckFailed as error:
        return str(error)
    assert isinstance(found, list)
    return " ".join(found)


def _change_a_digit(path: Path, which: int = 0) -> None:
    content = bytearray(path.read_bytes())
    place = [match.start() for match in re.finditer(rb"[0-9]", content)][which]
    content[place] = ord("1") if content[place] == ord("0") else content[place] - 1
    path.write_bytes(content)


def test_a_result_and_its_bundle_are_as_they_say(trained: Path) -> None:
    for path in (trained, trained / "small.zip"):
        assert verify(path) == Verified(48, 9, digest(trained / "manifest.json"))


def test_a_digit_changed_in_any_file_is_found_and_the_file_named(trained: Path, small: Path) -> None:
    # One dataset leaves the table over all datasets empty.
    for name in set(manifest.listed(trained)) - {"overall.csv"}:
        _change_a_digit(small / name, which=-1)
        assert name in _said(small)
        (small / name).write_bytes((trained / name).read_bytes())
    assert isinstance(verify(small), Verified)


def test_a_digit_changed_in_the_manifest_is_found(trained: Path, small: Path) -> None:
    original = (trained / "manifest.json").read_bytes()
    for which in range(0, 200, 7):
        (small / "manifest.json").write_bytes(original)
        _change_a_digit(small / "manifest.json", which)
        assert _said(small)
    (small / "manifest.json").write_bytes(original.replace(b'{\n "files"', b'{\n "note": 1,\n "files"'))
    assert "manifest.json was changed" in _said(small)


def test_a_byte_changed_anywhere_in_the_archive_is_found(trained: Path, tmp_path: Path) -> None:
    content, path = (trained / "small.zip").read_bytes(), tmp_path / "changed.zip"
    draw = random.Random(0)
    directory = content.index(b"PK\x01\x02")
    places = [*draw.sample(range(len(content)), 40), *draw.sample(range(directory, len(content)), 20)]
    for place in [*range(30), *places, *range(len(content) - 22, len(content))]:
        changed = bytearray(content)
        changed[place] ^= 1
        path.write_bytes(changed)
        try:
            found = verify(path)
        except InputError as error:
            found = [str(error)]
        assert isinstance(found, list), place
        assert "changed.zip" in found[0]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda folder: (folder / RUN / "curves.csv").unlink(), f"{RUN}/curves.csv is missing"),
        (lambda folder: (folder / RUN / "more.csv").write_text(""), f"{RUN}/more.csv is not in the manifest"),
        (lambda folder: (folder / RUN / "run.json").write_text("{"), f"{RUN}/run.json is cut"),
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda folder: (folder / "manifest.json").write_text("[" * 10**5), "manifest.json is cut off or is not"),
        (lambda folder: (folder / "manifest.json").write_text('{"files": [1]}'), "manifest.json is cut off or is not"),
    ],
)
def test_files_missing_added_and_cut_are_named(small: Path, damage: Callable[[Path], None], sentence: str) -> None:
    damage(small)
    assert sentence in _said(small)


def _resign(folder: Path) -> None:
    """What a forger does who knows of the manifest."""
    manifest.write(folder)


def test_numbers_that_fit_the_manifest_but_not_each_other_are_found(small: Path) -> None:
    _change_a_digit(small / "leaderboard.csv", which=-1)
    _resign(small)
    assert re.search(r"leaderboard\.csv is not what its runs give \(line \d differs\)", _said(small))
    bundles.finish(small)
    (small / "overall.csv").write_text("track,setting,label,delta_m\ntuned,,mgda,-9\n")
    _resign(small)
    assert _said(small) == f"{small / 'overall.csv'} is not what its runs give (line 1 differs)"
    bundles.finish(small)
    _change_a_digit(small / RUN / "curves.csv", which=-1)
    _resign(small)
    assert f"{RUN}/curves.csv was changed: its sha256 is not the one in run.json" in _said(small)


def test_runs_on_another_disk_are_checked_too(small: Path, tmp_path: Path) -> None:
    (small / "runs").rename(tmp_path / "elsewhere")
    (small / "runs").symlink_to(tmp_path / "elsewhere")
    found = verify(bundles.finish(small))
    assert isinstance(found, Verified)
    assert found.runs == 9
    _change_a_digit(small / RUN / "run.json")
    assert f"{RUN}/run.json was changed" in _said(small)


@pytest.mark.parametrize("name", ["../../../../../../../../etc/passwd", "/dev/zero", "none.csv"])
def test_a_run_cannot_make_verify_read_other_files(small: Path, name: str) -> None:
    bundles.change_runs(small, files={name: "0"})
    _resign(small)
    assert "which is no file beside it" in _said(small)


def test_a_forged_run_ends_in_a_sentence_whatever_it_holds(small: Path) -> None:
    bundles.change_runs(small, metrics={"a": {"b": {"higher_is_better": True}}}, test={"a": {"b": 1}}, files={})
    for path in small.glob("runs/**/curves.csv"):
        path.write_text("epoch,split,task,metric,value\nx,y,a,b,1\n")
    _resign(small)
    assert "leaderboard.csv" in _said(small)


def test_results_of_a_method_that_is_not_installed_here_can_be_checked(small: Path) -> None:
    config = json.loads((small / "config.json").read_text())
    (small / "runs/scaled_regression/hard_sharing/equal").rename(small / "runs/scaled_regression/hard_sharing/theirs")
    config["datasets"]["scaled_regression"]["methods"][1] = "theirs"
    (small / "config.json").write_text(json.dumps(config))
    assert isinstance(verify(bundles.finish(small)), Verified)


def test_mixed_versions_and_configurations_do_not_merge(small: Path) -> None:
    path = small / RUN / "run.json"
    original = json.loads(path.read_text())
    made = original["provenance"]
    for change, sentence in (
        ({"recipe": original["recipe"] | {"protocol_version": 99}}, "protocol_version is 99, but 1"),
        ({"provenance": made | {"versions": made["versions"] | {"torch": "2.6.0"}}}, "torch is 2.6.0, but"),
        ({"provenance": made | {"code": "0" * 64}}, "code is 000000000000, but"),
        ({"configuration": original["configuration"] | {"learning_rate": 0.5}}, "learning_rate is 0.5, but None"),
        (
            {"configuration": original["configuration"] | {"method_parameters": {"solver": "exact"}}},
            "method_parameters is {'solver': 'exact'}, but {}",
        ),
    ):
        path.write_text(json.dumps(original | change))
        with pytest.raises(InputError, match="results of different versions or configurations do not merge") as caught:
            load.read(small)
        assert sentence in str(caught.value)
    for seed in range(3):  # a whole row trained longer than the others
        path = small / RUN.replace("seed-1", f"seed-{seed}") / "run.json"
        run = json.loads(path.read_text()) | {"provenance": made, "recipe": original["recipe"]}
        run["configuration"] = original["configuration"] | {"epochs": 9}
        path.write_text(json.dumps(run))
    with pytest.raises(InputError, match="epochs is 9, but 1"):
        load.read(small)
