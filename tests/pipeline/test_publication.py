"""A bundle as a stranger meets it: checked and trained again, by commands of their own."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import bundles
import pytest

pytestmark = pytest.mark.xdist_group("publication")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a small benchmark that was really trained."""
    return bundles.train(tmp_path_factory.mktemp("bundle") / "small")


def test_a_bundle_is_verified_and_trained_again(mtlbench, bundle, tmp_path):
    checked = mtlbench("verify", str(bundle), str(bundle.parent))
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.count("leaderboard.csv and overall.csv come out of them to the same bytes") == 2
    fingerprints = re.findall(r"sha256 is ([0-9a-f]{64})", checked.stdout)
    assert len(fingerprints) == 2
    assert len(set(fingerprints)) == 1
    again = mtlbench("reproduce", str(bundle), "--cell", "scaled_regression/equal/1", "--out", "again")
    assert again.returncode == 0, again.stderr
    assert "same to the byte: all 4 files are" in again.stdout
    assert (tmp_path / "again" / "run.json").is_file()


def test_a_changed_bundle_fails_and_a_hostile_one_is_refused(mtlbench, bundle, tmp_path):
    changed, hostile = tmp_path / "changed.zip", tmp_path / "hostile.zip"
    with zipfile.ZipFile(bundle) as whole, zipfile.ZipFile(changed, "w") as file:
        for entry in whole.infolist():
            file.writestr(entry, whole.read(entry).replace(b"<p>3 seeds", b"<p>4 seeds"))
    done = mtlbench("verify", str(changed))
    assert (done.returncode, done.stdout) == (1, "")
    assert "report.html" in done.stderr
    with zipfile.ZipFile(hostile, "w") as file:
        file.writestr("small/../../../escaped", "x")
    done = mtlbench("verify", str(hostile))
    assert (done.returncode, done.stdout) == (2, "")
    assert "climbs out of the folder" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
