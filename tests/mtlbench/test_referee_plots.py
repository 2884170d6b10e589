"""Convergence plots are drawn from the traces, the same bytes each time; timing.csv from pytest-benchmark's JSON."""

import json
from xml.etree import ElementTree

import pandas as pd
import pytest

from mtlbench.errors import InputError
from mtlbench.referee import plots, timing, validate
from mtlbench.referee.families import FAMILIES
from mtlbench.referee.problems import Settings

pytestmark = pytest.mark.xdist_group("plots")


@pytest.fixture(scope="module")
def solvers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("solvers")
    settings = Settings(sizes=(2, 6), per_size=1, iterations=30)
    validate.validate(folder, settings, algorithms=["active_set", "exact", "frank_wolfe", "smooth_min"])
    return folder


def test_plots_are_whole_and_the_same_bytes_each_time(solvers, tmp_path):
    for name in ("traces.csv", "traces.time.csv"):  # two families are enough here, and sooner drawn
        table = pd.read_csv(solvers / name)
        table[table["family"].isin(["gaussian", "zero_row"])].to_csv(tmp_path / name, index=False)
    written = plots.write(tmp_path, tmp_path / "first")
    assert sorted(path.name for path in written) == sorted(
        f"solvers_{what}.{kind}" for what in ("gap", "bound", "time") for kind in ("svg", "png", "pdf")
    )
    for path, again in zip(written, plots.write(tmp_path, tmp_path / "second"), strict=True):
        assert path.read_bytes() == again.read_bytes()
        if path.suffix == ".svg":
            assert ElementTree.parse(path).getroot().tag.endswith("svg")
            assert "<dc:date>" not in path.read_text()
        else:
            assert path.read_bytes().startswith({".png": b"\x89PNG", ".pdf": b"%PDF"}[path.suffix])


def test_the_bound_is_drawn_dashed_beside_the_error_and_only_there(solvers):
    traces = pd.read_csv(solvers / "traces.csv")
    for column, expected in (("objective_error", 2), ("relative_gap", 0)):
        panel = plots.figure(traces, "iteration", column).axes[0]
        assert panel.get_title() == "gaussian, K = 6"
        assert panel.get_xscale() == panel.get_yscale() == "log"
        dashed = [line for line in panel.lines if line.get_linestyle() == "--" and len(line.get_xdata())]
        drawn = [line for line in dashed if pd.notna(line.get_ydata()).any()]
        assert len(drawn) == expected  # frank_wolfe and smooth_min state a bound


def test_traces_hold_every_family_and_never_exceed_their_bounds(solvers):
    traces = pd.read_csv(solvers / "traces.csv")
    assert set(traces["family"]) == {*FAMILIES, "collection"}
    stated = traces.dropna(subset=["bound"])
    assert set(stated["algorithm"]) == {"frank_wolfe", "smooth_min"}
    assert (stated["objective_error"] <= stated["bound"] + 1e-12).all()


def test_plots_without_a_validation_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match=r"traces\.csv does not exist: run the validation first"):
        plots.write(tmp_path, tmp_path)


def test_timing_table_reads_what_pytest_benchmark_saves(tmp_path):
    entry = {
        "extra_info": {"algorithm": "exact", "family": "gaussian", "size": 2, "relative_gap": 1e-13},
        "stats": {"median": 1.5e-3, "iqr": 2e-5, "rounds": 7},
    }
    saved = tmp_path / "benchmark.json"
    other = {"extra_info": {"parameters": 10}, "stats": entry["stats"]}
    saved.write_text(json.dumps({"benchmarks": [other, entry]}))
    table = timing.table(saved)
    assert list(table.columns) == list(timing.COLUMNS)
    assert table.iloc[0].to_dict() == {
        "algorithm": "exact",
        "family": "gaussian",
        "size": 2,
        "median_us": 1500.0,
        "iqr_us": 20.0,
        "rounds": 7,
        "relative_gap": 1e-13,
    }


def test_timing_table_refuses_other_files_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match="does not exist: run the benchmark suite first"):
        timing.table(tmp_path / "benchmark.json")
    (tmp_path / "cut.json").write_text('{"benchmarks": [')
    with pytest.raises(InputError, match="cannot be read as JSON"):
        timing.table(tmp_path / "cut.json")
    (tmp_path / "empty.json").write_text('{"benchmarks": []}')
    with pytest.raises(InputError, match="holds no timed solver"):
        timing.table(tmp_path / "empty.json")
    (tmp_path / "other.json").write_text('{"benchmarks": [{"stats": {}}]}')
    with pytest.raises(InputError, match="'extra_info' is missing"):
        timing.table(tmp_path / "other.json")
