"""The report of a results folder made up from known numbers: what is written, and whether to trust it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from made_up import DATASETS, METHODS, build_results

from mtlbench import analysis
from mtlbench.analysis import load
from mtlbench.errors import CheckFailed
from mtlbench.publication import manifest
from mtlbench.report import build, html, leaderboard, story

pytestmark = pytest.mark.xdist_group("report")


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
    board, curves = analysis.leaderboard(table, all_metrics=True), load.curves(records)
    return html.write(folder, records, table, board, curves).read_text(encoding="utf-8")


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
        for kind in ("md", "html"):
            text = (results / f"leaderboard.{kind}").read_text()
            assert "6.00 ms" in text
            assert "memory" in text
        assert r"$\times$ equal" in (results / "leaderboard.tex").read_text()

    def test_csv_depends_neither_on_time_nor_on_the_order_of_the_runs(self, results: Path, tmp_path: Path) -> None:
        turned = build_results(tmp_path / "sample")
        for dataset in DATASETS:
            folder = turned / "runs" / dataset / "hard_sharing"
            for index in range(len(METHODS)):
                (folder / f"method-{index}").rename(folder / f"a{9 - index}")
        (turned / "cost.csv").unlink()
        leaderboard.write(turned)
        assert (turned / "leaderboard.csv").read_bytes() == (results / "leaderboard.csv").read_bytes()

    def test_all_datasets_together_stand_first_in_every_format(self, results: Path) -> None:
        together = pd.read_csv(results / "overall.csv")
        assert set(together["label"]) == set(METHODS) - {"single_task"}
        assert together.set_index("label").loc["mgda", "delta_m"] == pytest.approx(-4, abs=0.7)
        for kind in ("md", "tex", "html"):
            text = (results / f"leaderboard.{kind}").read_text().replace("\\_", "_")
            assert 0 < text.index("Over all datasets") < text.index("single_task")
        assert (results / "leaderboard.html").read_text().count('class="home"') == len(DATASETS)

    def test_a_single_dataset_has_no_table_over_all(self, tmp_path: Path) -> None:
        folder = build_results(tmp_path / "one")
        shutil.rmtree(folder / "runs" / "scales")
        leaderboard.write(folder)
        assert (folder / "overall.csv").read_text() == "track,setting,label\n"
        assert "Over all datasets" not in (folder / "leaderboard.md").read_text()

    def test_names_are_escaped(self, results: Path) -> None:
        assert "&lt;script&gt;alert" in (results / "leaderboard.md").read_text()
        assert r"\textless{}script\textgreater{}alert" in (results / "leaderboard.tex").read_text()
        assert _page(results / "leaderboard.html").scripts == 1

    def test_latex_uses_booktabs_and_as_many_cells_as_columns(self, results: Path) -> None:
        tables = (results / "leaderboard.tex").read_text().split(r"\begin{tabular}{")[1:]
        assert len(tables) == 1 + len(DATASETS)
        for table, rows_wanted in zip(tables, (len(METHODS) - 1, *[len(METHODS)] * len(DATASETS)), strict=True):
            columns = len(table[: table.index("}")])
            rows = [line for line in table.splitlines() if line.endswith(r"\\")]
            assert r"\toprule" in table
            assert len(rows) == 1 + rows_wanted
            assert {line.count(" & ") + 1 for line in rows} == {columns}

    @pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
    def test_latex_compiles_with_booktabs_alone(self, results: Path, tmp_path: Path) -> None:
        text = (results / "leaderboard.tex").read_text()
        document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{text}\end{{document}}"
        (tmp_path / "paper.tex").write_text(document)
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]

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
        digits = summary[summary.index(">digits</a>") : summary.index(">scales</a>")]
        assert "mgda has the lowest Δm" in digits
        assert "better than single-task networks" in digits
        assert "Cannot be told apart from equal weighting: &lt;script&gt;" in digits
        assert "unit_gradient: 1 of 3 runs did not end (1 diverged)." in digits

    def test_holds_every_picture(self, results: Path) -> None:
        names = {path.stem for path in (results / "plots").glob("*.svg")}
        assert {"leaderboard", "toy", "story", "solvers_gap", "curves-digits-hard_sharing"} <= names
        for kind in ("png", "pdf"):
            assert {path.stem for path in (results / "plots").glob(f"*.{kind}")} == names
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
        assert "final slope" in text
        assert "time to equal" not in text

    def test_broken_promise_is_named(self, fresh: Path) -> None:
        path = fresh / "solvers" / "verdict.json"
        verdict = json.loads(path.read_text())
        verdict["passed"] = False
        verdict["algorithms"]["exact"]["promises"][0] |= {"broken": 2, "worst": None, "detail": "gap 3 on gaussian-8"}
        path.write_text(json.dumps(verdict))
        text = write_page(fresh)
        assert "a solver broke a promise" in text
        assert "exact, theory bound: gap 3 on gaussian-8" in text

    @pytest.mark.parametrize("text", ['{"passed"', "<svg>\xe9</svg>"])
    @pytest.mark.parametrize("name", ["solvers/verdict.json", "plots/evil.svg", "cost.csv", "run.time.json"])
    def test_cut_file_is_one_sentence_naming_it(self, fresh: Path, name: str, text: str) -> None:
        path = next(fresh.rglob(Path(name).name), fresh / name)
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(CheckFailed, match=rf"^{re.escape(str(path))} is [^\n]+$"):
            write_page(fresh)


class TestFiles:
    def test_pictures_and_page_repeat_to_the_byte(self, results: Path, fresh: Path) -> None:
        (fresh / "plots" / "curves-no_longer_there.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
        build.write(fresh)
        assert len(list((fresh / "plots").iterdir())) == len(list((results / "plots").iterdir()))
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
