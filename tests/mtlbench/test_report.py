"""The report of a results folder made up from known numbers: what is written, and whether to trust it."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mtlbench import analysis
from mtlbench.analysis import load
from mtlbench.errors import InputError
from mtlbench.report import build, bundle, html, leaderboard, manifest, story

pytestmark = pytest.mark.xdist_group("report")

SCRIPT = "<script>alert(1)</script>"
SEEDS = (0, 1, 2)
# Effect of each method on a metric relative to single-task networks; +0.1 is 10 % worse.
METHODS = {
    "single_task": 0.0,
    "equal": 0.05,
    "mgda": -0.04,
    "mgda(solver=frank_wolfe)": -0.035,
    "unit_gradient": 0.3,
    SCRIPT: 0.052,
}
DATASETS: dict[str, dict[str, dict[str, tuple[float, bool, str]]]] = {
    # task: {metric: (level of single-task networks, higher is better, unit)}
    "digits": {
        "left": {"accuracy": (0.9, True, ""), "nll": (0.4, False, "nat")},
        "right": {"accuracy": (0.85, True, ""), "nll": (0.5, False, "nat")},
    },
    "scales": {f"task_{k}": {"mse": (10.0**k, False, "")} for k in range(3)},
}


def build_results(folder: Path, methods: dict[str, float] = METHODS, seeds: tuple[int, ...] = SEEDS) -> Path:
    """Write runs, cost and a verdict as the pipeline does; ``unit_gradient`` diverges once, on ``digits``."""
    for dataset, tasks in DATASETS.items():
        for index, (label, effect) in enumerate(methods.items()):
            for seed in seeds:
                _write_run(folder, dataset, tasks, label=label, index=index, effect=effect, seed=seed)
    _write_cost(folder, methods)
    _write_verdict(folder / "solvers")
    return folder


def _write_run(
    folder: Path, dataset: str, tasks: dict[str, Any], *, label: str, index: int, effect: float, seed: int
) -> None:
    target = folder / "runs" / dataset / "hard_sharing" / f"method-{index}" / f"seed-{seed}"
    target.mkdir(parents=True)
    rng = np.random.default_rng([seed, len(dataset)])  # the same noise for every method: paired
    own = np.random.default_rng([seed, index])
    diverged = label == "unit_gradient" and dataset == "digits" and seed == 1
    method = label.partition("(")[0] if label != SCRIPT else "custom"
    test: dict[str, dict[str, float]] = {}
    curve = []
    for task, metrics in tasks.items():
        for metric, (level, higher, _) in metrics.items():
            sign = -1 if higher else 1
            value = level * (1 + sign * effect + 0.01 * rng.normal() + 0.002 * own.normal())
            test.setdefault(task, {})[metric] = value
            for epoch in range(1, 9 if not diverged else 4):
                start = 0.3 if higher else 3.0
                at = value * (1 + (start - 1) * np.exp(-epoch / 2))
                curve += [(epoch, split, task, metric, at) for split in ("train", "validation")]
    audited = label != "single_task"
    inner = label.startswith("mgda")
    audit = {
        "interval": 10,
        "steps": 16,
        "conflict_rate": 0.4 + 0.05 * own.normal(),
        "noise_floor": 0.2,
        "excess_conflict": 0.15 + 0.05 * own.normal(),
        "update_conflict_rate": 0.25,
        "predicted_rise_rate": 0.375,
        "realised_rise_rate": 0.5,
        "smallest_cosine": -0.4,
        "worst_gap": 1e-13 * (index + 1) * (seed + 1) if inner else None,
        "median_stationarity": 0.1,
        "zero_task_events": 0,
        "inner_solves": 160 if inner else 0,
        "inner_solves_outside": 7 * (method != label) if inner else 0,
    }
    run = {
        "benchmark": folder.name,
        "dataset": dataset,
        "dataset_parameters": {},
        "architecture": "hard_sharing",
        "method": method,
        "method_parameters": {"solver": "frank_wolfe"} if "(" in label and inner else {},
        "label": label,
        "seed": seed,
        "epochs": 8,
        "status": "diverged" if diverged else "done",
        "reason": "the loss of task 'left' is nan at step 31" if diverged else None,
        "best_epoch": None if diverged else 7,
        "validation": {} if diverged else test,
        "test": {} if diverged else test,
        "metrics": {
            task: {name: {"higher_is_better": h, "unit": u} for name, (_, h, u) in metrics.items()}
            for task, metrics in tasks.items()
        },
        "audit": audit if audited else None,
        "options": {"solver": "active_set"} if inner else {},
        "backward_passes": len(tasks) if inner else 1,
        "configuration": {"dataset": dataset, "epochs": 8, "seeds": list(SEEDS)},
        "provenance": {"commit": "0123456789abcdef", "dirty": False, "torch": "2.13.0", "cpu": "a processor"},
        "complete": True,
    }
    (target / "run.json").write_text(json.dumps(run))
    pd.DataFrame(curve, columns=["epoch", "split", "task", "metric", "value"]).to_csv(
        target / "curves.csv", index=False
    )
    (target / "run.time.json").write_text(json.dumps({"started": f"2026-01-0{seed + 1}T10:00:00", "seconds": 3}))
    if audited:
        steps = np.arange(0, 160, 10)
        frame = pd.DataFrame({"step": steps, "epoch": steps // 20 + 1})
        frame["conflict"] = np.clip(0.5 + 0.2 * own.normal(size=16), 0, 1)
        frame["same_task_conflict"] = np.clip(0.2 + 0.01 * steps / 16 + 0.05 * own.normal(size=16), 0, 1)
        frame["cross_half_conflict"] = np.clip(0.5 + 0.1 * own.normal(size=16), 0, 1)
        frame["smallest_product"], frame["smallest_cosine"] = -1.0, -0.3
        frame["relative_gap"], frame["stationarity"] = 1e-14, 0.2
        frame.to_csv(target / "audit.csv", index=False)


def _write_cost(folder: Path, methods: dict[str, float]) -> None:
    rows = [
        {
            "dataset": dataset,
            "architecture": "hard_sharing",
            "label": label,
            "method": label.partition("(")[0],
            "seconds_per_step_median": 0.002 * (index + 1),
            "seconds_per_step_q25": 0.0019 * (index + 1),
            "seconds_per_step_q75": 0.0021 * (index + 1),
            "steps": 30,
            "trunk_backward_passes": 1,
            "peak_memory_mib": 300.0 + index,
            "device": "cpu",
        }
        for dataset in DATASETS
        for index, label in enumerate(methods)
    ]
    pd.DataFrame(rows).to_csv(folder / "cost.csv", index=False)


def _write_verdict(folder: Path) -> None:
    folder.mkdir()
    names, families = ("active_set", "exact", "frank_wolfe"), ("gaussian", "norms_1_to_1e3", "recorded")
    promise = {"promise": "theory bound", "checked": 40, "broken": 0, "worst": 0.4, "detail": ""}
    verdict = {
        "passed": True,
        "algorithms": {
            name: {
                "passed": True,
                "problems": 30,
                "promises": [{**promise, "family": family} for family in families],
            }
            for name in names
        },
        "families": {family: {"problems": 10} for family in families},
        "environment": {},
    }
    (folder / "verdict.json").write_text(json.dumps(verdict))
    rng = np.random.default_rng(0)
    rows = [
        (f, 8, p, a, 12, True, 1e-13 * rng.random(), 1e-13, 1e-7) for a in names for f in families for p in range(4)
    ]
    iterations = [1, 2, 5, 10, 20, 50]
    traces = [(f, 8, a, i, 1 / i, 0.5 / i, 2 / i) for a in names for f in families for i in iterations]
    head = ["family", "size", "algorithm", "iteration"]
    frame = pd.DataFrame(traces, columns=[*head, "relative_gap", "objective_error", "bound"])
    frame.to_csv(folder / "traces.csv", index=False)
    frame[head].assign(seconds=1e-5 * frame["iteration"]).to_csv(folder / "traces.time.csv", index=False)
    columns = ["family", "size", "problem", "algorithm", "iterations", "converged"]
    columns += ["relative_gap", "objective_error", "direction_distance"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "accuracy.csv", index=False)
    times = [(a, f, k, 1.5 * k, 1e-12) for a in names for f in families for k in (2, 16)]
    columns = ["algorithm", "family", "size", "median_us", "relative_gap"]
    pd.DataFrame(times, columns=columns).to_csv(folder / "timing.csv", index=False)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with its leaderboard and report written; tests only read it."""
    folder = build_results(tmp_path_factory.mktemp("results") / "sample")
    (folder / "logs").mkdir()
    (folder / "logs" / "noise.log").write_text("not part of the results")
    leaderboard.write(folder)
    build.write(folder)
    return folder


