"""What a run records about the machine and the code."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess

import pytest

from mtlbench import provenance


def git(folder, *arguments):
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    package = tmp_path / "repository" / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    git(tmp_path / "repository", "init")
    git(tmp_path / "repository", "add", ".")
    git(tmp_path / "repository", "commit", "-m", "first")
    yield package
    provenance._checkout.cache_clear()


def test_it_is_ready_for_json_and_the_same_every_time():
    one, two = provenance.collect(threads=2), provenance.collect(threads=2)
    assert json.dumps(one) == json.dumps(two)
    assert one["threads"] == 2
    assert one["python"] == platform.python_version()
    assert one["versions"]["torch"]
    assert one["cpu"]
    assert one["cores"] >= 1


def test_a_clean_checkout_has_its_commit(checkout):
    commit, dirty = provenance._checkout(checkout)
    assert len(commit) == 40
    assert dirty is False


def test_an_uncommitted_file_makes_it_dirty(checkout):
    (checkout / "new_method.py").write_text("")
    assert provenance._checkout(checkout)[1] is True


def test_a_stranger_s_checkout_is_not_ours(checkout):
    installed = checkout / "venv" / "site-packages" / "mtlbench"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    assert provenance._checkout(installed) == (None, None)


def test_without_git_there_is_no_commit_and_no_error(tmp_path, monkeypatch):
    assert provenance._checkout(tmp_path) == (None, None)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "package").mkdir()
    assert provenance._checkout(tmp_path / "package") == (None, None)
    provenance._checkout.cache_clear()


def test_the_processor_is_named_on_linux_and_elsewhere(tmp_path):
    table = tmp_path / "cpuinfo"
    table.write_text("processor\t: 0\nmodel name\t: A Fine Processor @ 3 GHz\n")
    assert provenance.cpu_model(table) == "A Fine Processor @ 3 GHz"
    assert provenance.cpu_model(tmp_path / "missing")


def test_a_package_that_is_not_there_has_no_version(monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGES", ("numpy", "no-such-package-at-all"))
    assert provenance.collect()["versions"]["no-such-package-at-all"] is None
