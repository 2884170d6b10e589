"""The report in a real browser: sorting, filters, pages, keyboard, phone, dark mode and paper, and nothing fetched."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import made_up
import numpy as np
import pandas as pd
import pytest

from mtlbench import analysis
from mtlbench.analysis import load
from mtlbench.report import html, parallel, plots, trials
from mtlbench.report.style import FORMATS

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install mtlbench[test]")
pytestmark = pytest.mark.xdist_group("browser")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def browser_path() -> str | None:
    """The browser to test in: ``$MTLBENCH_BROWSER``, or the first that lies in the path."""
    return os.environ.get("MTLBENCH_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    path = browser_path()
    if path is None:
        pytest.skip("no Chromium in the path and no $MTLBENCH_BROWSER: docs/development.md says how to get one")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of sixty methods on two datasets, one of them named like a script, with trials and pictures."""
    noise = np.random.default_rng(0)
    labels = {f"method_{index:02}": float(noise.normal(0.05, 0.05)) for index in range(54)}
    folder = made_up.build_results(tmp_path_factory.mktemp("sixty"), made_up.METHODS | labels, seeds=(0, 1))
    records = load.read(folder)
    table = load.table(records)
    curves = load.curves(records)
    board = analysis.leaderboard(table, all_metrics=True, curves=curves)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load, "trials", made_up.trials, raising=False)
        # The pictures of the page; the other formats are tested elsewhere.
        patch.setattr("mtlbench.report.style.FORMATS", {"svg": FORMATS["svg"]})
        drawn = plots.pictures(folder / "plots", board, analysis.metrics(table), curves, load.audits(records))
        parallel.run([*drawn, *trials.pictures(folder / "plots", load.trials(folder), board)])
        return html.write(folder, records, table, board, curves)


class Page:
    """One tab, and what went wrong in it."""

    def __init__(self, tab: playwright.Page, report: Path) -> None:
        self.tab, self.address, self.wrong = tab, report.as_uri(), list[str]()
        tab.on("console", lambda message: self.wrong.append(message.text))
        tab.on("pageerror", lambda error: self.wrong.append(str(error)))
        tab.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        tab.on("request", lambda request: self.wrong.append(request.url) if not self._own(request.url) else None)
        self.go("")

    def _own(self, address: str) -> bool:
        return address.startswith((self.address, "data:"))

    def go(self, place: str) -> None:
        self.tab.goto(f"{self.address}{place}")

    def names(self, board: str) -> list[str]:
        """The names in the rows that can be seen, in their order."""
        rows = self.tab.locator(f"{board} tbody tr:visible > th")
        return [name.removesuffix(" ⇥") for name in rows.all_inner_texts()]


@pytest.fixture
def page(browser: playwright.Browser, report: Path) -> Iterator[Page]:
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    opened = Page(tab, report)
    yield opened
    assert opened.wrong == [], "a message in the console, or a request to somewhere"
    tab.close()


BOARD = "#leaderboard-digits-hard_sharing > .arena > .scroll"


def test_a_click_on_a_column_sorts_it_and_says_so(page: Page) -> None:
    cells = page.tab.locator(f"{BOARD} tbody tr").evaluate_all(
        "rows => rows.map(row => [row.cells[0].innerText, row.cells[1].dataset.value ?? row.cells[1].innerText])"
    )
    board = pd.DataFrame(cells, columns=["name", "value"]).astype({"value": float})
    by_value = list(board.sort_values("value", kind="stable")["name"])
    head = page.tab.locator(f"{BOARD} thead th").nth(1)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert page.tab.locator(f"{BOARD} tbody tr > th").all_inner_texts() == by_value
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert page.tab.locator(f"{BOARD} tbody tr > th").all_inner_texts() == by_value[::-1]
    page.tab.locator(f"{BOARD} thead th").nth(0).get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None
    assert page.names(BOARD)[-1] == "unit_gradient"


def test_words_and_lists_narrow_the_tables(page: Page) -> None:
    assert len(page.names(BOARD)) == 60
    page.tab.get_by_label("Methods that contain").fill("mgda script")
    assert set(page.names(BOARD)) == {"mgda", "mgda(solver=frank_wolfe)", made_up.SCRIPT}
    assert page.tab.get_by_role("status").inner_text() == "3 of 60 rows"
    page.tab.get_by_role("combobox", name="Dataset").select_option("scales")
    assert not page.tab.locator(BOARD).is_visible()
    assert page.tab.locator("#leaderboard-scales-hard_sharing").is_visible()


def test_other_columns_are_shown_when_asked_for(page: Page) -> None:
    memory = page.tab.locator(f"{BOARD} th", has_text=re.compile("^memory"))
    assert not memory.is_visible()
    page.tab.get_by_text("More columns").click()
    page.tab.get_by_role("checkbox", name=re.compile("^memory")).check()
    assert memory.is_visible()
    assert "306" in page.tab.locator(f"{BOARD} tbody tr", has_text="method_00").inner_text()


