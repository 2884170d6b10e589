"""Methods of other packages, by their entry points: a real package lies on the import path for each test."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from mtlbench import catalogue, cli, config, methods, plugins, sources
from mtlbench.errors import InputError
from mtlbench.sections import Cell

METHOD = '''"""Weights K, K − 1, ..., 1."""

import numpy as np

from mtlbench.methods import LossMethod, Promises
from mtlbench.solvers import min_norm


class Falling(LossMethod):
    name = "falling"
    summary = "falling weights"
    source = "a test"
    promises = Promises(
        non_conflicting=False, common_scale=0.0, task_scale="linear", permutation=False, unique="weights"
    )

    def __init__(self, *, base=1.0, **common):
        super().__init__(**common)
        self.base = base

    def loss_weights(self, losses):
        return self.base * np.arange(len(losses), 0, -1.0)
'''


def install(folder: Path, package: str, version: str = "1.0", **entries: str) -> Path:
    """Write ``package`` with its metadata into ``folder``; ``entries`` are its entry points."""
    module = folder / package / "methods.py"
    module.parent.mkdir(parents=True)
    (folder / package / "__init__.py").write_text("")
    module.write_text(METHOD)
    info = folder / f"{package}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    lines = "".join(f"{name} = {value}\n" for name, value in entries.items())
    (info / "entry_points.txt").write_text(f"[mtlbench.methods]\n{lines}")
    return module


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages, its modules forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    plugins._read.cache_clear()
    plugins._warn.cache_clear()
    sources._closure.cache_clear()
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0].startswith("guest")]:
        del sys.modules[name]
    plugins._read.cache_clear()
    sources._closure.cache_clear()


def test_an_installed_method_is_one_of_all_methods_and_loaded_when_it_is_used(site):
    install(site, "guest_a", falling="guest_a.methods:Falling")
    assert "falling" in methods.names()
    assert "falling" not in methods.built_in()
    assert list(methods.names()) == sorted(methods.names())
    content = {"name": "b", "datasets": {"multi_digits": {"methods": [{"falling": {"base": 2}}]}}}
    (cell,) = config.cells(config.parse(content, "b.yaml"))
    assert "guest_a" not in sys.modules
    config.check_plugins(cell)
    np.testing.assert_array_equal(methods.get("falling", base=2.0).weights(losses=[1.0, 1.0]), [4.0, 2.0])
    (entry,) = [entry for entry in catalogue.describe("methods") if entry["name"] == "falling"]
    assert entry["summary"] == "falling weights"
    assert entry["options"] == {"base": 1.0, "head_weights": "same"}
    with pytest.raises(InputError, match="unknown option of falling 'bse': did you mean 'base'"):
        methods.get("falling", bse=1)
    with pytest.raises(InputError, match="unknown method 'fallin': did you mean 'falling'"):
        methods.get("fallin")
    assert "falling" not in catalogue.methods_page()


def test_a_name_of_ours_stays_ours_and_one_sentence_says_so(site):
    install(site, "guest_a", mgda="guest_a.methods:Falling", falling="guest_a.methods:Falling")
    sentence = "the method 'mgda' of the package guest_a 1.0 .* is not used: 'mgda' is a method of mtlbench itself"
    with pytest.warns(plugins.NameTaken, match=sentence) as said:
        assert methods.names().count("mgda") == 1
    assert type(methods.get("mgda")).__module__ == "mtlbench.methods.mgda"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        methods.names()  # said once
    (warning,) = said
    shown = cli._warning(warning.message, warning.category, warning.filename, warning.lineno)
    assert shown.startswith("mtlbench: the method 'mgda' of the package guest_a")
    assert shown.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("broken", "guest_b:Method", "the package guest_b 1.0 (guest_b:Method) cannot be loaded: OSError: no licence"),
        ("gone", "guest_c.methods:Method", "cannot be loaded: ModuleNotFoundError: No module named 'guest_c'"),
        ("missing", "guest_b.methods:Nothing", "cannot be loaded: AttributeError"),
        ("array", "guest_b.methods:np", "is no Method with the name 'array'"),
        ("misnamed", "guest_b.methods:Falling", "is no Method with the name 'misnamed'"),
    ],
)
def test_a_broken_one_is_a_sentence_when_it_is_used_and_only_then(site, name, value, words):
    install(site, "guest_b", **{name: value})
    if name == "broken":
        (site / "guest_b" / "__init__.py").write_text("raise OSError('no\\nlicence')\n")
    assert name in methods.names()
    assert {"equal", "mgda"} <= set(methods.names())
    with pytest.raises(InputError) as error:
        methods.get(name)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    (entry,) = [entry for entry in catalogue.describe("methods") if entry["name"] == name]
    assert words in entry["summary"]
    json.dumps(entry)


def test_two_packages_with_one_name_are_told_apart_only_by_the_user(site):
    install(site, "guest_a", falling="guest_a.methods:Falling")
    install(site, "guest_b", version="2.1", falling="guest_b.methods:Falling")
    assert methods.names().count("falling") == 1
    with pytest.raises(InputError) as error:
        methods.get("falling")
    said = str(error.value)
    assert "several packages offer a method 'falling'" in said
    assert "guest_a 1.0" in said
    assert "guest_b 2.1" in said


def digest(method: str) -> str:
    sources._closure.cache_clear()
    return sources.code_digest(Cell(benchmark="b", dataset="multi_digits", method=method, seeds=(0,)))


def test_its_file_and_what_it_imports_of_ours_decide_the_digest_of_its_cells_alone(site):
    module = install(site, "guest_a", falling="guest_a.methods:Falling")
    cell = Cell(benchmark="b", dataset="multi_digits", method="falling", seeds=(0,))
    files = sources.cell_sources(cell)
    assert module in files
    assert "active_set.py" in {file.name for file in files}
    before, equal = digest("falling"), digest("equal")
    module.write_text(METHOD.replace("self.base *", "2 * self.base *"))
    assert digest("falling") != before
    assert digest("equal") == equal
    module.write_text(METHOD)
    assert digest("falling") == before


def test_where_it_is_installed_is_no_part_of_the_digest(site, monkeypatch):
    first, second = site / "first", site / "second"
    found = []
    for folder in (first, second):
        install(folder, "guest_a", falling="guest_a.methods:Falling")
        with monkeypatch.context() as patched:
            patched.syspath_prepend(folder)
            found.append(digest("falling"))
            sys.modules.pop("guest_a", None)
    assert found[0] == found[1] != digest("equal")
