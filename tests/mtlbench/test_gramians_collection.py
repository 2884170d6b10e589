"""The collection is what its README says; what is damaged or incomplete is said in one sentence."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
from dataclasses import replace
from fnmatch import fnmatch
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from mtlbench import cli, gramians, tasks
from mtlbench.errors import CheckFailed, InputError
from mtlbench.gramians.archive import STAGES, Meta, Record
from mtlbench.referee import validate
from mtlbench.referee.problems import COLLECTION, Settings, collected
from mtlbench.solvers import min_norm
from mtlbench.sources import module_closure

ROOM = Path(gramians.__file__).parent
ABOUT = {
    "title": "two Gramians",
    "version": 7,
    "licence": "MIT",
    "citation": "nobody",
    "sources": {"made": {"licence": "MIT", "citation": "nobody"}},
    "recorded_with": {"python": "3"},
    "recipe": ["made by hand"],
}


def made(name, size):
    rows = np.random.default_rng(size).standard_normal((2, size, 2 * size))
    gramian, noise = (np.maximum(g, g.T) for g in (r @ r.T for r in rows))
    meta = Meta(
        **{"name": name, "dataset": "made", "parameters": {}, "architecture": "none", "method": "equal", "seed": 0},
        **{"stage": "late", "step": 3, "epoch": 1, "tasks": size, "batch_size": 8, "micro_batches": 4},
        **{"optimizer": "sgd", "learning_rate": 0.1, "shared_parameters": 2 * size, "losses": [0.5] * size},
    )
    return Record(name, gramian, noise, meta)


MADE = [made("a/3", 3), made("b/2", 2), made("c/3", 3)]


@pytest.fixture
def submitted(tmp_path):
    path = tmp_path / "mine.json"
    gramians.write(path, ABOUT, MADE)
    return path


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["mtlbench", "gramians", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return left.value.code


def edited(path, **changes):
    index = json.loads(path.read_text())
    path.write_text(json.dumps(index | changes))


# ---- what ships -----------------------------------------------------------------------------------------------


def test_every_gramian_and_every_noise_of_the_collection_is_valid():
    for version in range(1, gramians.LATEST + 1):
        assert gramians.check(gramians.index_file(version))


def test_the_collection_spans_datasets_methods_stages_and_2_to_40_tasks():
    records = gramians.load(version=1)
    assert 150 <= len(records) <= 300
    assert {r.meta.dataset for r in records} == {"multi_digits", "multimnist", "scaled_regression"}
    assert {r.meta.method for r in records} == {"equal", "unit_gradient", "mgda", "mgda_ub"}
    assert [r.meta.stage for r in records] == list(STAGES) * (len(records) // 3)
    sizes = [len(r.gramian) for r in records]
    assert sizes == [r.meta.tasks for r in records]
    assert set(sizes) == {2, 3, 5, 10, 20, 40}
    assert len({r.gramian.tobytes() for r in records}) == len(records)
    assert gramians.names(1) == tuple(r.name for r in records)


def test_the_second_adds_every_dataset_that_trains_here_up_to_139_tasks():
    records = gramians.load(version=2)[len(gramians.load(version=1)) :]
    assert tuple(r.name for r in records) == gramians.names(2)[-len(records) :]
    assert len(set(gramians.names())) == len(gramians.names())
    assert [r.meta.stage for r in records] == list(STAGES) * (len(records) // 3)
    assert {r.meta.method for r in records} == {"equal", "mgda"}
    assert {len(r.gramian) for r in records} == {2, 3, 4, 6, 7, 8, 12, 14, 16, 139}
    # The files of those with a layout were never at hand; a record of toxcast, K = 617, takes 6 MB.
    trained = {name for name in tasks.names() if not tasks.get(name).source.layout} - {"toxcast"}
    assert {tasks.file_name(r.meta.dataset) for r in gramians.load()} == trained


def test_the_collection_holds_points_near_stationarity_and_norms_far_apart():
    squares = [np.diagonal(r.gramian) for r in gramians.load()]
    assert max(d.max() / d.min() for d in squares) > 1e10
    near = [
        2 * min_norm.objective(r.gramian, min_norm.solve(r.gramian).weights) / np.diagonal(r.gramian).min()
        for r in gramians.load()
    ]
    assert sum(value < 0.05 for value in near) >= 4


def test_a_batch_as_noisy_as_it_is_long_shows_in_the_noise():
    """E tr G = tr signal + tr N: the noise is no larger than the whole but for its own chance."""
    shares = np.array([np.trace(r.noise) / np.trace(r.gramian) for r in gramians.load()])
    assert (shares > 0).all()
    assert np.median(shares) < 1
    assert shares.max() < 5


def test_the_files_stay_small_and_ship_with_the_package():
    files = [path for path in ROOM.iterdir() if path.suffix in (".npz", ".json", ".md")]
    assert sum(path.stat().st_size for path in files) < 3_200_000
    project = tomllib.loads((ROOM.parents[1] / "pyproject.toml").read_text())
    data = project["tool"]["setuptools"]["package-data"]
    patterns = [*data["*"], *data["mtlbench.gramians"]]
    assert all(any(fnmatch(path.name, pattern) for pattern in patterns) for path in files)


def test_the_referees_problems_depend_on_the_collection_and_a_training_cell_does_not():
    for version in range(1, gramians.LATEST + 1):
        index = gramians.index_file(version)
        assert index in module_closure("mtlbench.referee.problems")
        assert index not in module_closure("mtlbench.training.cell")


# ---- loading --------------------------------------------------------------------------------------------------


def test_what_is_written_is_read_again_and_twice_the_same_bytes(submitted, tmp_path):
    for found, given in zip(gramians.read(submitted), MADE, strict=True):
        assert (found.name, found.meta) == (given.name, given.meta)
        assert (found.gramian == given.gramian).all()
        assert (found.noise == given.noise).all()
    again = tmp_path / "again" / "mine.json"
    gramians.write(again, ABOUT, MADE)
    for suffix in (".npz", ".json"):
        assert again.with_suffix(suffix).read_bytes() == submitted.with_suffix(suffix).read_bytes()


def test_anybody_can_read_the_archive_with_numpy_alone():
    with np.load(gramians.index_file(1).with_suffix(".npz"), allow_pickle=False) as file:
        forty = [r for r in gramians.load(1) if r.meta.tasks == 40]
        assert (file["gramians_40"] == np.stack([r.gramian for r in forty])).all()
        assert (file["noise_40"] == np.stack([r.noise for r in forty])).all()


def test_an_unknown_version_is_answered_in_a_sentence():
    for version in (0, 99):
        with pytest.raises(InputError, match=f"there is no collection {version}: versions run from 1 to"):
            gramians.load(version)


def test_a_damaged_collection_is_one_sentence(submitted):
    archive = submitted.with_suffix(".npz")
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content)
    with pytest.raises(CheckFailed, match=r"mine\.npz is damaged: its sha256 is not the one in mine\.json"):
        gramians.read(submitted)
    archive.unlink()
    with pytest.raises(CheckFailed, match=r"mine\.npz, the archive of mine\.json, cannot be read: No such file"):
        gramians.read(submitted)
    submitted.write_text(submitted.read_text()[:100])
    with pytest.raises(CheckFailed, match=r"mine\.json cannot be read as JSON"):
        gramians.read(submitted)


def test_a_thinning_grows_with_its_limit_and_meets_every_stage_alike():
    count = len(gramians.load())
    before: set[int] = set()
    for limit in range(1, count + 1):
        places = gramians.thinned(count, limit)
        assert len(places) == limit
        assert places == sorted(set(places))
        assert before < set(places)
        before = set(places)
        shares = np.bincount([place % 3 for place in places], minlength=3)
        assert shares.max() - shares.min() <= 4, limit
    assert gramians.thinned(count, 10 * count) == list(range(count))
    assert gramians.thinned(count, 1) == [0]


# ---- the check of a submission --------------------------------------------------------------------------------


def test_a_good_submission_passes(submitted, monkeypatch, capsys):
    assert run(monkeypatch, "check", submitted) == 0
    assert "mine.json: 3 Gramians of 2 to 3 tasks, all valid" in capsys.readouterr().out


def test_a_submission_that_does_not_exist_is_wrong_input(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, "check", tmp_path / "none.json") == 2
    assert "none.json does not exist" in capsys.readouterr().err


def altered(gramian=lambda g: g, noise=lambda n: n):
    return [replace(MADE[0], gramian=gramian(MADE[0].gramian), noise=noise(MADE[0].noise)), *MADE[1:]]


def entry(value):
    def change(matrix):
        matrix = matrix.copy()
        matrix[0, 1] = value(matrix[0, 1])
        return matrix

    return change


@pytest.mark.parametrize(
    ("records", "words"),
    [
        (altered(gramian=lambda g: g - 2 * np.diag(np.diag(g))), "the Gramian of a/3 is not valid: entry (0, 0)"),
        (altered(noise=entry(lambda _: np.nan)), "the noise of a/3 is not valid: entry (0, 1) of the Gramian is nan"),
        (
            altered(gramian=lambda g: np.full((3, 3), -0.9) + 1.9 * np.eye(3)),
            "the Gramian of a/3 is not valid: the matrix is no Gramian",
        ),
        (altered(noise=entry(np.nextafter(9, 8).__mul__)), "the noise of a/3 is not valid"),
        (altered(gramian=entry(lambda x: x * (1 + 1e-12))), "the Gramian of a/3 is not exactly symmetric"),
    ],
)
def test_a_matrix_that_is_no_gramian_fails_the_check(records, words, tmp_path, monkeypatch, capsys):
    gramians.write(tmp_path / "mine.json", ABOUT, records)
    assert run(monkeypatch, "check", tmp_path / "mine.json") == 1
    message = capsys.readouterr().err
    assert words in message
    assert len(message.strip().splitlines()) == 1


def without(key):
    return lambda records: [{k: v for k, v in records[0].items() if k != key}, *records[1:]]


def changed(**values):
    return lambda records: [records[0] | values, *records[1:]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("seed"), "records.0.seed: Field required"),
        (changed(stage="end"), "records.0.stage: Input should be 'early', 'middle' or 'late'"),
        (changed(tasks=2), "records.0: 3 losses for 2 tasks"),
        (changed(micro_batches=3), "records.0: a batch of 8 cannot be cut into 3 equal parts"),
        (changed(micro_batch=4), "records.0.micro_batch: Extra inputs are not permitted"),
        (changed(name="b/2"), "the name 'b/2' stands twice"),
        (changed(name="a b"), "records.0.name: String should match pattern"),
        (changed(losses=[0.5, float("inf"), 1.0]), "records.0.losses.1: Input should be a finite number"),
        (lambda records: records[1:], "gramians_3 is float64 (2, 3, 3); the index asks for float64 (1, 3, 3)"),
        (lambda records: records[1:2], "the index asks for gramians_2, noise_2"),
        (lambda _: [], "records: List should have at least 1 item"),
    ],
)
def test_metadata_that_do_not_fit_fail_the_check(change, words, submitted, monkeypatch, capsys):
    edited(submitted, records=change(json.loads(submitted.read_text())["records"]))
    assert run(monkeypatch, "check", submitted) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"licence": ""}, "licence: String should have at least 1 character"),
        ({"format": 2}, "format: Input should be 1"),
        ({"archive": "../mine.npz"}, "must be a file name"),
        ({"sha256": "0" * 64}, "mine.npz is damaged"),
    ],
)
def test_an_index_that_does_not_fit_fails_the_check(changes, words, submitted, monkeypatch, capsys):
    edited(submitted, **changes)
    assert run(monkeypatch, "check", submitted) == 1
    assert words in capsys.readouterr().err


def test_an_archive_with_pickles_or_of_another_kind_is_refused_though_its_digest_is_right(submitted):
    archive = submitted.with_suffix(".npz")
    np.savez(archive, gramians_2=np.array([None], dtype=object))
    edited(submitted, sha256=sha256(archive.read_bytes()).hexdigest())
    with pytest.raises(CheckFailed, match="is not a whole npz archive: Object arrays cannot be loaded"):
        gramians.read(submitted)
    archive.write_bytes(b"no archive")
    edited(submitted, sha256=sha256(b"no archive").hexdigest())
    with pytest.raises(CheckFailed, match="is not a whole npz archive"):
        gramians.read(submitted)


def test_the_names_are_listed_one_a_line(monkeypatch, capsys):
    assert run(monkeypatch, "list") == 0
    assert capsys.readouterr().out.split() == list(gramians.names())
    assert run(monkeypatch, "list", "--version", "9") == 2
    assert run(monkeypatch, "record", "--version", "9") == 2


def test_a_damaged_collection_stops_the_referee_in_a_sentence(tmp_path, monkeypatch, capsys):
    for path in (gramians.index_file(1), gramians.index_file(1).with_suffix(".npz")):
        shutil.copy(path, tmp_path / path.name)
    (tmp_path / "collection-1.npz").write_bytes(b"")
    monkeypatch.setattr(gramians, "index_file", lambda version: tmp_path / f"collection-{version}.json")
    assert run(monkeypatch, "list") == 1
    assert "collection-1.npz is damaged" in capsys.readouterr().err


# ---- as a family of the referee -------------------------------------------------------------------------------


def test_the_collection_is_judged_as_a_family_of_its_own(tmp_path):
    settings = Settings(sizes=(3,), per_size=2, iterations=20)
    result = validate.validate(tmp_path, settings, algorithms=["frank_wolfe"])
    assert result.passed, result.sentence()
    found = result.families["collection"]
    assert found["problems"] == 4
    assert len(found["sizes"]) > 1  # whatever the sizes of the drawn families
    judged = {
        entry["promise"] for entry in result.algorithms["frank_wolfe"]["promises"] if entry["family"] == COLLECTION
    }
    assert {"theory bound", "reach of relative gap 0.0001"} <= judged
    rows = [row for row in (tmp_path / "accuracy.csv").read_text().splitlines() if row.startswith("collection,")]
    assert len(rows) == 4


def test_a_small_validation_takes_few_of_the_collection_and_a_large_one_all():
    def count(**settings):
        return len(collected(Settings(**settings)))

    assert count(sizes=(1, 2, 3, 8), per_size=2) == 16
    assert count() == 48
    assert count(per_size=100) == len(gramians.load())
    assert collected(Settings(sizes=(2,), per_size=1))[0][1].name == gramians.names()[0]