def test_every_dataset_and_method_has_a_page_and_the_way_back(page: Page) -> None:
    page.tab.locator("#datasets").get_by_role("link", name="digits").click()
    digits = page.tab.locator("section.page:visible")
    assert digits.get_attribute("id") == "/dataset/digits"
    assert not page.tab.locator("#summary").is_visible()
    assert len(page.names("section.page:visible .arena > .scroll")) == 60
    assert digits.locator("svg").count() == 3  # learning curves, conflict, trials
    digits.locator(".arena").first.get_by_role("link", name="mgda", exact=True).click()
    mgda = page.tab.locator("section.page:visible")
    assert mgda.get_attribute("id") == "/method/mgda"
    assert page.tab.evaluate("document.activeElement.textContent") == "mgda"
    assert mgda.locator("math").first.bounding_box()["height"] > 10
    assert "No task's loss rises to first order" in mgda.inner_text()
    assert mgda.get_by_role("region", name="Trials of mgda").locator("tbody tr").count() == 6
    assert "at the edge: learning_rate low" in mgda.inner_text()
    page.tab.go_back()
    page.tab.go_back()
    assert page.tab.locator("#summary").is_visible()
    assert len(page.names(BOARD)) == 60, "the leaderboard is back in its place"
    page.go("#/method/unit_gradient")
    assert "the loss of task 'left' is nan at step 31" in page.tab.locator("section.page:visible").inner_text()


def test_a_method_named_like_a_script_is_a_name(page: Page) -> None:
    page.tab.locator("#methods").get_by_role("link", name=made_up.SCRIPT).click()
    assert page.tab.locator("section.page:visible h2").inner_text() == made_up.SCRIPT


def test_the_keyboard_reaches_the_content_and_the_tables(page: Page) -> None:
    page.tab.keyboard.press("Tab")
    assert page.tab.evaluate("document.activeElement.className") == "skip"
    page.tab.keyboard.press("Enter")
    assert page.tab.evaluate("document.activeElement.id") == "content"
    assert page.tab.locator(".scroll:not([tabindex='0'])").count() == 0


@pytest.mark.parametrize("place", ["", "#leaderboard", "#/dataset/digits", "#/method/mgda", "#provenance"])
def test_a_phone_scrolls_tables_and_not_the_page(browser: playwright.Browser, report: Path, place: str) -> None:
    tab = browser.new_page(viewport={"width": 390, "height": 844})
    phone = Page(tab, report)
    phone.go(place)
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    assert phone.wrong == []
    tab.close()


def test_pictures_and_text_follow_dark_mode(page: Page) -> None:
    def colours() -> tuple[str, str, str]:
        return tuple(
            page.tab.evaluate(
                "() => [document.body, ...document.querySelectorAll('section:not([hidden]) svg text')].slice(0, 2)"
                ".map(x => getComputedStyle(x)).flatMap((x, i) => i ? [x.fill] : [x.backgroundColor, x.color])"
            )
        )

    page.go("#/dataset/digits")
    light = colours()
    page.tab.emulate_media(color_scheme="dark")
    dark = colours()
    assert light[0] == "rgb(254, 254, 254)"
    assert dark[0] == "rgb(20, 23, 27)"
    assert (light[1], dark[1]) == (light[2], dark[2])
    assert light[1] != dark[1]


def test_paper_has_every_page_and_nothing_folded(page: Page) -> None:
    page.tab.get_by_label("Methods that contain").fill("mgda")
    page.tab.get_by_role("combobox", name="Dataset").select_option("scales")
    page.go("#/method/mgda")
    page.tab.emulate_media(media="print")
    page.tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.tab.locator("[hidden]").count() == 0
    assert len(page.names(BOARD)) == 60
    assert page.tab.locator(f"{BOARD} th", has_text=re.compile("^memory")).is_visible()
    assert page.tab.locator("section:visible").count() == page.tab.locator("section").count()
    assert page.tab.locator("details:not([open])").count() == 0
    assert not page.tab.locator("nav").is_visible()
    page.tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.tab.locator("section.page:visible").count() == 1
    page.go("#leaderboard")
    assert not page.tab.locator(BOARD).is_visible()
    assert page.names("#leaderboard-scales-hard_sharing > .arena > .scroll") == ["mgda", "mgda(solver=frank_wolfe)"]


def test_a_broken_address_leads_to_the_report(page: Page) -> None:
    page.go("#/method/%E0%A4")
    page.tab.reload()
    assert page.tab.locator("#summary").is_visible()


def test_without_scripts_everything_is_there(browser: playwright.Browser, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    plain = Page(context.new_page(), report)
    plain.go("#/method/mgda")
    assert plain.tab.locator("section.page:visible").count() == 62
    assert plain.tab.locator("#summary").is_visible()
    context.close()