@pytest.fixture
def fresh(tmp_path: Path, results: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(results, tmp_path / "sample"))


def write_page(folder: Path) -> str:
    """Write the page again without drawing the pictures again; returns its text."""
    records = load.read(folder)
    table = load.table(records)
    return html.write(folder, records, table, analysis.leaderboard(table)).read_text(encoding="utf-8")


class _Page(HTMLParser):
    """What a browser would run or fetch, and the text it would show."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts, self.fetched, self.handlers = 0, [], []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "action", "data") and not (value or "").startswith(("#", "data:")):
                self.fetched.append(value)
            if name.startswith("on"):
                self.handlers.append(name)
            if name == "id":
                self.ids.append(value or "")


def _page(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


class TestTables:
    def test_known_effects_come_back(self, results: Path) -> None:
        board = pd.read_csv(results / "leaderboard.csv").set_index(["dataset", "label"])
        for (_, label), row in board.iterrows():
            assert row["delta_m"] == pytest.approx(100 * METHODS[label], abs=0.7)
        better = board.loc["digits", "mgda"]
        assert better["delta_m"] + better["delta_m_half_width"] < 0
        assert better["delta_m_vs_equal"] == pytest.approx(-9, abs=0.7)
        assert better["mean_rank"] == 1

    def test_diverged_run_is_shown_with_its_reason_and_ranks_last(self, results: Path) -> None:
        board = pd.read_csv(results / "leaderboard.csv").set_index(["dataset", "label"])
        row = board.loc["digits", "unit_gradient"]
        assert (row["runs"], row["done"], row["diverged"], row["failed"]) == (3, 2, 1, 0)
        assert row["reason"] == "the loss of task 'left' is nan at step 31 (seed 1)"
        assert board.loc["digits"].index[-1] == "unit_gradient"
        for kind in ("md", "tex", "html"):
            assert "2/3 (1 diverged)" in (results / f"leaderboard.{kind}").read_text()
        assert "the loss of task &#39;left&#39; is nan at step 31" in (results / "report.html").read_text()

    def test_csv_knows_no_times_and_the_others_show_them(self, results: Path) -> None:
        header = (results / "leaderboard.csv").read_text().splitlines()[0]
        assert "seconds" not in header
        assert "memory" not in header
        for kind in ("md", "tex", "html"):
            text = (results / f"leaderboard.{kind}").read_text()
            assert "6.00 ms" in text
            assert "memory" in text

    def test_csv_depends_neither_on_time_nor_on_the_order_of_the_runs(self, results: Path, tmp_path: Path) -> None:
        turned = build_results(tmp_path / "sample")
        for dataset in DATASETS:
            folder = turned / "runs" / dataset / "hard_sharing"
            for index in range(len(METHODS)):
                (folder / f"method-{index}").rename(folder / f"a{9 - index}")
        (turned / "cost.csv").unlink()
        leaderboard.write(turned)
        assert (turned / "leaderboard.csv").read_bytes() == (results / "leaderboard.csv").read_bytes()

    def test_names_are_escaped(self, results: Path) -> None:
        assert "&lt;script&gt;alert" in (results / "leaderboard.md").read_text()
        assert r"\textless{}script\textgreater{}alert" in (results / "leaderboard.tex").read_text()
        assert _page(results / "leaderboard.html").scripts == 1

    def test_latex_uses_booktabs_and_as_many_cells_as_columns(self, results: Path) -> None:
        tables = (results / "leaderboard.tex").read_text().split(r"\begin{tabular}{")[1:]
        assert len(tables) == len(DATASETS)
        for table in tables:
            columns = len(table[: table.index("}")])
            rows = [line for line in table.splitlines() if line.endswith(r"\\")]
            assert r"\toprule" in table
            assert len(rows) == 1 + len(METHODS)
            assert {line.count(" & ") + 1 for line in rows} == {columns}

    def test_one_seed_has_no_interval_and_says_so(self, tmp_path: Path) -> None:
        folder = build_results(tmp_path / "single", seeds=(0,))
        leaderboard.write(folder)
        board = pd.read_csv(folder / "leaderboard.csv")
        assert board[[name for name in board if name.endswith("_half_width")]].isna().all(axis=None)
        text = (folder / "leaderboard.md").read_text()
        assert "One seed only: there is no spread to estimate, so no interval is given." in text
        assert "±" not in text.split("Mean ± half width")[0]

    def test_without_reference_rows_the_table_says_what_is_missing(self, tmp_path: Path) -> None:
        folder = build_results(tmp_path / "bare", methods={"mgda": -0.04, "unit_gradient": 0.3})
        leaderboard.write(folder)
        text = (folder / "leaderboard.md").read_text()
        assert "No single-task networks were trained here, so Δm is not defined." in text
        assert "Equal weighting was not run here" in text


class TestPage:
    def test_loads_nothing_and_runs_only_its_own_script(self, results: Path) -> None:
        page = _page(results / "report.html")
        text = (results / "report.html").read_text()
        assert page.fetched == []
        assert page.handlers == []
        assert page.scripts == 1
        assert "<script>alert" not in text
        assert re.findall(r"url\((?!#)", text) == []
        assert "@import" not in text

    def test_ids_are_unique_and_every_anchor_exists(self, results: Path) -> None:
        page = _page(results / "report.html")
        text = (results / "report.html").read_text()
        assert len(page.ids) == len(set(page.ids))
        assert set(re.findall(r'href="#([^"]+)"', text)) <= set(page.ids)
        assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(page.ids)

    def test_summary_says_what_the_intervals_say(self, results: Path) -> None:
        text = (results / "report.html").read_text()
        summary = text[text.index('id="summary"') : text.index('id="leaderboard"')]
        digits = summary[: summary.index("<h3>scales")]
        assert "mgda has the lowest Δm" in digits
        assert "better than single-task networks" in digits
        assert "Cannot be told apart from equal weighting: &lt;script&gt;" in digits
        assert "unit_gradient: 1 of 3 runs did not end (1 diverged)." in digits

    def test_holds_every_picture(self, results: Path) -> None:
        names = {path.stem for path in (results / "plots").glob("*.svg")}
        assert {"leaderboard", "toy", "story", "solvers_gap", "curves-digits-hard_sharing"} <= names
        assert {path.stem for path in (results / "plots").glob("*.png")} == names
        assert (results / "report.html").read_text().count("<svg") == len(names)

    def test_the_story_stands_in_the_solver_chapter_with_a_caption_for_every_panel(self, results: Path) -> None:
        text = (results / "report.html").read_text()
        solvers = text[text.index('id="solvers"') : text.index('id="broken"')]
        assert 'aria-label="story"' in solvers
        for panel in story.PANELS:
            assert f"<li><strong>{panel.title}.</strong> {panel.caption}</li>" in solvers

    def test_foreign_picture_cannot_run_or_fetch(self, fresh: Path) -> None:
        (fresh / "plots" / "evil.svg").write_text(
            '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script>'
            '<image href="http://x.example/a.png"/><rect style="fill: url(http://x.example/#a)" id="r"/></svg>'
        )
        write_page(fresh)
        page = _page(fresh / "report.html")
        assert (page.scripts, page.fetched, page.handlers) == (1, [], [])
        assert "x.example" not in (fresh / "report.html").read_text()

    def test_without_cost_and_solvers_the_page_says_so(self, fresh: Path) -> None:
        shutil.rmtree(fresh / "solvers")
        (fresh / "cost.csv").unlink()
        text = write_page(fresh)
        assert "The solvers were not validated for this report" in text
        assert "6.00 ms" not in text

    def test_broken_promise_is_named(self, fresh: Path) -> None:
        path = fresh / "solvers" / "verdict.json"
        verdict = json.loads(path.read_text())
        verdict["passed"] = False
        verdict["algorithms"]["exact"]["promises"][0] |= {"broken": 2, "worst": None, "detail": "gap 3 on gaussian-8"}
        path.write_text(json.dumps(verdict))
        text = write_page(fresh)
        assert "a solver broke a promise" in text
        assert "exact, theory bound: gap 3 on gaussian-8" in text

    @pytest.mark.parametrize("name", ["solvers/verdict.json", "plots/evil.svg", "cost.csv"])
    def test_cut_file_is_one_sentence_naming_it(self, fresh: Path, name: str) -> None:
        (fresh / name).write_text("<svg" if name.endswith("svg") else '{"passed"')
        with pytest.raises(InputError, match=re.escape(name)):
            write_page(fresh)


class TestFiles:
    def test_pictures_and_page_repeat_to_the_byte(self, results: Path, fresh: Path) -> None:
        shutil.rmtree(fresh / "plots")
        build.write(fresh)
        for path in sorted((results / "plots").iterdir()):
            assert (fresh / "plots" / path.name).read_bytes() == path.read_bytes(), path.name
        assert (fresh / "report.html").read_bytes() == (results / "report.html").read_bytes()

    def test_manifest_lists_every_file_but_logs_and_itself(self, results: Path) -> None:
        files = json.loads((results / "manifest.json").read_text())["files"]
        present = {path.relative_to(results).as_posix() for path in results.rglob("*") if path.is_file()}
        assert set(files) == {name for name in present if not name.startswith("logs/")} - {"manifest.json"}
        for name, entry in files.items():
            content = (results / name).read_bytes()
            assert entry == {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        assert manifest.differences(results) == []

    def test_manifest_names_what_was_changed_cut_removed_or_added(self, fresh: Path) -> None:
        text = (fresh / "leaderboard.csv").read_text()
        (fresh / "leaderboard.csv").write_text(text.replace("3", "4", 1))
        (fresh / "leaderboard.md").write_text("#")
        (fresh / "leaderboard.tex").unlink()
        (fresh / "extra.txt").write_text("")
        said = " ".join(manifest.differences(fresh))
        assert "leaderboard.csv was changed" in said
        assert "leaderboard.md is cut" in said
        assert "leaderboard.tex is missing" in said
        assert "extra.txt is not in the manifest" in said

    def test_bundle_holds_the_files_and_repeats_to_the_byte(self, fresh: Path) -> None:
        first = bundle.write(fresh).read_bytes()
        assert manifest.differences(fresh) == []
        assert bundle.write(fresh).read_bytes() == first
        with zipfile.ZipFile(io.BytesIO(first)) as archive:
            names = archive.namelist()
            assert archive.testzip() is None
            assert archive.read("sample/report.html") == (fresh / "report.html").read_bytes()
        assert "sample/manifest.json" in names
        assert not any("logs" in name for name in names)

    def test_bundle_refuses_files_that_are_not_what_the_manifest_says(self, fresh: Path) -> None:
        (fresh / "leaderboard.md").write_text("#")
        with pytest.raises(InputError, match=r"leaderboard\.md is cut"):
            bundle.write(fresh)
        assert not (fresh / "sample.zip").exists()
